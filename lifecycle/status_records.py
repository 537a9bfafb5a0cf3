"""
The content of `/status`, as typed records.

For each record there is one function that makes it, in the module of the shown object. All values
can be written as JSON. Times are seconds since the epoch. Ages and durations are in seconds.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class RegistrationStatus(TypedDict):
    """
    One service in one service registry. The registry may add its own fields.

    Attributes:
        wanted: Whether the service is to be registered there.
        registered: Whether it is: `yes`, `no` or `unknown`.
        since: The time at which `registered` got this value, in seconds since the epoch.
        required: Whether readiness waits for this registry.
        reason: The last error, or empty if the registry has confirmed since then.
        next_try: The seconds until the next try. Null if a try is running, or none is needed.
    """

    wanted: NotRequired[bool]
    registered: str
    since: NotRequired[float]
    required: bool
    reason: str
    next_try: NotRequired[float | None]


class ServiceStatus(TypedDict):
    """
    One exported service.

    Attributes:
        name: The name that clients look for.
        port: The port, or null.
        online: Whether the service is online.
        held_by: The offline reasons, by source: `operator` (an administrator) or `app`.
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
        ms: The time that the answer took, in milliseconds.
        reason: The reason that the probe gave.
        age: The age of the answer, in seconds.
    """

    kind: str
    name: str
    ok: bool
    ms: float
    reason: str
    age: float


class Histogram(TypedDict):
    """
    The numbers of runs by their duration, which `ProbeRuns` and `RegistrationRuns` contain.

    Attributes:
        bounds: The upper bounds of the buckets, in seconds, in ascending order.
        counts: The number of runs in each bucket. The last bucket has no upper bound.
        seconds: The seconds of all runs together.
    """

    bounds: list[float]
    counts: list[int]
    seconds: float


class ProbeRuns(TypedDict):
    """
    The durations of the runs of one probe. Built-in probes are not measured.

    Attributes:
        kind: `startup`, `readiness` or `liveness`.
        plugin: The plugin of the probe.
        bounds: The upper bounds of the buckets, in seconds, in ascending order.
        counts: The number of runs in each bucket. The last bucket has no upper bound.
        seconds: The seconds of all runs together.
    """

    kind: str
    plugin: str
    bounds: list[float]
    counts: list[int]
    seconds: float


class RegistrationRuns(TypedDict):
    """
    The durations of all successful registrations in one service registry.

    Attributes:
        registry: The name of the registry.
        bounds: The upper bounds of the buckets, in seconds, in ascending order.
        counts: The number of registrations in each bucket. The last bucket has no upper bound.
        seconds: The seconds of all registrations together.
    """

    registry: str
    bounds: list[float]
    counts: list[int]
    seconds: float


TransitionStatus = TypedDict(
    "TransitionStatus", {"from": str, "to": str, "at": float, "cause": str}
)
TransitionStatus.__doc__ = """
    One transition from one state to the next.

    Attributes:
        from: The old state.
        to: The new state.
        at: The time, in seconds since the epoch.
        cause: The cause, for example `SIGTERM`.
    """


class DrainStatus(TypedDict):
    """
    The drain that is running, or that is over.

    Attributes:
        step: The current step.
        cause: The cause of the drain, for example `SIGTERM`.
        deadline: The seconds that are left to wait for work in flight.
        elapsed: The seconds since the drain started.
        steps: For each finished step, the seconds from the drain start to its end.
        waiting_for: The names of everything that the drain waits for now. Under
            `lifecycle run -- COMMAND`, the requests of each worker are a number. `/inflight` has
            their names.
        disturbed_by: The clients that still send most requests, and so delay the end of the drain.
        last_connection: Seconds after the drain start at which the last new connection came. Null
            if not known, 0 if none came. The first request on a connection counts.
        last_request: Seconds after the drain start at which the last request came. Null if not
            known, 0 if none came. Health checks do not count, here and below.
        arrivals: The number of requests in each second after the drain start, or null. The last of
            120 numbers counts all later ones too.
        connections: The number of new connections in each second, in the same way.
        listened: Seconds after the drain start until the server has stopped listening, or null.
        after_closing: The connections that were in the accept queue when the listener closed, or
            null.
        cut_off: The work that was cut off so far, with its age and the line at which it stood.
    """

    step: str
    cause: str
    deadline: float
    elapsed: float
    steps: dict[str, float]
    waiting_for: list[str]
    disturbed_by: list[str]
    last_connection: float | None
    last_request: float | None
    arrivals: list[int] | None
    connections: list[int] | None
    listened: float | None
    after_closing: int | None
    cut_off: list[str]


class MaintenanceStatus(TypedDict):
    """
    The times of a maintenance, while every app service is offline.

    Attributes:
        elapsed: The seconds since the last app service went offline. From then on, clients are told
            to close their connections.
        settled: Whether `settle` has passed. Idle connections, WebSockets and event streams are
            then ended.
    """

    elapsed: float
    settled: bool


class StepStatus(TypedDict):
    """
    One step of the start. Steps may run side by side.

    Attributes:
        name: The name of the step, for example `imports` or `registration orders@kubernetes`.
        began: The start of the step, in seconds since the process started.
        seconds: Its duration in seconds, so far if it still runs.
        running: Whether it still runs. Left out if it has ended.
    """

    name: str
    began: float
    seconds: float
    running: NotRequired[bool]


class StartStatus(TypedDict):
    """
    The start of the app.

    Attributes:
        seconds: The seconds from the start of the process to READY, so far if it still starts.
        over: Whether the app has been READY, or the start has failed.
        steps: The steps in their order, at most 200. Of many finished steps, the longest ones.
        slowest: The name of the longest step.
    """

    seconds: float
    over: bool
    steps: list[StepStatus]
    slowest: str


class PluginStatus(TypedDict):
    """
    One plugin.

    Attributes:
        name: The name of the plugin.
        ok: Whether the plugin works.
        problem: The problem, or empty.
    """

    name: str
    ok: bool
    problem: str


class WorkerStatus(TypedDict):
    """
    One worker of a command. A worker is a process that serves requests and reports on them.

    Attributes:
        pid: The id of its process.
        server: The server that it runs.
        age: The seconds since the worker started to serve.
        stalled: The seconds for which the worker has made no progress. Its event loop is blocked,
            or all its threads are busy and have not finished a request.
        in_flight: The number of running requests. Before a drain, the number may be a quarter of a
            second old.
        served: The number of answered requests. Before a drain, the number may be a quarter of a
            second old.
    """

    pid: int
    server: str
    age: float
    stalled: float
    in_flight: int
    served: int


class InFlightEntry(TypedDict):
    """
    One piece of work in flight.

    Attributes:
        name: The method and the path of a request, or the name that was passed to `track`.
            `tracked work` was counted without a name.
        agent: The user agent of the client, or empty.
        age: The seconds since the work started.
        worker: The id of the process that does the work, or 0 if it is unknown.
        protocol: `http/1.1`, `http/2`, `websocket`, `grpc`, `task`, or empty if it is unknown.
        stack: Only with `?stacks`. The lines at which the work stands, at most 8, innermost last.
            Empty if they are not known.
    """

    name: str
    agent: str
    age: float
    worker: int
    protocol: str
    stack: NotRequired[list[str]]


class ThreadStack(TypedDict):
    """
    One thread.

    Attributes:
        worker: The id of its process.
        name: The name of the thread.
        stack: The lines at which the thread stands, at most 8, innermost last.
    """

    worker: int
    name: str
    stack: list[str]


class InFlight(TypedDict):
    """
    The work in flight, as `/inflight` shows it.

    Attributes:
        in_flight: The number of running requests and other pieces of work.
        shown: The number of entries.
        entries: The oldest pieces of work, the oldest first.
        threads: Only with `?stacks`. The threads of the app, or of the workers of a command.
    """

    in_flight: int
    shown: int
    entries: list[InFlightEntry]
    threads: NotRequired[list[ThreadStack]]


class Snapshot(TypedDict):
    """
    The complete state of the app, as `/status` shows it and `Lifecycle.snapshot` returns it.

    Attributes:
        state: The state of the app.
        since: The time at which the app reached this state, in seconds since the epoch.
        in_flight: The number of running requests and other pieces of work.
        oldest_in_flight: The age of the oldest one in seconds, or null if there is none. Under
            `lifecycle run -- COMMAND`, it may be up to 0.25 s too old or too young.
        requests: The number of requests and other pieces of work since the start. It never
            decreases, even if workers of a command end.
        told_to_go: The number of connections that were told to close since the start: by
            `Connection: close` in a drain or a maintenance, by GOAWAY, or by a WebSocket's close code 1001.
        services: The exported services.
        probes: The last answer of each probe.
        probe_runs: How long the runs of the plugins' probes took.
        registration_runs: How long the registrations took, for each service registry.
        loop_lag: The longest delay of the app's event loop in the last 30 to 60 s, in seconds.
            Under `lifecycle run -- COMMAND`, this is the loop of the parent process.
        transitions: All transitions so far.
        start: The start, with the seconds of each step.
        settle: The settle time in seconds, of the drain, or of a drain that starts now. It is the
            setting, or the longest time of a service registry that holds a registration.
        settle_from: The name of this registry. Empty if it is the setting.
        maintenance: Null unless every app service is offline. Then its times.
        drain: The drain, or null before a drain has started.
        command: True under `lifecycle run -- COMMAND`. The app then runs in other processes.
        workers: The workers of a command that report to pod-lifecycle. Empty for an app.
        plugins: The loaded plugins, then those that failed.
        pid: The id of the process.
        version: The version of pod-lifecycle.
        pod: The name of the pod (`POD_NAME`, or the host name). Empty outside Kubernetes.
        namespace: The namespace of the pod (`POD_NAMESPACE`), or empty.
        now: The time of this answer, in seconds since the epoch.
    """

    state: str
    since: float
    in_flight: int
    oldest_in_flight: NotRequired[float | None]
    requests: NotRequired[int]
    told_to_go: NotRequired[int]
    services: list[ServiceStatus]
    probes: list[ProbeStatus]
    probe_runs: NotRequired[list[ProbeRuns]]
    registration_runs: NotRequired[list[RegistrationRuns]]
    loop_lag: NotRequired[float]
    transitions: list[TransitionStatus]
    start: NotRequired[StartStatus]
    settle: NotRequired[float]
    settle_from: NotRequired[str]
    maintenance: NotRequired[MaintenanceStatus | None]
    drain: DrainStatus | None
    command: NotRequired[bool]
    workers: NotRequired[list[WorkerStatus]]
    plugins: list[PluginStatus]
    pid: int
    version: str
    pod: NotRequired[str]
    namespace: NotRequired[str]
    now: NotRequired[float]
