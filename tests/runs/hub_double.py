"""A double of the hub: a server on this machine that answers as the hub's API does, with repositories in memory."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """What was put there, by repository and file, and every request that was made."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def hub() -> Iterator[Hub]:
    """Serve a hub without repositories."""
    server = Hub()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._note()
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            return self._say(401, {"error": "Invalid username or password."})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            self.server.repos.setdefault(name, {})
            return self._say(200, {"url": f"{self.server.address}/{name}"})
        if self.path == "/api/validate-yaml":
            return self._say(200, {"errors": [], "warnings": []})
        name, what = self._repo("/api/models/")
        if what.startswith("preupload/"):
            files = json.loads(body)["files"]
            return self._say(200, {"files": [self._mode(file["path"]) for file in files]})
        assert what == "commit/main", self.path
        for line in body.decode().splitlines():
            row = json.loads(line)
            if row["key"] == "file":
                self.server.repos[name][row["value"]["path"]] = base64.b64decode(row["value"]["content"])
        self._say(200, {"commitUrl": f"{self.server.address}/{name}/commit/{SHA}", "commitOid": SHA})

    def do_GET(self) -> None:
        self._note()
        if "/resolve/" in self.path:
            name, what = self._repo("/")
            file = self.server.repos.get(name, {}).get(what.split("/", 2)[2])
            if file is None:
                return self._say(404, {}, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "no such file"})
            return self._send(200, file, {"ETag": f'"{_digest(file)}"', "X-Repo-Commit": SHA})
        name, what = self._repo("/api/models/")
        if name not in self.server.repos:
            return self._say(404, {}, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        files = self.server.repos[name]
        if what.startswith("tree/"):
            rows = [{"type": "file", "path": path, "size": len(v), "oid": _digest(v)} for path, v in files.items()]
            return self._say(200, rows)
        told = {"id": name, "sha": SHA, "private": False, "tags": [], "downloads": 0, "likes": 0}
        self._say(200, {**told, "siblings": [{"rfilename": path} for path in files]})

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _note(self) -> None:
        self.path = self.path.split("?")[0]
        self.server.asked.append(f"{self.command} {self.path}")

    def _repo(self, prefix: str) -> tuple[str, str]:
        user, model, *what = self.path.removeprefix(prefix).split("/", 2)
        return f"{user}/{model}", "".join(what)

    def _mode(self, path: str) -> dict[str, Any]:
        return {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None}

    def _say(self, code: int, content: Any, headers: dict[str, str] | None = None) -> None:
        self._send(code, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
