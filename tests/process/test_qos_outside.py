"""Who is let in from another machine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.process.kit import App, wait_for
from tests.process.lookout import (
    AN_OPERATOR,
    ENV,
    IPV6,
    NOTHING_BUT_PROBES,
    SERVICE,
    Seen,
    look_around,
    unharmed,
)

Start = Callable[..., App]

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


# From another machine: a network namespace, and a pair of interfaces into it. Where nobody may
# make one, this machine calls itself by its own outer address, which is not loopback either.

OUTSIDE = """
import json, sys
from tests.process.lookout import look_around
address, port, host = sys.argv[1:]
seen = look_around((address, int(port)), host=host)
print(json.dumps([sorted(seen.probes), sorted(seen.protected), sorted(seen.private), seen.reasons]))
"""


@dataclass
class Outside:
    """A machine beside ours, or ourselves without a namespace."""

    namespace: str = ""
    here4: str = "198.51.100.1"
    there4: str = "198.51.100.2"
    here6: str = "fd00:6c69::1"
    there6: str = "fd00:6c69::2"

    def look_around(self, address: str, port: int, host: str = "") -> Seen:
        """Try everything from over there."""
        if not self.namespace:
            return look_around((address, port), host=host)
        words = (sys.executable, "-c", OUTSIDE, address, str(port), host)
        ran = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *words],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        probes, protected, private, reasons = json.loads(ran.stdout)
        return Seen(set(probes), set(protected), set(private), reasons)


def do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=10)


def build(name: str, it: Outside) -> None:
    """Make the namespace, and the pair."""
    inside = ("ip", "-n", name)
    do("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", "eth0", "netns", name)
    do("ip", "addr", "add", f"{it.here4}/24", "dev", f"{name}a")
    do(*inside, "addr", "add", f"{it.there4}/24", "dev", "eth0")
    if IPV6:
        do("ip", "-6", "addr", "add", f"{it.here6}/64", "dev", f"{name}a", "nodad")
        do(*inside, "-6", "addr", "add", f"{it.there6}/64", "dev", "eth0", "nodad")
    for words in ((*inside, "link", "set", "lo"), (*inside, "link", "set", "eth0")):
        do(*words, "up")
    do("ip", "link", "set", f"{name}a", "up")


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(("192.0.2.1", 9))  # sends nothing, only asks the routing table
        return str(sock.getsockname()[0])
    return "127.0.0.9"  # there is no network: this, too, is nobody's operator


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    """Make a machine whose address is not loopback."""
    name = f"lc{os.getpid()}"
    with contextlib.ExitStack() as stack:
        try:
            do("ip", "netns", "add", name)
            stack.callback(do, "ip", "netns", "del", name)  # which takes the pair with it
            it = Outside(name)
            build(name, it)
        except (OSError, subprocess.CalledProcessError):
            own = own_address()
            it = Outside("", own, own, "", "")
        yield it


@pytest.mark.parametrize("version", [4, 6] if IPV6 else [4])
def test_from_another_machine(app: App, outside: Outside, version: int) -> None:
    """From another machine the probes are answered, over IPv4 and IPv6, and nothing else is."""
    address = outside.here6 if version == 6 and outside.here6 else outside.here4

    assert outside.look_around(address, app.qos) == NOTHING_BUT_PROBES


def test_from_ourown_address(app: App, outside: Outside) -> None:
    """This machine's own outer address is not loopback."""
    assert look_around((outside.here4, app.qos)) == NOTHING_BUT_PROBES
    assert look_around((outside.here4, app.qos), source="127.0.0.1") == NOTHING_BUT_PROBES


@pytest.mark.parametrize(
    ("allow", "seen4", "seen6"),
    [
        ("{0.there4}/24", AN_OPERATOR, NOTHING_BUT_PROBES),
        ("{0.there4}", AN_OPERATOR, NOTHING_BUT_PROBES),
        ("203.0.113.9,fd00:6c69::/64", NOTHING_BUT_PROBES, AN_OPERATOR),
    ],
)
def test_qos_allow(start: Start, outside: Outside, allow: str, seen4: Seen, seen6: Seen) -> None:
    """`qos_allow` lets an address do what is PROTECTED, never what is PRIVATE."""
    app = start(SERVICE, env=ENV | {"LIFECYCLE_QOS_ALLOW": allow.format(outside)})
    app.wait_state("ready")

    assert outside.look_around(outside.here4, app.qos) == seen4
    if IPV6 and outside.here6:
        assert outside.look_around(outside.here6, app.qos) == seen6
    wait_for(lambda: unharmed(app), 20, "online again")
    if seen4 == AN_OPERATOR:
        assert outside.look_around(outside.here4, app.qos, "evil.example") == NOTHING_BUT_PROBES
