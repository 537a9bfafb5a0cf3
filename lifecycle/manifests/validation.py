"""What Kubernetes, or the app, would refuse: said before anything is written."""

from __future__ import annotations

import os.path
import re
from decimal import Decimal
from typing import Final

from lifecycle.manifests.names import RUN_DIR
from lifecycle.qos.control_socket import candidates

AMOUNTS: Final = {"cpu": ("1m", "10k"), "memory": ("1Mi", "1Pi")}
"""The least and the most that a container is given."""
MAX_SOCKET_PATH: Final = 107
"""Bytes: unix(7) has 108 for the path of a socket and its end."""
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


class Refused(Exception):
    """Such manifests are not written; the message says why."""


def check_label(option: str, name: str) -> None:
    """Refuse what Kubernetes takes for no name."""
    if not _LABEL.fullmatch(name):
        raise Refused(
            f"{option} {name!r}: Kubernetes takes lower-case letters, digits and dashes, at most "
            "63, beginning with a letter"
        )


def check_text(what: str, text: str) -> None:
    """Refuse bytes that are no text: a manifest is UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(f"{what}: no text in UTF-8") from None


def check_amount(of: str, text: str) -> None:
    """Refuse what is no quantity, and one that no container can have."""
    least, most = AMOUNTS[of]
    amount = _amount(text)
    if amount is None or not (_amount(least) or 0) <= amount <= (_amount(most) or 0):
        raise Refused(f"--{of} {text!r} is no quantity from {least} to {most}, like 500m or 256Mi")


def _amount(text: str) -> Decimal | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number, exponent, suffix = match.groups("")
    return Decimal(number + exponent) * _FACTORS[suffix]


def check_run_dir(folder: str, port: int) -> None:
    """Refuse a folder over which no volume can be mounted, or where the app opens no socket."""
    parts = [part for part in os.path.normpath(folder).split("/") if part]
    # What stands directly under the root is the image's, or the kernel's.
    if not os.path.isabs(folder) or ":" in folder or len(parts) < 2 or parts[0] in ("proc", "sys"):
        raise Refused(f"LIFECYCLE_RUN_DIR={folder}: must be a folder of its own, like {RUN_DIR}")
    (path,) = candidates(port, folder)
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise Refused(
            f"LIFECYCLE_RUN_DIR={folder}: {path} is longer than the {MAX_SOCKET_PATH} bytes that "
            "the path of a socket may have"
        )
