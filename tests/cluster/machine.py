"""
The node as a machine of its own: namespaces for network, mounts and processes.

Whatever a node leaves behind (interfaces, nftables, mounts, shims) lives in them and ends with
their first process, which ends when this process does, however that happens.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.process.kit import wait_for

SCRIPT = Path(__file__).parent / "node" / "machine.sh"
CGROUPS = Path("/sys/fs/cgroup")


class Machine:
    """
    A context manager: namespaces with a link to this machine's network, and programs in them.

    The addresses are of 198.18.0.0/15, which is nobody's: it is kept for tests of networks.
    """

    def __init__(self) -> None:
        self.number = -1
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def name(self) -> str:
        """Of the interface and the control groups."""
        return f"lifecycle{self.number}"

    @property
    def address(self) -> str:
        """The node's, as seen from everywhere; ours on the same wire ends in 1."""
        return f"198.18.{128 + self.number}.2"

    @property
    def pods(self) -> str:
        """The range of the pods' addresses."""
        return f"198.18.{self.number}.0/24"

    @property
    def services(self) -> str:
        """The range of the ClusterIPs."""
        return f"198.19.{self.number}.0/24"

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise RuntimeError("the test cluster needs root (or a KUBECONFIG of yours)")
        groups = self._take_a_number()
        self.state = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self._life = subprocess.Popen(
            ["sh", str(SCRIPT), str(self.state), *map(str, groups)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: it must not interrupt the cleaning
        )
        try:
            self._wait_for_namespaces()
            self._link()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _take_a_number(self) -> list[Path]:
        """Take one that no other cluster of this machine has, and make its control groups."""
        unified = (CGROUPS / "cgroup.controllers").exists()
        roots = [CGROUPS] if unified else sorted(p for p in CGROUPS.iterdir() if p.is_dir())
        for self.number in range(64):
            groups = [root / self.name for root in roots if not root.is_symlink()]
            try:
                groups[0].mkdir()
            except FileExistsError:
                continue
            for group in groups[1:]:
                group.mkdir(exist_ok=True)
            return groups
        raise RuntimeError("there are 64 test clusters on this machine")

    def _wait_for_namespaces(self) -> None:
        assert self._life.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._life.stdout, selectors.EVENT_READ)
            if not selector.select(20) or self._life.stdout.readline() != b"up\n":
                raise RuntimeError("no namespaces for the test cluster: see stderr")
        self._first = _child(_child(self._life.pid))

    def _link(self) -> None:
        """Join the node's network with this machine's, by two ends of a wire."""
        there = ("peer", "name", "machine", "netns", str(self._first))
        _ip("link", "add", self.name, "type", "veth", *there)
        _ip("address", "add", f"{self.address[:-1]}1/30", "dev", self.name)
        _ip("link", "set", self.name, "up")
        self.run("ip", "address", "add", f"{self.address}/30", "dev", "machine")
        self.run("ip", "link", "set", "machine", "up")
        for addresses in (self.pods, self.services):
            _ip("route", "add", addresses, "via", self.address)

    def __exit__(self, *_: object) -> None:
        _ip("link", "delete", self.name, check=False)
        self._life.communicate(timeout=120)  # its stdin ends: so does all, and it cleans up
        for program in self._programs.values():
            program.wait(10)

    def _inside(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", "-t", str(self._first), "-m", "-n", "-p", "-r", "-w", *argv]

    def run(self, *argv: str) -> str:
        """Run a program inside to its end, and return what it wrote."""
        done = subprocess.run(
            self._inside(argv), check=False, capture_output=True, text=True, timeout=60
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def start(self, name: str, argv: Sequence[str]) -> None:
        """Start a program that stays; what it writes is in `NAME.log` of the state folder."""
        with (self.state / f"{name}.log").open("ab") as log:
            self._programs[name] = subprocess.Popen(
                self._inside(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a program a signal, and wait for its end."""
        program = self._programs.pop(name)
        os.kill(_child(program.pid), number)
        program.wait(30)

    def running(self) -> set[str]:
        """Return the programs that run."""
        return {name for name, program in self._programs.items() if program.poll() is None}

    def ended(self) -> dict[str, int]:
        """Tell which programs have ended by themselves, and with which exit code."""
        codes = {name: program.poll() for name, program in self._programs.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def log(self, name: str) -> str:
        """Return what a program has written."""
        return (self.state / f"{name}.log").read_text(errors="replace")


def _child(parent: int) -> int:
    """Return the process that unshare or nsenter has forked, by our number for it."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    return int(wait_for(children.read_text, 10, f"{parent} has a child").split()[0])


def _ip(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=20)
