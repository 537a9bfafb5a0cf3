"""`disk`: ready while the filesystems of some paths have room, and can be written to."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import lifecycle
from lifecycle_probes.options import check_range
from lifecycle_probes.quantities import read_bytes, show_bytes
from lifecycle_probes.side_by_side import SideBySideProbe


@dataclass(frozen=True)
class DiskOptions:
    """
    `LIFECYCLE_DISK_*`.

    Raises:
        ValueError: A path is not absolute or is there twice, a threshold is none.
    """

    paths: tuple[str, ...] = field(
        default=(), metadata={"describe": "absolute paths, several with commas"}
    )
    min_percent: float = field(default=5.0, metadata={"describe": "percent free"})
    min_bytes: str = field(default="0", metadata={"describe": "bytes free, like 512Mi or 1Gi"})
    min_inodes_percent: float = field(default=5.0, metadata={"describe": "percent of inodes free"})
    timeout: float = field(default=0.5, metadata={"describe": "seconds for all of them"})

    @property
    def enabled(self) -> bool:
        """Whether the probe is on: it has paths."""
        return bool(self.paths)

    def __post_init__(self) -> None:
        check_range("min_percent", self.min_percent, 0, 100, "percent")
        check_range("min_inodes_percent", self.min_inodes_percent, 0, 100, "percent")
        check_range("timeout", self.timeout, 0.01, 60, "seconds")
        try:
            read_bytes(self.min_bytes)
        except ValueError as wrong:
            raise ValueError(f"min_bytes: {wrong}") from None
        for path in self.paths:
            if not os.path.isabs(path):
                raise ValueError(f"paths: {path!r} must be absolute")
        if len(set(self.paths)) < len(self.paths):
            raise ValueError("paths: one is there twice")

    def keys(self) -> list[tuple[str, DiskOptions]]:
        """Return what to look at, and by which thresholds to judge it."""
        return [(path, self) for path in self.paths]


class DiskProbe(SideBySideProbe[tuple[str, DiskOptions]]):
    """The plugin: it looks at the filesystem of every path."""

    def __init__(self) -> None:
        super().__init__(
            DiskOptions,
            look,  # in a thread each: statvfs waits for ever for a network filesystem that is away
            hanging="the filesystem hangs, as a network volume does while its server is away",
        )


def look(key: tuple[str, DiskOptions], _timeout: float) -> lifecycle.ProbeResult:
    """Look at one path's filesystem."""
    path, options = key
    try:
        found = os.statvfs(path)
    except OSError as error:
        why = f"cannot be looked at ({error.strerror}): is the volume mounted there?"
        return lifecycle.ProbeResult(False, why, path)
    return judge(path, found, options)


def judge(path: str, found: os.statvfs_result, options: DiskOptions) -> lifecycle.ProbeResult:
    """Compare what `statvfs` found with the thresholds; all that is short is named."""
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    percent = 100 * free / size if size else 0.0
    room = f"{show_bytes(free)} of {show_bytes(size)} free ({percent:.1f} %)"
    # btrfs and some network filesystems make inodes as they need them, and report none.
    inodes = 100 * found.f_favail / found.f_files if found.f_files else None
    short = []
    if found.f_flag & os.ST_RDONLY:
        short.append("mounted read-only: the kernel does that after an I/O error")
    if free < (least := read_bytes(options.min_bytes)):
        short.append(
            f"{room}, at least {show_bytes(least)} wanted: delete files or grow the volume"
        )
    elif percent < options.min_percent:
        wanted = f"at least {options.min_percent:g} % wanted"
        short.append(f"{room}, {wanted}: delete files or grow the volume")
    if inodes is not None and inodes < options.min_inodes_percent:
        short.append(
            f"{found.f_favail} of {found.f_files} inodes free ({inodes:.1f} %), at least "
            f"{options.min_inodes_percent:g} % wanted: too many small files"
        )
    if short:
        return lifecycle.ProbeResult(False, "; ".join(short), path)
    and_inodes = "" if inodes is None else f", {inodes:.0f} % of inodes"
    return lifecycle.ProbeResult(True, room + and_inodes, path)
