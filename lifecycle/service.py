"""One exported service, as the app holds it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping

from lifecycle.contracts import Instance
from lifecycle.control.services import APP, ServiceEntry
from lifecycle.core import Core
from lifecycle.exceptions import AlreadyExported, Draining, NotRunning


class Service:
    """One exported service of this process."""

    def __init__(self, core: Core, entry: ServiceEntry) -> None:
        self._core = core
        self._entry = entry

    @property
    def name(self) -> str:
        """Its name."""
        return self._entry.instance.service

    @property
    def port(self) -> int | None:
        """Its port, if it has one."""
        return self._entry.instance.port

    @property
    def online(self) -> bool:
        """True if neither the operator nor the app holds it offline."""
        return self._entry.online

    @property
    def confirmed(self) -> bool:
        """True if every required registry has acknowledged it, as far as is known."""
        return self._entry.confirmed

    async def registered(self) -> None:
        """
        Wait until every required registry has acknowledged it.

        Raises:
            RegistrationRefused: One never will.
            Draining: It is too late.
        """
        conductor = self._core.running()
        refusal: list[Exception] = []

        def settled() -> bool:
            if conductor.transitions.state.leaving:
                refusal.append(Draining("the app is leaving"))
            elif (refused := self._entry.refusal()) is not None:
                refusal.append(refused)
            return bool(refusal) or self.confirmed

        try:
            await self._core.control.request(lambda: conductor.services.until(settled, self._entry))
        except NotRunning:
            raise Draining("the app has left") from None
        if refusal:
            raise refusal[0]

    async def set_offline(self, reason: str = "") -> None:
        """Hold it offline, for the app; returns once it is deregistered. No-op while draining."""
        conductor = self._core.running()

        async def hold() -> None:
            if not conductor.transitions.state.leaving:
                conductor.services.hold([self.name], APP, reason)
                await conductor.services.until(lambda: self._entry.out or self.online, self._entry)

        with contextlib.suppress(NotRunning):  # as while draining: nothing is left to do
            await self._core.control.request(hold)

    async def set_online(self) -> None:
        """
        Release the app's own hold; the operator's stays.

        Raises:
            Draining: It is too late.
        """
        conductor = self._core.running()

        async def release() -> None:
            if conductor.transitions.state.leaving:
                raise Draining("online: too late, the app is leaving")
            conductor.services.release([self.name], APP)

        try:
            await self._core.control.request(release)
        except NotRunning:
            raise Draining("online: too late, the app has left") from None


class Exported(Mapping[str, Service]):
    """
    The exported services by name, as they are at any moment.

    To look one up costs the same however many there are. It may be used from any thread.
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
    """Describe a service of this pod to a registry; the environment says which pod it is."""
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
    Check that what is exported again is what is exported already.

    Raises:
        AlreadyExported: It is another.
    """
    for field, there, asked in (
        ("port", known.port, port),
        ("host", known.host, host or known.host),
        ("protocol", known.protocol, protocol),
    ):
        if there != asked:
            raise AlreadyExported(
                f"export({known.service!r}, {field}={asked!r}): it is exported already, with "
                f"{field}={there!r}; give the other one a name of its own"
            )


def _own_address() -> str:
    # Connecting a datagram socket sends nothing; it only asks the routing table.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])
