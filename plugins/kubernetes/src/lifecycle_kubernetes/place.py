"""Which pod this is, and how its API server is reached: what the kubelet has put there."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


class Enabled(StrEnum):
    """Whether the registry is used; `auto`: where there is a service account."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"

    def __bool__(self) -> bool:
        return self is not Enabled.FALSE

    @classmethod
    def _missing_(cls, value: object) -> Enabled:  # noqa: ARG003 - the core names it
        raise ValueError("must be auto, true or false")


@dataclass(frozen=True)
class Options:
    """
    Options, from `LIFECYCLE_KUBERNETES_*`.

    Args:
        enabled: `auto`, `true` or `false`.
        account: The folder with token, ca.crt and namespace.
        idle: Seconds of silence after which a watch is begun anew.

    Raises:
        ValueError: A value is out of its range.
    """

    enabled: Enabled = Enabled.AUTO
    account: str = SERVICE_ACCOUNT
    idle: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.idle <= 3600:
            raise ValueError(f"idle={self.idle!r}: must be from 1 to 3600 seconds")


@dataclass(frozen=True)
class Place:
    """Where this process is: its pod, and the account that speaks for it."""

    pod: str
    namespace: str
    account: str


class NoAccount(Exception):
    """There is no service account: this is no pod, or one without a token."""


def find_place(account: str, environ: Mapping[str, str] = os.environ) -> Place:
    """
    Find out which pod this is.

    Raises:
        NoAccount: The API server cannot be asked; the message says what is missing.
    """
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        if name not in environ:
            raise NoAccount(f"{name} is not set: this is no pod")
    if not os.path.exists(os.path.join(account, "token")):
        raise NoAccount(f"{account}/token is missing: automountServiceAccountToken is false?")
    for name in ("ca.crt", "namespace"):
        if not os.path.exists(os.path.join(account, name)):
            raise NoAccount(f"{account}/{name} is missing: the account is mounted in part")
    with open(os.path.join(account, "namespace"), encoding="utf-8") as file:
        own_namespace = file.read().strip()
    return Place(
        pod=environ.get("POD_NAME") or socket.gethostname(),
        namespace=environ.get("POD_NAMESPACE") or own_namespace,
        account=account,
    )
