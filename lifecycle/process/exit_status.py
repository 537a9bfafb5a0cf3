"""The exit code of the process, and the last output on stderr."""

from __future__ import annotations

import concurrent.futures
import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Final

from lifecycle.exceptions import page_of
from lifecycle.plain import lines

_NOT_THE_APPS: Final = (
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
    os.path.dirname(concurrent.futures.__file__) + os.sep,  # our threads hand errors on by it
)


def code_of(leaving: BaseException) -> int:
    """Return the exit code of a SystemExit or KeyboardInterrupt, and print its message."""
    code = getattr(leaving, "code", 1) if isinstance(leaving, SystemExit) else 130
    if code is None:
        return 0
    if isinstance(code, int):
        return status_of(code)
    say(code)
    return 1


def say_error(error: BaseException) -> None:
    """Print an error for people on stderr, and the address of its page in the next line."""
    see = page_of(error)
    say(f"lifecycle: {lines(str(error))}" + (f"\nSee {see}" if see else ""))


def say(message: object) -> None:
    """Print a message on stderr. If stderr is closed, print nothing (`print` would use stdout)."""
    if sys.stderr is not None:
        print(message, file=sys.stderr)


def status_of(code: int) -> int:
    """Return the exit code that the kernel reports. A failure never becomes 0."""
    return code & 0xFF or int(code != 0)


def show(error: BaseException) -> None:
    """Print an error as Python does, without our frames, and in one piece between log lines."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = _without_ours(link.__traceback__)
        link = link.__cause__ or link.__context__
    # Python's own writes word by word, and a log line would come between; on a terminal, in color.
    plain = not getattr(sys.stderr, "closed", True) and not sys.stderr.isatty()
    if plain and sys.excepthook is sys.__excepthook__:
        import traceback

        with suppress(OSError, ValueError):  # stderr cannot be written
            sys.stderr.write("".join(traceback.format_exception(error)))
            sys.stderr.flush()
    else:
        sys.excepthook(type(error), error, error.__traceback__)


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without our frames, and without the frames of our threads."""
    foreign = []
    while frames is not None:
        filename = frames.tb_frame.f_code.co_filename
        if not filename.startswith(_NOT_THE_APPS):
            foreign.append(frames)
        frames = frames.tb_next
    kept: TracebackType | None = None
    for each in reversed(foreign):
        kept = TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept
