"""Text from others: on one line, without control characters, and not too long."""

from __future__ import annotations

import lifecycle


def one_line(text: str, longest: int = 200) -> str:
    """
    Return a text without anything that a terminal would act on.

    Args:
        text: Any text, for example the answer of a server.
        longest: The most characters. A longer text ends with an ellipsis.
    """
    shown = "".join(each if each.isprintable() else "\ufffd" for each in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def check_size(instance: lifecycle.Instance, longest: int) -> None:
    """
    Refuse metadata that are too long for a node.

    Args:
        instance: A service.
        longest: The most characters of all names and values.

    Raises:
        RegistrationRefused: There are more.
    """
    size = sum(len(name) + len(value) for name, value in instance.metadata.items())
    if size > longest:
        raise lifecycle.RegistrationRefused(
            f"metadata of {instance.service}: {size} characters are too many. Use at most {longest}",
            see="errors.md#zookeeper-failed",
        )
