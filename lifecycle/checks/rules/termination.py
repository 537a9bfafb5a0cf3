"""Rules about how a pod ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.scripts import keeper, only_sleeps, sleeps_first
from lifecycle.checks.node import digits
from lifecycle.checks.rule import DOCS, HOOKS, TERMINATION, UVICORN, Found, Severity, Table
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.stop_signals import STOPS, is_signal, known_server
from lifecycle.checks.workloads.workload import Workload
from lifecycle.exceptions import ConfigError

RULES: Final = Table()


_READ_ONLY: Final = ("configMap", "secret", "downwardAPI", "projected", "image")
_DRAINING_SIGNALS: Final = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP")
_STOP_OPTIONS: Final = ("--graceful-timeout", "--timeout-graceful-shutdown")


@RULES.add(
    "grace-period",
    Severity.ERROR,
    sources=(TERMINATION,),
    fix=(
        "Set terminationGracePeriodSeconds to at least preStop + drain, and set "
        "LIFECYCLE_GRACE_PERIOD to the same number. Or make preStop and the drain shorter."
    ),
)
def grace_period(workload: Workload) -> Iterator[Found]:
    """The preStop hook and the drain take longer than the grace period.

    The grace period starts together with preStop.
    At its end the kubelet kills the app. Running requests are lost, and the app stays registered.
    For example, preStop sleeps for 10 s and the drain takes 25 s. A grace period of 30 s is too short for both.
    """
    where = workload.pod.at("terminationGracePeriodSeconds")
    if where and workload.grace < 1:
        yield Found(where, "0 seconds: the pod is killed at once, without a preStop or a drain")
        return
    said = "" if where else "the default "
    for container in workload.containers:
        problem = _disagreement(container, workload) or _too_long(container, workload.grace)
        if problem:
            yield Found(
                where or container.pre_stop or container.node,
                f"{container.name}: {problem} {said}terminationGracePeriodSeconds "
                f"{workload.grace:g}",
                None if container in workload.apps else Severity.WARNING,
                container.name,
            )


def _disagreement(container: Container, workload: Workload) -> str:
    config = container.config if container.is_lifecycle else None
    known = container.is_known("grace_period")
    if config is None or not known or config.grace_period <= workload.grace:
        return ""
    if workload.has_gate and container.value("LIFECYCLE_GRACE_PERIOD") is None:
        return ""  # the plugin takes the pod's
    return f"LIFECYCLE_GRACE_PERIOD {config.grace_period:g} is more than"


def _too_long(container: Container, grace: float) -> str:
    sleep = container.pre_stop_sleep
    drain, what = _drain(container)
    if sleep + drain <= grace and not 0 < grace <= sleep:
        return ""
    if not sleep:
        return f"{what} {drain:g} is more than"
    also = f" and {what} {drain:g} s" if drain else ""
    return f"preStop's sleep of {sleep:g} s{also} do not fit into"


def _drain(container: Container) -> tuple[float, str]:
    """Return how long it takes from SIGTERM on, as far as the manifest says, and who says so."""
    if container.is_lifecycle:
        return container.drain_time(), "the drain's"
    for name, value in container.options():
        if name in _STOP_OPTIONS and (seconds := digits(value)) is not None:
            return float(seconds), name
    return 0.0, ""


@RULES.add(
    "settings", Severity.ERROR, sources=("config.md",), fix="Fix the variable named in the message."
)
def settings(workload: Workload) -> Iterator[Found]:
    """The app rejects its own settings.

    A `LIFECYCLE_*` value is out of range, or the times do not fit into the grace period.
    The app exits with code 2 and does not start. Kubernetes restarts it again and again (CrashLoopBackOff).
    """
    for container in workload.ours:
        if isinstance(refused := container.settings, ConfigError):
            yield Found(container.node.at("env"), f"{container.name}: {refused}")


@RULES.add(
    "prestop-sleep",
    Severity.ERROR,
    sources=(HOOKS, UVICORN),
    fix="Set preStop to exec: [lifecycle, prestop]. Set LIFECYCLE_SETTLE to the seconds of the "
    "sleep.",
)
def prestop_sleep(workload: Workload) -> Iterator[Found]:
    """The preStop hook sleeps when the drain should start.

    During the sleep the app stays registered, `/ready` stays true, and clients are not told to close their connections.
    The sleep protects new connections. It does not protect keep-alive connections, because the server closes them afterwards without notice.
    If the app does not run under pod-lifecycle, the finding is a warning. A sleep is then better than nothing.
    """
    for container in workload.apps:
        words, ours = container.pre_stop_words, container.is_lifecycle
        if container.pre_stop.at("sleep") or only_sleeps(words):
            helps = not ours and not container.server
            if helps and any(each.is_lifecycle for each in workload.apps):
                continue  # it waits for the app's drain, as `front-container` asks of a front
            severity = None if ours else Severity.WARNING
            yield Found(container.pre_stop, f"{container.name}: preStop sleeps", severity)
        elif ours and sleeps_first(words):
            yield Found(container.pre_stop, f"{container.name}: preStop sleeps before the drain")


@RULES.add(
    "shell-pid-1",
    Severity.ERROR,
    sources=(TERMINATION, "https://github.com/kubernetes/kubernetes/issues/127188"),
    fix='Write the command as a list without a shell, or start its last command with "exec".',
)
def shell_pid_1(workload: Workload) -> Iterator[Found]:
    """A shell is PID 1, and does not pass SIGTERM on to the app.

    The kubelet sends SIGTERM only to PID 1. A shell that waits for its program does not pass the signal on. As PID 1 the shell does not exit either, so the pod is killed at the end of the grace period.
    If an init process forwards the signal only to the shell, the shell exits and its program dies with it.
    If the app serves requests and its command is in a pipe, a loop or the background, the finding is an error. Otherwise it is a warning, because some shells replace themselves with their last command. bash and BusyBox' ash do. dash, the `sh` of Debian's images, does not.
    """
    for container in () if workload.shares_processes else workload.apps:
        found = keeper(
            container.words, workload.variables_of(container, TINI_KILL_PROCESS_GROUP="1")
        )
        if found is None:
            continue
        certain = found.certain and not workload.is_job and workload.serves(container)
        role = f"gets SIGTERM from {found.init}" if found.init else "is PID 1"
        yield Found(
            container.command,
            f"{container.name}: {found.shell} -c {_short(found.script)!r} {role}",
            None if certain else Severity.WARNING,
        )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:39]}…"


@RULES.add(
    "stop-signal",
    Severity.ERROR,
    sources=("drain.md", HOOKS, "https://www.kubernetes.dev/resources/keps/4960/"),
    fix=(
        "Remove stopSignal, or set it to a signal at which the program finishes its requests: "
        "SIGTERM for the servers of Python, SIGQUIT for nginx. Set spec.os.name: linux with it."
    ),
)
def stop_signal(workload: Workload) -> Iterator[Found]:
    """The container is stopped with a signal that does not stop the app.

    Kubernetes refuses `stopSignal` in a pod without `spec.os.name`, and a signal that it does not know, such as `TERM`.
    Under `lifecycle run` and `run()`, pod-lifecycle drains at SIGTERM, SIGINT, SIGQUIT and SIGHUP.
    Under `Managed`, the server handles the signals. uvicorn, hypercorn, granian and daphne stop at SIGTERM and SIGINT. gunicorn also stops at SIGQUIT.
    As PID 1, a server ignores a signal that it does not handle. SIGHUP makes some servers reload.
    With another signal in `stopSignal`, the process exits at once, or only at the end of the grace period.
    The rule also knows nginx, haproxy, httpd, php-fpm, celery and waitress. It is a warning if the server stops at the signal, but cuts the requests in flight: nginx at SIGTERM, gunicorn at SIGINT and SIGQUIT.
    Without `stopSignal`, Kubernetes sends the `STOPSIGNAL` of the image, which this check cannot see.
    """
    system = workload.pod.at("os", "name").text()
    for container in workload.containers:
        where = container.node.at("lifecycle", "stopSignal")
        name = where.text()
        if not name:
            continue
        if not is_signal(name):
            yield Found(where, f"{container.name}: Kubernetes knows no stopSignal {name}")
            continue
        if not system and not workload.is_partial:
            yield Found(where, f"{container.name}: stopSignal needs spec.os.name: linux")
        if system == "windows":
            continue
        if problem := _unstopped(container, name):
            yield Found(where, f"{container.name}: stopSignal {name} {problem}")
        elif problem := _cut(container, name):
            yield Found(where, f"{container.name}: stopSignal {name} {problem}", Severity.WARNING)


def _unstopped(container: Container, signal: str) -> str:
    """Say that a signal does not stop a container in order; empty if it does, or is not known to."""
    if container.is_lifecycle and not container.server:
        return "" if signal in _DRAINING_SIGNALS else "does not start a drain"
    server = container.server or known_server(container)
    if (
        server not in STOPS
        or signal == "SIGKILL"
        or signal in (*STOPS[server].finishing, *STOPS[server].at_once)
    ):
        return ""
    return f"does not stop {server}"


def _cut(container: Container, signal: str) -> str:
    """Say that a signal cuts what is in flight; empty if it does not, or preStop has drained it."""
    if signal == "SIGKILL":
        return "kills it at once"
    server = known_server(container)
    if container.is_lifecycle or server not in STOPS or signal not in STOPS[server].at_once:
        return ""
    return f"stops {server} at once, and cuts the requests in flight"


@RULES.add(
    "run-dir",
    Severity.ERROR,
    sources=(f"{DOCS}/tasks/configure-pod-container/security-context/",),
    fix="Mount an emptyDir at the folder that LIFECYCLE_RUN_DIR names.",
)
def run_dir(workload: Workload) -> Iterator[Found]:
    """The control socket has no folder that can be written to.

    Under a read-only root file system `LIFECYCLE_RUN_DIR` has to be in a volume: the app does not start otherwise.
    """
    for container in workload.ours:
        folder = container.value("LIFECYCLE_RUN_DIR")
        if not (folder and container.has_read_only_root):
            continue
        read_only = {
            each.at("name").text()
            for each in workload.pod.at("volumes").each()
            if any(each.at(kind) for kind in _READ_ONLY)
        }
        writable = [
            each.at("mountPath").text().rstrip("/")
            for each in container.node.at("volumeMounts").each()
            if each.at("readOnly").value is not True and each.at("name").text() not in read_only
        ]
        if not any(f"{folder}/".startswith(f"{each}/") for each in (*writable, "/dev/shm")):  # noqa: S108
            yield Found(
                container.env["LIFECYCLE_RUN_DIR"],
                f"{container.name}: {folder} is on the read-only root file system",
            )
