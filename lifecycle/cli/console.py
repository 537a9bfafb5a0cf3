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


def fail(message: object, code: int, *, see: str = "") -> int:
    """
    Write an error message to stderr, and return the exit code.

    Args:
        message: The message, or an error. An error may have its own page.
        code: The exit code.
        see: The page that explains the message, as `help_page` takes it.
    """
    warn(message, see=see)
    return code


def refused(body: str) -> int:
    """Write the app's reason for a refusal to stderr, and return the exit code."""
    say(body.rstrip("\n") + "\n", sys.stderr)
    return 1


def warn(message: object, *, see: str = "") -> None:
    """Write a message to stderr, after the name of the command, and its page in the next line."""
    from lifecycle.exceptions import page_of
    from lifecycle.links import help_page  # only needed if something is wrong

    see = see or page_of(message) or getattr(message, "help_entry", "")
    page = f"See {help_page(see)}\n" if see else ""
    say(f"lifecycle: {message}\n{page}", sys.stderr)


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
        warn(f"stdout: {error.strerror}", see="errors.md#output-failed")


def give_up(stream: TextIO) -> None:
    """Discard what a stream still has in its buffer, so that Python does not try again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
