"""
The settings of the server. `lifecycle fleet serve` hands them over to the process that serves.

The server is an ASGI app that `lifecycle run --asgi` imports, so it gets them by a variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

VARIABLE: Final = "FLEET_SERVE"
"""The variable, as JSON."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """
    The settings.

    Attributes:
        kubeconfig: A kubeconfig, or empty for those that kubectl reads.
        context: A context, or empty for the current one.
        namespace: A namespace, or empty for all.
        selector: A label selector for pods.
        all_pods: Show the pods without pod-lifecycle too.
        token: Ask each reader for a token.
        local: Only this machine can connect, so a request with another host name is refused.
    """

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    selector: str = ""
    all_pods: bool = False
    token: bool = False
    local: bool = False

    def to_variable(self) -> str:
        """Return the value of the variable."""
        return msgspec.json.encode(self).decode()


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Return the settings of the variable, or the defaults without it."""
    return msgspec.json.decode(environ.get(VARIABLE) or "{}", type=Settings)
