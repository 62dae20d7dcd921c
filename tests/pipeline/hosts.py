"""Two hosts on one machine: network namespaces with a name and two networks, one for control and one for data."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTROL, DATA = "10.99.1", "10.99.2"


class Host:
    """A namespace that lives as long as a process that sleeps in it."""

    def __init__(self, number: int):
        self.number = number
        self.keeper = subprocess.Popen(["unshare", "--net", "--uts", "sleep", "600"], stderr=subprocess.DEVNULL)

    def begin(self) -> None:
        """Wait for the namespace, and give it a name."""
        own = os.readlink("/proc/self/ns/net")
        while self.keeper.poll() is None and os.readlink(f"/proc/{self.keeper.pid}/ns/net") == own:
            time.sleep(0.01)
        self.publish("hostname", f"host-{self.number}")
        self.publish("ip", "link", "set", "lo", "up")

    def inside(self, *words: str) -> list[str]:
        """Return a command that runs another one on this host."""
        return ["nsenter", "-t", str(self.keeper.pid), "--net", "--uts", *words]

    def publish(self, *words: str) -> None:
        """Run a command on this host. Raises CalledProcessError if it fails."""
        subprocess.run(self.inside(*words), check=True, capture_output=True, text=True)

    def connect(self, other: "Host", name: str, network: str) -> None:
        """Lay a cable to another host."""
        self.publish("ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", str(other.keeper.pid))
        for host in (self, other):
            host.publish("ip", "address", "add", f"{network}.{host.number}/24", "dev", name)
            host.publish("ip", "link", "set", name, "up")

    def received(self, name: str) -> int:
        """Return the bytes that have come in over a cable."""
        told = subprocess.run(self.inside("ip", "-json", "-stats", "link", "show", name), capture_output=True)
        return json.loads(told.stdout)[0]["stats64"]["rx"]["bytes"]

    def pull_out(self, name: str) -> None:
        """Pull a cable out: nothing comes through, and nobody is told."""
        self.publish("ip", "link", "set", name, "down")

    def reset(self, network: str) -> None:
        """Reset every connection of this host over a network, as a firewall may."""
        subprocess.run(self.inside("ss", "--kill", "src", f"{network}.{self.number}"), capture_output=True)

    def environment(self) -> dict[str, str]:
        """Return what a rank on this host must know."""
        return {"HOST": f"/proc/{self.keeper.pid}/ns", "MASTER_ADDR": f"{CONTROL}.1", "GLOO_SOCKET_IFNAME": "data"}


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Return hosts 1 and 2. Raises OSError or CalledProcessError where namespaces are not permitted."""
    if not Path("/proc/self/ns/net").exists():
        raise OSError("this system has no network namespaces")
    made: list[Host] = []
    try:
        for number in (1, 2):
            made.append(Host(number))
            made[-1].begin()
        made[0].connect(made[1], "control", CONTROL)
        made[0].connect(made[1], "data", DATA)
        yield made[0], made[1]
    finally:
        for host in made:
            host.keeper.kill()
            host.keeper.wait()
