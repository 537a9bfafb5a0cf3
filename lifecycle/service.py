"""`Service`: one exported app service."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping

from lifecycle.contracts import Instance
from lifecycle.control.service_entry import ServiceEntry
from lifecycle.control.services import APP
from lifecycle.core import Core
from lifecycle.exceptions import AlreadyExported, Draining, NotRunning


class Service:
    """One app service that this process has exported."""

    def __init__(self, core: Core, entry: ServiceEntry) -> None:
        self._core = core
        self._entry = entry

    @property
    def name(self) -> str:
        """The name of the service."""
        return self._entry.instance.service

    @property
    def port(self) -> int | None:
        """The port of the service. None for a service without a port."""
        return self._entry.instance.port

    @property
    def online(self) -> bool:
        """True if neither an administrator nor the app has taken the service offline."""
        return self._entry.online

    @property
    def confirmed(self) -> bool:
        """True if every required registry has acknowledged the service, by its last answer."""
        return self._entry.confirmed

    async def registered(self) -> None:
        """
        Wait until every required registry has acknowledged the service.

        Raises:
            RegistrationRefused: A registry has refused the service permanently.
            Draining: The drain has started.
        """
        conductor = self._core.running()
        refusal: list[Exception] = []

        def settled() -> bool:
            if conductor.transitions.state.leaving:
                refusal.append(
                    Draining(
                        "registered() is not possible while the app is draining", see="draining"
                    )
                )
            elif (refused := self._entry.refusal()) is not None:
                refusal.append(refused)
            return bool(refusal) or self.confirmed

        try:
            await self._core.control.request(lambda: conductor.services.until(settled, self._entry))
        except NotRunning:
            raise Draining(
                "registered() is not possible after the app has ended", see="draining"
            ) from None
        if refusal:
            raise refusal[0]

    async def set_offline(self, reason: str = "") -> None:
        """
        Take the service offline. Returns when the service is deregistered.

        The offline reason is the app's own. A service is online only if neither the app nor an
        administrator has taken it offline. While the app drains, this method does nothing.
        """
        conductor = self._core.running()

        async def hold() -> None:
            if not conductor.transitions.state.leaving:
                conductor.services.hold([self.name], APP, reason)
                await conductor.services.until(lambda: self._entry.out or self.online, self._entry)

        with contextlib.suppress(NotRunning):  # as while draining, there is nothing to do
            await self._core.control.request(hold)

    async def set_online(self) -> None:
        """
        Remove the app's own offline reason. The reason of an administrator stays.

        Raises:
            Draining: The drain has started.
        """
        conductor = self._core.running()

        async def release() -> None:
            if conductor.transitions.state.leaving:
                raise Draining("online is not possible while the app is draining", see="draining")
            conductor.services.release([self.name], APP)

        try:
            await self._core.control.request(release)
        except NotRunning:
            raise Draining(
                "online is not possible after the app has ended", see="draining"
            ) from None


class Exported(Mapping[str, Service]):
    """
    The exported services, by name. The mapping always shows the current services.

    A lookup takes the same time for any number of services. May be used from any thread.
    """

    def __init__(self, core: Core, entries: Mapping[str, ServiceEntry]) -> None:
        self._core = core
        self._entries = entries

    def __getitem__(self, name: str) -> Service:
        return Service(self._core, self._entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._entries))  # the control thread adds to them

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Exported({', '.join(self)})"


def instance_of(
    name: str, port: int | None, host: str | None, protocol: str, metadata: dict[str, str]
) -> Instance:
    """Describe a service of this pod for a registry. The pod comes from the environment."""
    advertised = host or os.environ.get("POD_IP") or _own_address()
    pod = os.environ.get("POD_NAME") or os.environ.get("HOSTNAME") or socket.gethostname()
    return Instance(
        service=name,
        host=advertised,
        port=port,
        id=f"{pod}/{name}",
        protocol=protocol,
        namespace=os.environ.get("POD_NAMESPACE", "default"),
        version=metadata.get("version", ""),
        metadata=metadata,
    )


def check_same(known: Instance, port: int | None, host: str | None, protocol: str) -> None:
    """
    Check that a second export of a name has the same port, host and protocol.

    Raises:
        AlreadyExported: A value is different.
    """
    for field, there, asked in (
        ("port", known.port, port),
        ("host", known.host, host or known.host),
        ("protocol", known.protocol, protocol),
    ):
        if there != asked:
            raise AlreadyExported(
                f"export({known.service!r}, {field}={asked!r}): this name is already exported "
                f"with {field}={there!r}. Use another name.",
                see="already-exported",
            )


def _own_address() -> str:
    # Connecting a datagram socket sends nothing. The system only looks at its routing table.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])
