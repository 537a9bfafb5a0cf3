"""
Output of the command on stdout and stderr. A reader that has gone does not change the exit code.

Importing this file must stay cheap, because `lifecycle probe` uses it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    from typing import TextIO

USAGE = 2
"""Exit code if the arguments or the settings are wrong."""


def fail(message: str, code: int) -> int:
    """Write an error message to stderr, and return the exit code."""
    warn(message)
    return code


def refused(body: str) -> int:
    """Write the app's reason for a refusal to stderr, and return the exit code."""
    say(body.rstrip("\n") + "\n", sys.stderr)
    return 1


def warn(message: str) -> None:
    """Write a message to stderr, after the name of the command."""
    say(f"lifecycle: {message}\n", sys.stderr)


def say(text: str, stream: TextIO | None) -> None:
    """Write to a stream. An unreadable stream does not change the exit code."""
    if stream is None:  # it was closed before this process started
        return
    if not text.replace("\n", "").isprintable():
        from lifecycle.plain import lines  # rarely needed, and the import is slow

        text = lines(text)
    try:
        stream.write(encodable(text, stream))
        stream.flush()
    except OSError:
        give_up(stream)


def encodable(text: str, stream: TextIO) -> str:
    """Escape the characters that the encoding of a stream does not have."""
    return text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)


def stdout_failed(error: OSError) -> None:
    """Stop writing to stdout. Write the reason to stderr, except for EPIPE (as with `head`)."""
    import errno

    give_up(sys.stdout)
    if error.errno != errno.EPIPE:
        warn(f"stdout: {error.strerror}")


def give_up(stream: TextIO) -> None:
    """Discard what a stream still has in its buffer, so that Python does not try again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
