"""
What `/status` shows, as typed records.

Each record has one function that makes it, next to the thing that it shows. All values are
what JSON can hold. Points in time are seconds since the epoch, ages and durations are seconds.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class RegistrationStatus(TypedDict):
    """
    One service in one service registry. The registry may add fields of its own.

    Attributes:
        registered: `yes`, `no` or `unknown`.
        required: Whether readiness waits for this registry.
        reason: What is wrong; empty if nothing is.
    """

    registered: str
    required: bool
    reason: str


class ServiceStatus(TypedDict):
    """
    One exported service.

    Attributes:
        name: The name that clients look for.
        port: The port, or null.
        online: Whether nobody holds the service offline.
        held_by: Who holds it offline (`operator`, `app`), each with the reason.
        registrations: For each registry, by name, the registration there.
    """

    name: str
    port: int | None
    online: bool
    held_by: dict[str, str]
    registrations: dict[str, RegistrationStatus]


class ProbeStatus(TypedDict):
    """
    The last answer of one probe.

    Attributes:
        kind: `startup`, `readiness` or `liveness`.
        name: The name of the probe, as in `/ready?verbose`.
        ok: The answer.
        ms: How many milliseconds the answer took.
        reason: Why, in the probe's own words.
        age: How many seconds ago the probe answered.
    """

    kind: str
    name: str
    ok: bool
    ms: float
    reason: str
    age: float


TransitionStatus = TypedDict(
    "TransitionStatus", {"from": str, "to": str, "at": float, "cause": str}
)
TransitionStatus.__doc__ = """
    One step from state to state.

    Attributes:
        from: The state before.
        to: The state after.
        at: When the step was taken, in seconds since the epoch.
        cause: What caused it, for example `SIGTERM`.
    """


class DrainStatus(TypedDict):
    """
    The drain under way, or the one that is over.

    Attributes:
        step: What is done now.
        cause: What began the drain.
        deadline: How many seconds are left to wait for work in flight.
        elapsed: Seconds since the drain began.
        steps: How many seconds after the beginning each step was over.
        waiting_for: What holds the drain up now, by name.
        disturbed_by: Which clients still send most requests, and so delay the end of the drain.
    """

    step: str
    cause: str
    deadline: float
    elapsed: float
    steps: dict[str, float]
    waiting_for: list[str]
    disturbed_by: list[str]


class PluginStatus(TypedDict):
    """
    One plugin.

    Attributes:
        name: The name of the plugin.
        ok: Whether it works.
        problem: Why it does not; empty if it does.
    """

    name: str
    ok: bool
    problem: str


class WorkerStatus(TypedDict):
    """
    One worker of a command: a process that serves, and tells what it does.

    Attributes:
        pid: The id of its process.
        server: The server that it runs.
        age: How many seconds ago it began to serve.
        stalled: For how many seconds it has made no progress: its event loop has not come round,
            or all its threads are busy and have not ended a request.
        in_flight: How many requests are under way. Before a drain it may be a quarter of a second
            old.
        served: How many requests it has served. The same holds.
    """

    pid: int
    server: str
    age: float
    stalled: float
    in_flight: int
    served: int


class Snapshot(TypedDict):
    """
    What `/status` shows, and `Lifecycle.snapshot` returns.

    Attributes:
        state: The state of the app.
        since: Since when the app is in this state, in seconds since the epoch.
        in_flight: How many pieces of work are under way.
        services: The exported services.
        probes: The last answer of each probe.
        transitions: Every step from state to state so far.
        drain: The drain, or null while there is none.
        workers: The workers of a command, as far as they tell; empty for an app.
        plugins: The loaded plugins, then those that failed.
        pid: The id of the process.
        version: The version of pod-lifecycle.
    """

    state: str
    since: float
    in_flight: int
    services: list[ServiceStatus]
    probes: list[ProbeStatus]
    transitions: list[TransitionStatus]
    drain: DrainStatus | None
    workers: NotRequired[list[WorkerStatus]]
    plugins: list[PluginStatus]
    pid: int
    version: str
