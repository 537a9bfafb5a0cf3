"""The options of the plugin, with the URLs of the sidecar."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

READY = "http://127.0.0.1:15021/healthz/ready"
QUIT = "http://127.0.0.1:15020/quitquitquit"


class Url(NamedTuple):
    """An endpoint of the sidecar."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the header `Host`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"http://{self.authority}{self.path}"


@dataclass(frozen=True)
class Options:
    """
    The options `LIFECYCLE_ISTIO_*`.

    Raises:
        ValueError: A URL is not a loopback URL, or the timeout is out of range.
    """

    wait: bool = field(
        default=False, metadata={"describe": "Start main only when the sidecar is ready."}
    )
    wait_timeout: float = field(
        default=60.0, metadata={"describe": "Seconds after which the start fails."}
    )
    quit: bool = field(
        default=False, metadata={"describe": "End the sidecar after main has ended."}
    )
    ready_url: str = field(
        default=READY, metadata={"describe": "URL that returns 200 when the sidecar is ready."}
    )
    quit_url: str = field(
        default=QUIT, metadata={"describe": "URL that ends the sidecar with a POST."}
    )

    @property
    def enabled(self) -> bool:
        """True if the plugin has something to do."""
        return self.wait or self.quit

    def __post_init__(self) -> None:
        if not 0.1 <= self.wait_timeout <= 3600:
            raise ValueError(
                f"wait_timeout={self.wait_timeout!r}: must be from 0.1 to 3600 seconds"
            )
        for name in ("ready_url", "quit_url"):
            try:
                read_url(getattr(self, name))
            except ValueError as wrong:
                raise ValueError(f"{name}={getattr(self, name)!r}: {wrong}") from None


def read_url(text: str) -> Url:
    """
    Read a URL of the sidecar.

    Raises:
        ValueError: The URL is not plain HTTP on a loopback address.
    """
    wanted = "must be http://ADDRESS:PORT/PATH with a loopback address"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise ValueError(wanted) from None
    plain = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme != "http" or not loopback or not port or "@" in parts.netloc or not plain:
        raise ValueError(wanted)
    return Url(host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
