"""The probe `disk`, which fails if a filesystem has too little space or is not writable."""

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
    The options `LIFECYCLE_DISK_*`.

    Raises:
        ValueError: A path is not absolute or is listed twice, or a threshold is not valid.
    """

    paths: tuple[str, ...] = field(
        default=(), metadata={"describe": "Absolute paths, separated by commas."}
    )
    min_percent: float = field(
        default=5.0, metadata={"describe": "Required free space in percent."}
    )
    min_bytes: str = field(
        default="0", metadata={"describe": "Required free space in bytes, for example 512Mi."}
    )
    min_inodes_percent: float = field(
        default=5.0, metadata={"describe": "Required free inodes in percent."}
    )
    timeout: float = field(default=0.5, metadata={"describe": "Seconds for all paths together."})

    @property
    def enabled(self) -> bool:
        """True if the probe is on, because it has paths."""
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
            raise ValueError("paths: one path is listed twice")

    def keys(self) -> list[tuple[str, DiskOptions]]:
        """Return the paths to check, with their thresholds."""
        return [(path, self) for path in self.paths]


class DiskProbe(SideBySideProbe[tuple[str, DiskOptions]]):
    """The plugin, which checks the filesystem of every path."""

    def __init__(self) -> None:
        super().__init__(
            DiskOptions,
            look,  # in threads, because statvfs may wait forever for a network filesystem
            hanging="the filesystem hangs, for example because the server of a volume is down",
        )


def look(key: tuple[str, DiskOptions], _timeout: float) -> lifecycle.ProbeResult:
    """Check the filesystem of one path."""
    path, options = key
    try:
        found = os.statvfs(path)
    except OSError as error:
        why = f"cannot be read ({error.strerror}). Check that the volume is mounted there"
        return lifecycle.ProbeResult(False, why, path)
    return judge(path, found, options)


def judge(path: str, found: os.statvfs_result, options: DiskOptions) -> lifecycle.ProbeResult:
    """Compare the result of `statvfs` with the thresholds. The reason lists all problems."""
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    percent = 100 * free / size if size else 0.0
    room = f"{show_bytes(free)} of {show_bytes(size)} free ({percent:.1f} %)"
    # btrfs and some network filesystems create inodes when needed, and report none.
    inodes = 100 * found.f_favail / found.f_files if found.f_files else None
    short = []
    if found.f_flag & os.ST_RDONLY:
        short.append("mounted read-only, as the kernel does after an I/O error")
    if free < (least := read_bytes(options.min_bytes)):
        short.append(
            f"{room}, at least {show_bytes(least)} required. Delete files or grow the volume"
        )
    elif percent < options.min_percent:
        required = f"at least {options.min_percent:g} % required"
        short.append(f"{room}, {required}. Delete files or grow the volume")
    if inodes is not None and inodes < options.min_inodes_percent:
        short.append(
            f"{found.f_favail} of {found.f_files} inodes free ({inodes:.1f} %), at least "
            f"{options.min_inodes_percent:g} % required. There are too many small files"
        )
    if short:
        return lifecycle.ProbeResult(False, "; ".join(short), path)
    and_inodes = "" if inodes is None else f", {inodes:.0f} % of inodes"
    return lifecycle.ProbeResult(True, room + and_inodes, path)
