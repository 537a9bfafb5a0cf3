"""The options of the plugin."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from lifecycle_redis.url import Address, read_url


class LayoutName(StrEnum):
    """How the entries are written."""

    PLAIN = "plain"
    DUBBO = "dubbo"

    @classmethod
    def _missing_(cls, value: object) -> LayoutName:  # noqa: ARG003 - the core adds it
        raise ValueError("must be plain or dubbo")


@dataclass(frozen=True)
class Options:
    """
    The options `LIFECYCLE_REDIS_*`.

    Args:
        url: The URL of the registry. Empty if there is none.
        layout: How the entries are written.
        ttl: Seconds after which the entry of a dead process is gone. None for 15, or 60 with the
            layout `dubbo`.
        settle: Seconds that clients need to notice that an address is gone. None for the setting
            `settle`, or 6 with the layout `dubbo`.
        password_file: A file with the password, which is read for each connection.
        ca_file: A file with the certificates of the authorities, for `rediss://`.
        certificate_file: A file with the client certificate, for `rediss://`.
        key_file: A file with the key of the client certificate.

    Raises:
        ValueError: A value is out of range, or two values do not fit together.
    """

    url: str = field(default="", repr=False)
    layout: LayoutName = LayoutName.PLAIN
    ttl: float | None = None
    settle: float | None = None
    password_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    def __post_init__(self) -> None:
        if not self.url:
            return
        try:
            address = self.address
        except ValueError as wrong:
            raise ValueError(f"url: {wrong}") from None
        if self.ttl is not None and not 5 <= self.ttl <= 3600:
            raise ValueError(f"ttl={self.ttl!r}: must be from 5 to 3600 seconds")
        if self.settle is not None and not 0 <= self.settle <= 3600:
            raise ValueError(f"settle={self.settle!r}: must be from 0 to 3600 seconds")
        if address.password and self.password_file:
            raise ValueError("password_file: the url has a password too. Remove one of the two")
        for name in ("ca_file", "certificate_file", "key_file"):
            if getattr(self, name) and not address.tls:
                raise ValueError(f"{name}: the url must start with rediss://")
        if bool(self.certificate_file) is not bool(self.key_file):
            raise ValueError("certificate_file and key_file: set both, or none of the two")

    @property
    def enabled(self) -> bool:
        """True if there is a registry."""
        return bool(self.url)

    @cached_property
    def address(self) -> Address:
        """The address of the registry."""
        return read_url(self.url)

    @property
    def lease(self) -> float:
        """Seconds after which the entry of a dead process is gone."""
        return self.ttl or (60.0 if self.layout is LayoutName.DUBBO else 15.0)

    @property
    def notice(self) -> float | None:
        """Seconds that clients need to notice that an address is gone. None for the setting."""
        if self.settle is None and self.layout is LayoutName.DUBBO:
            return 6.0
        return self.settle
