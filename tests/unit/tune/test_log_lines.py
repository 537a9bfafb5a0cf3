"""Lines with a report are found in a log of any size, whatever else is in it."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.tune import log_lines
from lifecycle.tune.log_lines import CHUNK, LONGEST, MARK, LogScan

LINES = st.lists(
    st.one_of(
        st.just(MARK), st.just(b"x" + MARK + b"y"), st.just(b"drain"), st.binary(max_size=12)
    ).map(lambda line: line.replace(b"\n", b"")),
    max_size=12,
)


class Drips(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a pipe does."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data = data
        self.sizes = sizes

    def read(self, _: int = -1) -> bytes:
        size = self.sizes.pop() if self.sizes else 7
        found, self.data = self.data[:size], self.data[size:]
        return found


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(1, 30)), st.booleans())
def test_every_line_with_a_report_is_found_with_its_number(
    lines: list[bytes], end: bytes, sizes: list[int], ended: bool
) -> None:
    """However the bytes arrive, and whether or not the last line is complete."""
    lines = [line.rstrip(b"\r") for line in lines]
    data = end.join(lines) + (end if ended else b"")
    expected = [(n, line) for n, line in enumerate(lines, 1) if MARK in line]
    scan = LogScan(Drips(data, sizes))
    assert [*scan] == expected
    assert scan.lines == len(data.split(b"\n")) - (data.endswith(b"\n") or not data)


def test_a_line_that_is_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also at the end; the lines around it keep their numbers."""
    monkeypatch.setattr(log_lines, "CHUNK", 16)
    monkeypatch.setattr(log_lines, "LONGEST", 64)
    long = b"z" * 100 + MARK
    data = b"\n".join([MARK, long, MARK, b"", long, MARK, long])
    scan = LogScan(io.BytesIO(data))
    assert [each.number for each in scan] == [1, 3, 6]
    assert scan.lines == 7


def test_a_gigabyte_takes_no_memory() -> None:
    """Neither with lines nor without any; here it is 64 MiB of each."""

    class Endless(io.RawIOBase):
        def __init__(self, piece: bytes) -> None:
            self.left, self.piece = 64, piece

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return self.piece if self.left >= 0 else b""

    with_lines = (b"an access log line of an app\n" * (CHUNK // 29))[:CHUNK]
    for piece in (with_lines, b"z" * CHUNK):
        tracemalloc.start()
        assert [*LogScan(Endless(piece))] == []
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 8 * (CHUNK + LONGEST)


KINDS = {
    "nothing": (b"", ""),
    "text": (b"hello\n", "text"),
    "gzip": (b"\x1f\x8b\x08\0", "gzip"),
    "PowerShell": ("hello".encode("utf-16"), "utf-16"),
    "a program": (b"\x7fELF\0\0", "binary"),
}


@pytest.mark.parametrize(("data", "kind"), KINDS.values(), ids=KINDS)
def test_what_a_log_looks_like(data: bytes, kind: str) -> None:
    """So that a message can say why nothing was found."""
    scan = LogScan(io.BytesIO(data))
    assert [*scan] == []
    assert scan.kind == kind
