"""The identity of a run, by which its files belong together: the digest of its configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onward.storage.files import json_digest, read_json


@dataclass(frozen=True)
class Identity:
    """The digest of a run's configuration; `old` runs began before their files were tied to it."""

    digest: str
    old: bool

    def check(self, content: Mapping[str, Any], path: Path, key: str = "config_sha256") -> None:
        """Raise ValueError unless the digest in a file is that of this run."""
        said = content.get(key)
        if said is None and not self.old:
            raise ValueError(f"{path} has no digest of its run: it was edited, or copied here from an older run")
        if said not in (None, self.digest):
            raise ValueError(f"{path} does not belong to {path.parent / 'config.json'}: it is of another run")


def identity_of(run: Path) -> Identity:
    """Return the identity of the run in a folder. Raises ValueError if its configuration is damaged."""
    if not (run / "config.json").exists():
        return Identity("", True)
    content = read_json(run / "config.json")
    return Identity(json_digest(content), "run" not in content)
