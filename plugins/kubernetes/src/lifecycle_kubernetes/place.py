"""The name of this pod, and its access to the API server, from the files of the kubelet."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lifecycle_kubernetes.event_names import chosen

SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"


class Enabled(StrEnum):
    """Whether the registry is used. `auto` means if there is a service account."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"

    def __bool__(self) -> bool:
        return self is not Enabled.FALSE

    @classmethod
    def _missing_(cls, value: object) -> Enabled:  # noqa: ARG003 - the core adds it
        raise ValueError("must be auto, true or false")


@dataclass(frozen=True)
class Options:
    """
    The options `LIFECYCLE_KUBERNETES_*`.

    Args:
        enabled: `auto`, `true` or `false`.
        account: The folder with token, ca.crt and namespace.
        idle: Seconds of silence after which a watch is started again.
        status: Whether the pod gets the annotation with the state of the app.
        events: The Kubernetes Events to send: `all`, `none`, or names of events.
        slow_start_after: Seconds of a start after which the event StartSlow is sent.

    Raises:
        ValueError: A value is out of range.
    """

    enabled: Enabled = Enabled.AUTO
    account: str = SERVICE_ACCOUNT
    idle: float = 60.0
    status: bool = True
    events: tuple[str, ...] = ("all",)
    slow_start_after: float = 30.0

    def __post_init__(self) -> None:
        if not 1 <= self.idle <= 3600:
            raise ValueError(f"idle={self.idle!r}: must be from 1 to 3600 seconds")
        if not 1 <= self.slow_start_after <= 86400:
            raise ValueError(
                f"slow_start_after={self.slow_start_after!r}: must be from 1 to 86400 seconds"
            )
        chosen(self.events)

    @property
    def chosen_events(self) -> frozenset[str]:
        """The names of the events to send."""
        return chosen(self.events)


@dataclass(frozen=True)
class Place:
    """The pod of this process, and its service account."""

    pod: str
    namespace: str
    account: str


class NoAccount(Exception):
    """There is no service account, because this is not a pod or a pod without a token."""


def find_place(account: str, environ: Mapping[str, str] = os.environ) -> Place:
    """
    Find the pod of this process.

    Raises:
        NoAccount: There is no access to the API server. The message contains what is missing.
    """
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        if name not in environ:
            raise NoAccount(f"{name} is not set, so this is not a pod")
    if not os.path.exists(os.path.join(account, "token")):
        raise NoAccount(f"{account}/token is missing. Check automountServiceAccountToken")
    for name in ("ca.crt", "namespace"):
        if not os.path.exists(os.path.join(account, name)):
            raise NoAccount(f"{account}/{name} is missing. The account is mounted only in part")
    with open(os.path.join(account, "namespace"), encoding="utf-8") as file:
        own_namespace = file.read().strip()
    return Place(
        pod=environ.get("POD_NAME") or socket.gethostname(),
        namespace=environ.get("POD_NAMESPACE") or own_namespace,
        account=account,
    )
