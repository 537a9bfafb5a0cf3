"""Text from the server: on one line, without control characters, and not too long."""

from __future__ import annotations


def one_line(text: str, longest: int = 200) -> str:
    """
    Return a text without anything that a terminal would act on.

    Args:
        text: Any text, for example the answer of a server.
        longest: The most characters. A longer text ends with an ellipsis.
    """
    shown = "".join(each if each.isprintable() else "\ufffd" for each in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
