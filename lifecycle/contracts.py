"""The types that plugins use: probe results, registries, commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar

from lifecycle.exceptions import explained

F = TypeVar("F", bound=Callable[..., Any])

PROBE_MARK: Final = "__lifecycle_probe__"
INLINE_MARK: Final = "__lifecycle_inline__"


class Kind(StrEnum):
    """The three kinds of probes of Kubernetes."""

    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


@dataclass(frozen=True)
class ProbeResult:
    """
    One answer of a probe.

    Args:
        ok: True if the check has passed.
        reason: The reason, which `/ready?verbose` shows. Never put a secret into it.
        name: A name for this answer, if your plugin checks several things. It is shown as
            `plugin.name`.
    """

    ok: bool
    reason: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.ok, bool):
            raise explained(
                TypeError(f"ProbeResult.ok must be a bool, not {self.ok!r}"),
                see="plugin-written-wrongly",
            )
        if not isinstance(self.reason, str) or not isinstance(self.name, str):
            raise explained(
                TypeError(f"ProbeResult's reason and name must be text, not {self.reason!r}"),
                see="plugin-written-wrongly",
            )


class ProbeOptions(NamedTuple):
    """The options of a probe hook. `lifecycle.probe` sets them."""

    timeout: float | None = None
    every: float | None = None


def probe(*, timeout: float | None = None, every: float | None = None) -> Callable[[F], F]:
    """
    Set how one probe hook is called. A decorator for below `@hookimpl`.

    Args:
        timeout: Seconds that a call may take, from 0.01 to 60, instead of `probe_timeout`. Use a
            shorter time than `timeoutSeconds` of the probe in your manifest.
        every: Seconds between two calls in the background, from 0.1 to 86400. The probe then
            answers with the last result and the age of this result.

    Raises:
        ValueError: A value is out of range.
    """
    for name, value, low, high in (("timeout", timeout, 0.01, 60), ("every", every, 0.1, 86400)):
        if value is not None and not low <= value <= high:
            raise explained(
                ValueError(f"probe({name}={value!r}): must be between {low} and {high} seconds"),
                see="plugin-written-wrongly",
            )

    def mark(function: F) -> F:
        setattr(function, PROBE_MARK, ProbeOptions(timeout, every))
        return function

    return mark


def inline(function: F) -> F:
    """
    Run this hook on the control loop, without a thread and without a cache.

    Only for the built-in plugins. A hook that blocks here blocks the probes.
    """
    setattr(function, INLINE_MARK, True)
    return function


@dataclass(frozen=True)
class Instance:
    """
    One app service with its address, for a registry.

    Attributes:
        service: The name of the service.
        host: The address to publish.
        port: The port, or None.
        id: A unique id, `POD/SERVICE`.
        protocol: The protocol that was passed to `export`.
        namespace: The namespace of the pod (`POD_NAMESPACE`).
        version: The value of `version` in the metadata, or empty.
        metadata: The metadata that was passed to `export`.
    """

    service: str
    host: str
    port: int | None
    id: str
    protocol: str = ""
    namespace: str = "default"
    version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class _Named(Protocol):
    # In a protocol, a name without a value is abstract, so type checkers report a missing name.
    name: str


class Registry(_Named, ABC):
    """
    A service registry, in which clients look for services. Never block in its methods.

    All methods run on the control loop. For each service, pod-lifecycle calls one method at a
    time, and tries a failed call again with backoff. Before `deregister` and `forget`, it cancels
    the method that is running. The message of a `LifecycleError` is shown as it is. Any other error
    is shown with the name of its class.

    Only change entries that belong to this process. Another pod, or the successor of this one, may
    use the same name or the same address. So compare the owner of an entry (for example its session,
    its lease or its id), and not only whether the entry exists.

    Attributes:
        name: The name in logs and settings. Set it in the class or in `__init__`. Type checkers
            refuse a property.
        required: Whether the state REGISTERED and readiness wait for this registry.
        settle: The seconds that clients of this registry need to notice that an address is gone. A
            drain uses the setting `settle`, or the longest value of its registries if that is
            longer. None means that the setting is long enough. Set it before `__aenter__` returns.
        retry: The longest pause in seconds between two tries, from 0.1 to 3600. If `keep` ends
            sooner than this, the pauses before the next tries become longer.
    """

    required: bool = True
    settle: float | None = None
    retry: float = 15.0

    async def __aenter__(self) -> Self:
        """Open connections. Do not wait here for a server that does not answer."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections, within 0.5 s."""
        return

    @abstractmethod
    async def register(self, instance: Instance) -> None:
        """
        Register a service. Return when the registry has acknowledged it.

        The method must be idempotent, because it is called again after an error, a loss or a
        cancelled call that may have worked. If the entry exists and belongs to this process,
        update it. If the entry belongs to another owner that is alive, raise an error, and do not
        overwrite it.

        Raises:
            RegistrationRefused: The registry will never accept the service. After any other
                error, pod-lifecycle tries again.
        """

    @abstractmethod
    async def deregister(self, instance: Instance) -> None:
        """
        Deregister a service. Return when the registry sends no new client to it.

        In most registries, remove the entry. If this cuts off the calls that run on the address, only
        make sure that no new call comes, and remove the entry in `forget`.

        The method must be idempotent, because it is called again after an error, and also for an
        entry that is already gone. Never remove an entry of another owner.
        """

    @abstractmethod
    async def keep(self, instance: Instance) -> str:
        """
        Keep a registration alive, for example by a heartbeat or a watch, until it is lost.

        The registration is lost if the entry is gone, or if it belongs to another owner now. Then
        return, and pod-lifecycle calls `register` again.

        If the state is unknown, for example because the server does not answer, raise an exception.
        Then the last state stays, and pod-lifecycle calls the method again. The method may be
        called more than once for one registration.

        Returns:
            The reason, when the registry reports that the registration is lost.
        """

    async def forget(self, instance: Instance) -> None:  # noqa: ARG002 - for subclasses
        """
        Remove everything that is left of a service. Return when the registry has removed it.

        This method is optional. Override it only if `deregister` leaves an entry behind, because
        the address must stay known while calls are running.

        pod-lifecycle calls `forget` for each service that `register` was ever called for, on every
        way in which the app ends. The call comes once the drain is over, before `main` is told to
        stop. If the plugin of the registry is removed, the call comes directly after `deregister`.

        If `deregister` has not succeeded by then, it is cancelled, so also do its work here. If a
        service is taken offline, only `deregister` is called, and `forget` follows when the drain
        is over.

        The method must be idempotent. If it fails, it is called again until the registry is closed.
        Never remove an entry of another owner.
        """
        return

    def describe(self, instance: Instance) -> Mapping[str, object]:  # noqa: ARG002 - for subclasses
        """
        Return details of a registration, for `/status` and the drain report.

        This method is optional. The values must be JSON types. The method must return at once,
        without a call to the registry.
        """
        return {}


