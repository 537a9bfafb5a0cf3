"""
What the command says on its two streams: the exit code is the same if nobody reads it.

It imports next to nothing: `probe` says something too.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    from typing import TextIO

USAGE = 2
"""The exit code if what was asked for, or configured, does not add up."""


def fail(message: str, code: int) -> int:
    """Say what is wrong, and return the exit code."""
    warn(message)
    return code


def refused(body: str) -> int:
    """Pass on why the app has refused, and return the exit code."""
    say(body.rstrip("\n") + "\n", sys.stderr)
    return 1


def warn(message: str) -> None:
    """Say what is wrong."""
    say(f"lifecycle: {message}\n", sys.stderr)


def say(text: str, stream: TextIO | None) -> None:
    """Write for who listens: the exit code is the same if nobody can."""
    if stream is None:  # closed since before we were
        return
    if not text.replace("\n", "").isprintable():
        from lifecycle.plain import lines  # most texts need no care, and `probe` no import

        text = lines(text)
    try:
        stream.write(encodable(text, stream))
        stream.flush()
    except OSError:
        give_up(stream)


def encodable(text: str, stream: TextIO) -> str:
    """Escape the characters that a stream's encoding lacks."""
    return text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)


def stdout_failed(error: OSError) -> None:
    """Give stdout up, and say why; who reads no further, like `head`, wants no word about it."""
    import errno

    give_up(sys.stdout)
    if error.errno != errno.EPIPE:
        warn(f"stdout: {error.strerror}")


def give_up(stream: TextIO) -> None:
    """Send what a stream has not been able to write, and would try again at exit, nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
