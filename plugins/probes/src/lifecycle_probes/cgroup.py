"""
The memory cgroups of this process, v1 and v2, up to the highest visible one.

Rules of this file:

1. `/proc/self/cgroup` has the path, and `/proc/self/mountinfo` has the mount. On a hybrid system
   the memory controller is in v1, and the v2 tree has the pressure.
2. In a container, the path may be relative to another root than that of the mount. Then the mount
   is the container's own cgroup.
3. The used memory is the working set, usage − inactive_file, as the kubelet computes it.
4. All levels count, because the kernel kills at the first limit that is reached.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple


class Level(NamedTuple):
    """One cgroup: its name, and its working set and limit in bytes. Limit None means no limit."""

    name: str
    working_set: int
    limit: int | None


class Pressure(NamedTuple):
    """PSI: percent of the last 10 s in which some or all tasks waited for memory."""

    some: float
    full: float
    of_node: bool


class Mount(NamedTuple):
    """A mounted cgroup tree: its root in the tree, and its mount point."""

    root: str
    point: str


class Cgroups:
    """
    The cgroups of this process.

    Args:
        root: The folder to use as `/`.
    """

    def __init__(self, root: str = "/") -> None:
        self._root = root

    def paths(self) -> dict[str, str]:
        """Return the cgroup paths by controller, `memory` for v1 and an empty name for v2."""
        lines = (line.split(":", 2) for line in self._lines("proc/self/cgroup"))
        found = ((controllers, path) for _, controllers, path in lines)
        return {
            name: path
            for controllers, path in found
            for name in controllers.split(",")
            if name in {"", "memory"}
        }

    def all_paths(self) -> list[str]:
        """Return all paths that may show the pod: those of the cgroups, and the mount roots."""
        mounts = [root for _, root, _ in self._mounts()]
        return [line.split(":", 2)[2] for line in self._lines("proc/self/cgroup")] + mounts

    def levels(self) -> list[Level]:
        """Return the memory cgroups of this process, its own first. Empty if none is visible."""
        paths = self.paths()
        if "memory" in paths:
            levels = self._levels("memory", paths["memory"], _V1)
            if levels:
                return levels
        return self._levels("", paths[""], _V2) if "" in paths else []

    def pressure(self) -> Pressure | None:
        """Return the pressure of this container, or else of the node. None without PSI."""
        mount, path = self._mount(""), self.paths().get("")
        if mount is not None and path is not None:
            _, folder = next(self._folders(mount, path))
            # The root of the tree has the pressure of the node, and no cgroup.events.
            own = os.path.exists(os.path.join(folder, "cgroup.events"))
            if own and (found := self._read_pressure(os.path.join(folder, "memory.pressure"))):
                return Pressure(*found, of_node=False)
        found = self._read_pressure(self._path("proc/pressure/memory"))
        return Pressure(*found, of_node=True) if found else None

    def node_memory(self) -> int | None:
        """Return the MemTotal of the node in bytes."""
        for line in self._lines("proc/meminfo"):
            name, _, value = line.partition(":")
            if name == "MemTotal":
                return int(value.split()[0]) * 1024
        return None

    def oom_score_adj(self) -> int | None:
        """Return the value for the OOM killer, which the kubelet usually sets."""
        return _number(self._path("proc/self/oom_score_adj"))

    def _levels(self, controller: str, path: str, files: _Files) -> list[Level]:
        mount = self._mount(controller)
        if mount is None:
            return []
        levels = []
        for name, folder in self._folders(mount, path):
            usage = _number(os.path.join(folder, files.usage))
            if usage is None:  # the root of v2
                continue
            stat = _stat(os.path.join(folder, "memory.stat"))
            own = _number(os.path.join(folder, files.limit))
            # In v1, this value includes limits of ancestors that are not visible.
            limits = [n for n in (own, stat.get("hierarchical_memory_limit")) if n is not None]
            levels.append(
                Level(
                    name,
                    max(0, usage - stat.get(files.inactive, 0)),
                    min(limits, default=None),
                )
            )
        return levels

    def _folders(self, mount: Mount, path: str) -> Iterator[tuple[str, str]]:
        """Yield the name and folder of each cgroup, from that of this process up to the mount."""
        top = self._path(mount.point)
        inside = _inside(mount.root, path)
        if not os.path.isdir(os.path.join(top, inside)):
            inside = ""
        while inside:
            yield inside, os.path.join(top, inside)
            inside = os.path.dirname(inside)
        yield "/", top

    def _mount(self, controller: str) -> Mount | None:
        # With a root above the namespace, the cgroup of this process cannot be found.
        found = (
            Mount(root, point)
            for name, root, point in self._mounts()
            if name == controller and not root.startswith("/..")
        )
        return next(found, None)

    def _mounts(self) -> Iterator[tuple[str, str, str]]:
        for line in self._lines("proc/self/mountinfo"):
            before, _, after = line.partition(" - ")
            fields, (kind, _, options) = before.split(), after.split(maxsplit=2)
            root, point = _unescaped(fields[3]), _unescaped(fields[4])
            if kind == "cgroup2":
                yield "", root, point
            elif kind == "cgroup":
                for name in options.split(","):
                    yield name, root, point

    def _path(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _lines(self, path: str) -> list[str]:
        return _text(self._path(path)).splitlines()

    @staticmethod
    def _read_pressure(path: str) -> tuple[float, float] | None:
        found = dict(re.findall(r"^(some|full) avg10=([\d.]+)", _text(path), re.MULTILINE))
        return (float(found["some"]), float(found.get("full", 0))) if "some" in found else None


class _Files(NamedTuple):
    usage: str
    limit: str
    inactive: str


_V1 = _Files("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file")
_V2 = _Files("memory.current", "memory.max", "inactive_file")


def _inside(root: str, path: str) -> str:
    """Return the path below the mount. Empty if only the mount itself is visible."""
    parts = path.strip("/").split("/")
    if ".." in parts:  # seen from another cgroup namespace
        return ""
    if root == "/":
        return path.strip("/")
    if path == root or path.startswith(root + "/"):
        return path[len(root) :].strip("/")
    return ""


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # not there, or PSI compiled in and switched off
        return ""


def _number(path: str) -> int | None:
    try:
        return int(_text(path))
    except ValueError:  # `max`, or nothing there
        return None


def _stat(path: str) -> dict[str, int]:
    lines = (line.split() for line in _text(path).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2}