class Level(IntEnum):
    """
    The permission that a caller of a command needs.

    Attributes:
        PUBLIC: For any caller.
        PROTECTED: For callers on the loopback address of the pod, and addresses in `qos_allow`.
        PRIVATE: For the control socket in the container, and callers with the token.
    """

    PUBLIC = 0
    PROTECTED = 1
    PRIVATE = 2


class Request(NamedTuple):
    """
    One call of a command.

    Attributes:
        arguments: The arguments from the query. In `/command/NAME`, NAME is the argument `name`.
        caller: The caller for the log: its address, or `unix socket`.
        level: The permission level of the caller.
        gone: An async function that returns when the caller has disconnected.
        accept: The value of the header `Accept`, or empty.
    """

    arguments: Mapping[str, str]
    caller: str
    level: Level
    gone: Callable[[], Awaitable[None]]
    accept: str = ""


class Reply(NamedTuple):
    """
    The answer of a command.

    Args:
        body: Text, or a value that can be written as JSON. With a `content_type`, it must be text.
        status: The status code.
        content_type: The media type, for example `text/html; charset=utf-8`. By default, it is
            `text/plain` for text, and `application/json` for any other value.
        headers: More headers of the response, as pairs of name and value.
    """

    body: Any
    status: int = 200
    content_type: str = ""
    headers: Sequence[tuple[str, str]] = ()


class CommandHandler(Protocol):
    """A plain or async function. Async functions run on the app's loop."""

    def __call__(self, request: Request, /) -> Any:
        """Answer one request."""


class Command(NamedTuple):
    """
    A command on the probe port, which is called QOS port after Dubbo.

    Call a command with `GET /name`, or with `POST /name` if it changes something.

    Args:
        name: The path without the slash, in lower-case letters, digits and dashes. An empty name
            stands for `GET /`.
        handler: The function. It gets a `Request`, and returns text, a value that can be written
            as JSON, or a `Reply`.
        help: One line for `/help`.
        level: The permission that a caller needs.
        changes: True if the command changes something. Then only POST is allowed, each call is
            logged, and a call over TCP needs the header `X-Lifecycle`.
        timeout: Seconds that a call may take. None means as long as the caller stays connected.
        token_get: Whether GET with the token is allowed too, for the kubelet's `httpGet`.
    """

    name: str
    handler: CommandHandler
    help: str = ""
    level: Level = Level.PROTECTED
    changes: bool = False
    timeout: float | None = 10.0
    token_get: bool = False
