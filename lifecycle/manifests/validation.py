"""Checks of values that Kubernetes or the app would refuse."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from lifecycle.checks.commands.quoted import quoted_command
from lifecycle.exceptions import Explained
from lifecycle.manifests.names import RUN_DIR
from lifecycle.qos.control_socket import candidates

AMOUNTS: Final = {"cpu": ("1m", "10k"), "memory": ("1Mi", "1Pi")}
"""The smallest and the largest amount for a container."""
MAX_SOCKET_PATH: Final = 107
"""Longest path of a socket, in bytes. unix(7) has 108 for the path and its final zero byte."""
_LABEL: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_QUANTITY: Final = re.compile(
    r"(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d{1,2})|([KMGTPE]i|[numkMGTPE]))?", re.ASCII
)
_FACTORS: Final = {
    "": Decimal(1),
    **{suffix: Decimal(1000) ** at for at, suffix in enumerate("kMGTPE", start=1)},
    **{suffix: Decimal(1000) ** -at for at, suffix in enumerate("mun", start=1)},
    **{f"{suffix}i": Decimal(1024) ** at for at, suffix in enumerate("KMGTPE", start=1)},
}


class Refused(Explained):
    """The manifests are not written. The message is the reason, and a way out."""

    help_entry = "errors.md#option-of-manifests"


def check_label(option: str, name: str) -> None:
    """
    Check a name for Kubernetes.

    Args:
        option: The option or setting of the name, for the message.
        name: The name.

    Raises:
        Refused: Kubernetes does not accept the name.
    """
    if not _LABEL.fullmatch(name):
        raise Refused(
            f"{option} {name!r} is not a name for Kubernetes. Use at most 63 lower-case letters, "
            "digits and dashes, and start with a letter"
        )


def check_text(what: str, text: str) -> None:
    """
    Check that a text can be written as UTF-8.

    Args:
        what: Description of the text, for the message.
        text: The text.

    Raises:
        Refused: The text contains other bytes.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(f"{what} is not text in UTF-8") from None


def check_words(command: Sequence[str]) -> None:
    """
    Check that a command is not in quotes.

    Args:
        command: The command of the app.

    Raises:
        Refused: The whole command is one word.
    """
    if word := quoted_command(command):
        raise Refused(
            f"the command {word!r} is one word with spaces, and Kubernetes does not split it. Make "
            "each word its own argument, without quotes around all of them",
            see="errors.md#command-in-one-word",
        )


def check_amount(of: str, text: str) -> None:
    """
    Check a quantity of CPU or memory.

    Args:
        of: `cpu` or `memory`.
        text: The quantity, such as `500m` or `256Mi`.

    Raises:
        Refused: The text is not a quantity, or no container can have so much or so little.
    """
    least, most = AMOUNTS[of]
    amount = _amount(text)
    if amount is None or not (_amount(least) or 0) <= amount <= (_amount(most) or 0):
        raise Refused(
            f"--{of} {text!r} is not a quantity from {least} to {most}. Examples are 500m and 256Mi"
        )


def _amount(text: str) -> Decimal | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number, exponent, suffix = match.groups("")
    return Decimal(number + exponent) * _FACTORS[suffix]


def check_run_dir(folder: str, port: int) -> None:
    """
    Check the folder of the control socket.

    Args:
        folder: The value of LIFECYCLE_RUN_DIR.
        port: The QOS port, which is part of the socket's name.

    Raises:
        Refused: No volume can be mounted at the folder, or the path of the socket is too long.
    """
    parts = [part for part in os.path.normpath(folder).split("/") if part]
    # A folder directly under the root belongs to the image or the kernel.
    if not os.path.isabs(folder) or ":" in folder or len(parts) < 2 or parts[0] in ("proc", "sys"):
        raise Refused(
            f"LIFECYCLE_RUN_DIR={folder} must be an absolute path with a separate folder, such as "
            f"{RUN_DIR}"
        )
    (path,) = candidates(port, folder)
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise Refused(
            f"LIFECYCLE_RUN_DIR={folder} is too long. The path {path} of the control socket may have "
            f"at most {MAX_SOCKET_PATH} bytes"
        )
