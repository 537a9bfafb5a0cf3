"""Rules about how a pod ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.scripts import keeper, only_sleeps, sleeps_first
from lifecycle.checks.node import digits
from lifecycle.checks.rule import DOCS, HOOKS, TERMINATION, UVICORN, WRAP, Found, Severity, Table
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
        "Set terminationGracePeriodSeconds to at least the sum of preStop and drain, and set "
        "LIFECYCLE_GRACE_PERIOD to the same number. Or shorten preStop and the drain."
    ),
    plain_fix=(
        "Set terminationGracePeriodSeconds to more than the sum of the preStop sleep and the "
        "server's own stop timeout, such as --timeout-graceful-shutdown. Or shorten the two."
    ),
)
def grace_period(workload: Workload) -> Iterator[Found]:
    """The preStop hook and the drain take longer than the grace period.

    The grace period starts together with the preStop hook.
    At the end of the grace period, the kubelet kills the app. Running requests are lost. If the drain had not started yet, the app also stays registered.
    For example, preStop sleeps for 10 s and the drain takes 25 s. A grace period of 30 s is too short for both.

    Severity:
        If the container is a sidecar, the finding is a warning.
    """
    where = workload.pod.at("terminationGracePeriodSeconds")
    if where and workload.grace < 1:
        yield Found(where, "with 0 seconds, the pod is killed at once, without preStop and drain")
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
        return ""  # the plugin uses the grace period of the pod
    return f"LIFECYCLE_GRACE_PERIOD {config.grace_period:g} is more than"


def _too_long(container: Container, grace: float) -> str:
    sleep = container.pre_stop_sleep
    drain, what = _drain(container)
    if sleep + drain <= grace and not 0 < grace <= sleep:
        return ""
    if not sleep:
        return f"{what} {drain:g} s, more than"
    if not drain:
        return f"preStop sleeps {sleep:g} s, which leaves no time in"
    return f"preStop sleeps {sleep:g} s and {what} {drain:g} s, together more than"


def _drain(container: Container) -> tuple[float, str]:
    """Return the seconds from SIGTERM to the exit, if the manifest shows them, and their subject."""
    if container.is_lifecycle:
        return container.drain_time(), "the drain takes"
    for name, value in container.options():
        if name in _STOP_OPTIONS and (seconds := digits(value)) is not None:
            return float(seconds), f"{name} is"
    return 0.0, ""


@RULES.add(
    "settings",
    Severity.ERROR,
    sources=("config.md",),
    fix="Correct the variable that the message names.",
)
def settings(workload: Workload) -> Iterator[Found]:
    """The app rejects its own settings.

    A `LIFECYCLE_*` value is out of range, or the times do not fit into the grace period.
    The app then exits with code 2 at start, and Kubernetes restarts it again and again (CrashLoopBackOff).
    """
    for container in workload.ours:
        if isinstance(refused := container.settings, ConfigError):
            yield Found(container.node.at("env"), f"{container.name}: {refused}")


@RULES.add(
    "prestop-sleep",
    Severity.ERROR,
    sources=(HOOKS, UVICORN),
    fix="Set preStop to exec: [lifecycle, prestop], and LIFECYCLE_SETTLE to the seconds of the sleep.",
    plain_fix=(
        f"{WRAP} Then set preStop to exec: [lifecycle, prestop], and LIFECYCLE_SETTLE to the seconds "
        "of the sleep. Until then, keep the sleep, because it protects new connections."
    ),
)
def prestop_sleep(workload: Workload) -> Iterator[Found]:
    """The preStop hook sleeps when the drain should start.

    During the sleep, the server answers as always, without `Connection: close`.
    After the sleep, most servers, for example uvicorn, close their keep-alive connections without notice. A request that arrives at that moment is lost.
    So the sleep protects new connections only.
    An app under pod-lifecycle also stays registered during the sleep, and its `/ready` stays true.

    Severity:
        If the app does not run under pod-lifecycle, the finding is a warning. A sleep is then better than nothing.
    """
    for container in workload.apps:
        words, ours = container.pre_stop_words, container.is_lifecycle
        if container.pre_stop.at("sleep") or only_sleeps(words):
            helps = not ours and not container.server
            if helps and any(each.is_lifecycle for each in workload.apps):
                continue  # the sleep waits for the app's drain, as `front-container` advises
            severity = None if ours else Severity.WARNING
            yield Found(container.pre_stop, f"{container.name}: preStop sleeps", severity)
        elif ours and sleeps_first(words):
            yield Found(container.pre_stop, f"{container.name}: preStop sleeps before the drain")


@RULES.add(
    "shell-pid-1",
    Severity.ERROR,
    sources=(TERMINATION, "https://github.com/kubernetes/kubernetes/issues/127188"),
    fix='Write the command as a list without a shell. Or start the last command of the script with "exec".',
)
def shell_pid_1(workload: Workload) -> Iterator[Found]:
    """A shell is PID 1 and does not forward SIGTERM to the app.

    The kubelet sends SIGTERM only to PID 1. A shell that waits for its program does not forward the signal.
    As PID 1, the shell does not exit either. So the kubelet kills the pod at the end of the grace period.
    If an init process forwards the signal only to the shell, the shell exits and its program dies with it.

    Severity:
        If the app serves requests and its command is in a pipe, a loop or the background, the finding is an error.
        Otherwise it is a warning, because some shells replace themselves with their last command. bash and the ash of BusyBox do this. dash, the `sh` of Debian's images, does not.
        If the manifest has `args` but no `command`, it is a warning too. The ENTRYPOINT of the image may then be an init process or `lifecycle run --`.
    """
    for container in () if workload.shares_processes else workload.apps:
        found = keeper(
            container.words, workload.variables_of(container, TINI_KILL_PROCESS_GROUP="1")
        )
        if found is None:
            continue
        certain = found.certain and not (workload.is_job or container.has_hidden_entrypoint)
        certain = certain and workload.serves(container)
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
        "Remove stopSignal. Or set it to a signal at which the program finishes its requests, such "
        "as SIGTERM for Python servers and SIGQUIT for nginx, and set spec.os.name: linux."
    ),
)
def stop_signal(workload: Workload) -> Iterator[Found]:
    """The stop signal of the container does not stop the app in order.

    With the wrong `stopSignal`, the process exits at once, or only at the end of the grace period.
    Under `lifecycle run` and `run()`, pod-lifecycle drains at SIGTERM, SIGINT, SIGQUIT and SIGHUP.
    Under `Managed`, the server handles the signals. uvicorn, hypercorn, granian and daphne stop at SIGTERM and SIGINT. gunicorn also stops at SIGQUIT.
    As PID 1, a server ignores a signal that it does not handle. SIGHUP makes some servers reload.
    Kubernetes refuses `stopSignal` in a pod without `spec.os.name`. It also refuses unknown signals, such as `TERM`.

    Severity:
        If the server stops at the signal but cuts the requests in flight, the finding is a warning. Examples are nginx at SIGTERM, and gunicorn at SIGINT and SIGQUIT.

    Scope:
        The rule also knows nginx, haproxy, httpd, php-fpm, celery and waitress.
        Without `stopSignal`, Kubernetes sends the `STOPSIGNAL` of the image. `lifecycle check` cannot see that signal.
    """
    system = workload.pod.at("os", "name").text()
    for container in workload.containers:
        where = container.node.at("lifecycle", "stopSignal")
        name = where.text()
        if not name:
            continue
        if not is_signal(name):
            yield Found(where, f"{container.name}: Kubernetes does not know stopSignal {name}")
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
    """Return why a signal does not stop a container in order. Empty if it does, or may do so."""
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
    """Return how a signal cuts requests in flight. Empty if it does not, or preStop drains first."""
    if signal == "SIGKILL":
        return "kills the app at once"
    server = known_server(container)
    if container.is_lifecycle or server not in STOPS or signal not in STOPS[server].at_once:
        return ""
    return f"stops {server} at once and cuts the requests in flight"


@RULES.add(
    "run-dir",
    Severity.ERROR,
    sources=(f"{DOCS}/tasks/configure-pod-container/security-context/",),
    fix="Mount an emptyDir at the folder in LIFECYCLE_RUN_DIR.",
)
def run_dir(workload: Workload) -> Iterator[Found]:
    """The folder for the control socket is not writable.

    With a read-only root file system, the folder in `LIFECYCLE_RUN_DIR` must be in a writable volume. Otherwise the app does not start.
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
