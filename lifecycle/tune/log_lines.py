"""The lines of a log that contain a drain report, in constant memory, however large the log is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

MARK: Final = b"drain report"
"""The text that every line with a report contains, in each format."""
CHUNK: Final = 1 << 20
LONGEST: Final = 1 << 20
"""Bytes of a line that are kept. A report has about 1,000."""
GZIP: Final = b"\x1f\x8b"
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
"""The first bytes of a file that Windows PowerShell has written with `>`."""


class LogLine(NamedTuple):
    """
    One line with a report.

    Attributes:
        number: The number of the line, from 1.
        text: The line, without its end.
    """

    number: int
    text: bytes


class LogScan:
    """
    One pass over a log.

    Args:
        stream: The log. It is read once, from its current position to its end.

    Attributes:
        lines: The number of lines so far.
        kind: `text`, or if the start shows it: `gzip`, `utf-16` or `binary`. Empty without bytes.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.lines = 0
        self.kind = ""
        self._stream = stream

    def __iter__(self) -> Iterator[LogLine]:
        """Yield the lines with a report. A line that is longer than `LONGEST` is left out."""
        rest, too_long = b"", False
        while chunk := self._stream.read(CHUNK):
            self.kind = self.kind or _kind_of(chunk)
            end = chunk.rfind(b"\n") + 1
            block, after = rest + chunk[:end], chunk[end:]
            if not end:
                rest, too_long = _kept(rest + after, too_long=too_long)
                continue
            if too_long:  # the end of the long line
                self.lines += 1
                block = block[block.index(b"\n") + 1 :]
            yield from self._of(block)
            rest, too_long = _kept(after, too_long=False)
        if rest or too_long:
            yield from self._of(rest + b"\n")

    def _of(self, block: bytes) -> Iterator[LogLine]:
        """Yield from whole lines."""
        start = 0
        while (at := block.find(MARK, start)) >= 0:
            first = block.rfind(b"\n", start, at) + 1 or start
            self.lines += block.count(b"\n", start, first)
            start = block.index(b"\n", at) + 1
            self.lines += 1
            yield LogLine(self.lines, block[first : start - 1].rstrip(b"\r"))
        self.lines += block.count(b"\n", start)


def _kept(rest: bytes, *, too_long: bool) -> tuple[bytes, bool]:
    return (b"", True) if too_long or len(rest) > LONGEST else (rest, False)


def _kind_of(chunk: bytes) -> str:
    if chunk.startswith(GZIP):
        return "gzip"
    if chunk.startswith(UTF_16):
        return "utf-16"
    return "binary" if b"\0" in chunk[:8192] else "text"
