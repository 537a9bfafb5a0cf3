"""What a plugin exchanges with the core: verdicts, registries, commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

PROBE_MARK: Final = "__lifecycle_probe__"
INLINE_MARK: Final = "__lifecycle_inline__"


class Kind(StrEnum):
    """The three questions Kubernetes asks."""

    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


@dataclass(frozen=True)
class ProbeResult:
    """
    One answer of a probe.

    Args:
        ok: The verdict.
        reason: Why, for the person who reads `?verbose`; never a secret.
        name: Set when one plugin answers for several things; shown as `plugin.name`.
    """

    ok: bool
    reason: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.ok, bool):
            raise TypeError(f"ProbeResult.ok must be a bool, not {self.ok!r}")
        if not isinstance(self.reason, str) or not isinstance(self.name, str):
            raise TypeError(f"ProbeResult's reason and name must be text, not {self.reason!r}")


class ProbeOptions(NamedTuple):
    """How a hook wants to be called; set by `lifecycle.probe`."""

    timeout: float | None = None
    every: float | None = None


def probe(*, timeout: float | None = None, every: float | None = None) -> Callable[[F], F]:
    """
    Say how one hook implementation is called; put it under `@hookimpl`.

    Args:
        timeout: Seconds, 0.01 to 60, this call may take, instead of `probe_timeout`.
            Keep it under the kubelet's own `timeoutSeconds`.
        every: Seconds, 0.1 to 86400: call it in the background with this period and
            answer with its last result and that result's age.

    Raises:
        ValueError: A value is out of its range.
    """
    for name, value, low, high in (("timeout", timeout, 0.01, 60), ("every", every, 0.1, 86400)):
        if value is not None and not low <= value <= high:
            raise ValueError(f"probe({name}={value!r}): must be between {low} and {high} seconds")

    def mark(function: F) -> F:
        setattr(function, PROBE_MARK, ProbeOptions(timeout, every))
        return function

    return mark


def inline(function: F) -> F:
    """
    Run this hook on the control loop itself, without a thread and without a cache.

    For the built-in plugins only: what blocks here blocks the probes.
    """
    setattr(function, INLINE_MARK, True)
    return function


@dataclass(frozen=True)
class Instance:
    """One service of this process, as a registry is told of it."""

    service: str
    host: str
    port: int | None
    id: str
    protocol: str = ""
    namespace: str = "default"
    version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class _Named(Protocol):
    # Of a protocol what has no value is abstract: type checkers miss a name that is not given.
    name: str


class Registry(_Named, ABC):
    """
    Where consumers look for services. Lives on the control loop: never block in it.

    The core calls one method at a time per service, retries what fails with backoff,
    and cancels whatever is under way before it calls `deregister`. An error is shown with
    its class's name, a `LifecycleError` as it is.

    Attributes:
        name: How it is shown and configured. Set it in the class or in `__init__`: type checkers
            refuse a property.
        required: Whether `REGISTERED` and readiness wait for it.
    """

    required: bool = True

    async def __aenter__(self) -> Self:
        """Open connections. Must not wait for a server that is away."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close what was opened; has 0.5 s."""
        return

    @abstractmethod
    async def register(self, instance: Instance) -> None:
        """
        Register; returning means that the registry has acknowledged. Idempotent.

        Raises:
            RegistrationRefused: It will never be accepted. Anything else is retried.
        """

    @abstractmethod
    async def deregister(self, instance: Instance) -> None:
        """Take it out; returning means that it is out. Idempotent."""

    @abstractmethod
    async def keep(self, instance: Instance) -> str:
        """
        Keep a registration alive (heartbeat, watch) for as long as it lives.

        Returns:
            Why the registration is lost, once the registry has said so. An exception
            means that nobody knows: the last verdict stays, and it is tried again.
        """

    def describe(self, instance: Instance) -> Mapping[str, object]:  # noqa: ARG002 - for who knows more
        """
        Say what else is known of a registration: shown in `/status` and the drain's report.

        Optional; at once, without asking anybody; what JSON can hold.
        """
        return {}


class Level(IntEnum):
    """Who may call a command; see the security model in the documentation."""

    PUBLIC = 0
    PROTECTED = 1
    PRIVATE = 2


class Request(NamedTuple):
    """
    One call of a command.

    Attributes:
        arguments: From the query; `name` also from `/command/NAME`.
        caller: Who calls, for the log: an address, or `socket:uid`.
        level: The caller's own level.
        gone: Returns once the caller has hung up.
    """

    arguments: Mapping[str, str]
    caller: str
    level: Level
    gone: Callable[[], Awaitable[None]]


class Reply(NamedTuple):
    """What a command answers; `body` is text, or anything that JSON can hold."""

    body: Any
    status: int = 200


class CommandHandler(Protocol):
    """A plain or async function; async ones run on the app's loop."""

    def __call__(self, request: Request, /) -> Any:
        """Answer one request."""


class Command(NamedTuple):
    """
    A command on the QOS port: `GET /name`, or `POST /name` if it changes something.

    Args:
        name: The path, without the slash: lower-case letters, digits and dashes.
        handler: Called with a `Request`; answers text, JSON-able data or a `Reply`.
        help: One line for `/help`.
        level: Who may call it.
        changes: True if it changes something: then it is POST only, over TCP with the header
            `X-Lifecycle`, and logged.
        timeout: Seconds it may take; None: as long as its caller stays.
        token_get: May also be called by GET with the token (the kubelet's httpGet).
    """

    name: str
    handler: CommandHandler
    help: str = ""
    level: Level = Level.PROTECTED
    changes: bool = False
    timeout: float | None = 10.0
    token_get: bool = False
