"""Rules about preStop hooks, and about the programs of hooks and probes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.executables import Place, place_of, places
from lifecycle.checks.commands.hosts import LOOPBACK, is_own
from lifecycle.checks.commands.http_requests import Fetch, fetches
from lifecycle.checks.commands.programs import script_of, unwrapped
from lifecycle.checks.commands.scripts import slept
from lifecycle.checks.commands.shell import SUBSTITUTED
from lifecycle.checks.commands.steps import Step, port_option, steps
from lifecycle.checks.rule import HOOKS, Found, Severity, Table
from lifecycle.checks.workloads.container import Container, probes_of
from lifecycle.checks.workloads.kubelet_texts import expanded, path_of
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()

_TOKEN: Final = "x-lifecycle-token"  # noqa: S105 - a header's name
_VARIABLE: Final = re.compile(r"\$\{?[A-Za-z_]")
_IN_QUOTES: Final = re.compile(r"'x-lifecycle-token:[^'\"]*\$\{?[a-z_]", re.IGNORECASE)
COMMANDS: Final = frozenset((
    "run", "prestop", "probe", "ls", "status", "online", "offline", "plugins", "config",
    "manifests", "check", "rehearse", "inflight", "tune",
))  # fmt: skip
"""The commands of `lifecycle`. A hook with a misspelt command fails."""
_ENDS: Final = ("kill", "pkill", "killall")
_BY_NAME: Final = re.compile(r"(?:\$\(|`)\s*(?:pgrep|pidof)\b[^)`]*lifecycle")
_IDLE: Final = ("true", ":", "exit", "echo", "date", "printf", "set", "sleep")


@RULES.add(
    "prestop-token",
    Severity.ERROR,
    sources=(HOOKS, "security.md"),
    fix=(
        "Set preStop to exec: [lifecycle, prestop]. If you need httpGet or curl, send the request to "
        "/prestop on the QOS port, with the value of LIFECYCLE_PRESTOP_TOKEN in the header "
        "X-Lifecycle-Token."
    ),
)
def prestop_token(workload: Workload) -> Iterator[Found]:
    """The request of the preStop hook is refused, or does not reach the app.

    Over TCP, only a request with the token starts a drain, even from inside the container.
    The request must be a GET or POST of `/prestop` on pod-lifecycle's probe port (QOS port), without TLS.
    On the control socket, the request must be a POST. It needs no token there.
    Without a shell, or in single quotes, `$LIFECYCLE_PRESTOP_TOKEN` is sent as this text.
    The kubelet ignores the status of the answer, and so does curl without `-f`. So you get no report that no drain has started.

    Severity:
        If httpGet has `scheme: HTTPS`, the finding is a warning, because the kubelet then repeats the request over HTTP.
    """
    for container in workload.ours:
        if container.asks_to_drain and (problem := _shut(container)):
            yield Found(container.pre_stop, f"{container.name}: {problem}")
            continue
        for each in (*_by_kubelet(container, workload), *_by_command(container)):
            yield each._replace(message=f"{container.name}: {each.message}")


def _shut(container: Container) -> str:
    """Return why no request can reach the app. Empty if requests can."""
    config = container.config
    if config is None:
        return ""
    if not config.qos_enabled:
        return "LIFECYCLE_QOS_ENABLED turns off the QOS port and the control socket"
    if container.pre_stop.at("httpGet") and LOOPBACK.fullmatch(config.qos_host):
        return f"the QOS port listens on {config.qos_host} only (LIFECYCLE_QOS_HOST)"
    return ""


def _by_kubelet(container: Container, workload: Workload) -> Iterator[Found]:
    hook = container.pre_stop.at("httpGet")
    where, host, scheme = (hook.at(each) for each in ("port", "host", "scheme"))
    port = container.number_of(where)
    if path_of(hook) != "/prestop":
        if problem := _another_path(container, path_of(hook), "GET", port):
            yield Found(hook.at("path"), problem)
    elif port is None and where:
        yield Found(where, f"the container has no port called {where.text()!r}")
    elif problem := _another_port(container, port):
        yield Found(where, problem)
    elif LOOPBACK.fullmatch(host.text()) and not workload.host_network:
        yield Found(host, f"for the kubelet, {host.text()} is the node, not the pod")
    elif not is_own(host.text()):
        yield Found(host, _elsewhere(host.text()))
    else:
        if scheme.text().upper() == "HTTPS":
            yield Found(
                scheme, "the hook uses HTTPS, but the QOS port has no TLS", Severity.WARNING
            )
        given = {
            each.at("name").text().lower(): each.at("value").text()
            for each in hook.at("httpHeaders").each()
        }
        sent = given.get(_TOKEN, "")
        yield from (Found(hook, each) for each in _unproved(container, sent, literal=True))


def _elsewhere(host: str) -> str:
    return f"the request goes to {host}, not to this pod"


def _by_command(container: Container) -> Iterator[Found]:
    where = container.pre_stop.at("exec", "command")
    for step in steps(container.pre_stop_words):
        if _drains(step):
            problem = _another_port(container, port_option(step.words))
            yield from [Found(where, problem)] if problem else []
        for fetch in fetches(step.words):
            problem = _refused(container, fetch) or _unexpanded(container, fetch)
            if problem:
                yield Found(where, problem)


def _unexpanded(container: Container, fetch: Fetch) -> str:
    """Return why the token stays the text `$NAME`. Empty if a shell replaces it."""
    sent = (fetch.headers or {}).get(_TOKEN, "")
    if fetch.path != "/prestop" or fetch.socket or not _VARIABLE.search(sent):
        return ""
    script = script_of(unwrapped(container.pre_stop_words))
    if script is None:
        return f"no shell replaces {sent} in the token, so the app gets this text"
    quoted = _IN_QUOTES.search(script)
    if quoted and script.count('"', 0, quoted.start()) % 2 == 0:
        return f"the shell does not replace {sent} in single quotes, so the app gets this text"
    return ""


def _drains(step: Step) -> bool:
    return step.words[:2] == ["lifecycle", "prestop"]


def _refused(container: Container, fetch: Fetch) -> str:
    """Return why a command's request does not start a drain. Empty if it does, or may do so."""
    if fetch.path != "/prestop":
        own = is_own(fetch.host) and not (fetch.socket or fetch.elsewhere)
        return _another_path(container, fetch.path, fetch.method, fetch.port) if own else ""
    allowed = ("POST",) if fetch.socket else ("GET", "POST")
    if fetch.method not in allowed:
        return f"the request uses {fetch.method}, but /prestop needs {' or '.join(allowed)}"
    if fetch.socket or fetch.elsewhere:
        return ""
    problem = _undelivered(container, fetch)
    if problem or fetch.headers is None:
        return problem
    sent = fetch.headers.get(_TOKEN, "")
    return next(_unproved(container, sent, literal="$" not in sent), "")


def _undelivered(container: Container, fetch: Fetch) -> str:
    if not is_own(fetch.host):
        return _elsewhere(fetch.host)
    if fetch.scheme == "https":
        return "the hook uses HTTPS, but the QOS port has no TLS"
    return _another_port(container, fetch.port)


def _another_port(container: Container, port: float | None) -> str:
    if port is None or port == container.qos_port or not container.is_known("qos_port"):
        return ""
    return f"the request goes to port {port:g}, but LIFECYCLE_QOS_PORT is {container.qos_port}"


def _another_path(container: Container, path: str, method: str, port: float | None) -> str:
    """Return that a path of the QOS port starts no drain. Empty if it does, or a plugin may have it."""
    if port != container.qos_port or not container.is_known("qos_port") or container.has_plugins:
        return ""
    if path == "/offline" and method == "POST":
        return ""
    return f"{method} {path} on the QOS port does not start a drain"


def _unproved(container: Container, sent: str, *, literal: bool) -> Iterator[str]:
    """Give the reasons why the token does not admit the request."""
    if not sent:
        yield "the request has no X-Lifecycle-Token"
    elif container.is_known("prestop_token"):
        wanted = container.value("LIFECYCLE_PRESTOP_TOKEN")
        if wanted is None:
            yield "LIFECYCLE_PRESTOP_TOKEN is not set"
        elif literal and wanted != sent:
            yield "the token is not the one in LIFECYCLE_PRESTOP_TOKEN"


@RULES.add(
    "prestop-drain",
    Severity.ERROR,
    sources=(HOOKS, "drain.md"),
    fix="Set preStop to exec: [lifecycle, prestop], in the foreground and without a time limit.",
)
def prestop_drain(workload: Workload) -> Iterator[Found]:
    """The preStop hook does not wait for the drain.

    `lifecycle prestop` returns when SIGTERM is safe. If the command runs in the background (`&`) or a time limit ends it, the hook returns before the drain is over.
    If SIGTERM arrives while `lifecycle prestop` still waits, the app stops within 1 s. The app then assumes that its grace period is over.
    `kill 1` in the hook starts a drain too. But the kubelet's SIGTERM is then the second signal, which forces the exit.
    With some container runtimes, the hook waits for commands in the background. Do not rely on this.

    Severity:
        If a time limit ends `lifecycle prestop`, the finding is an error under another server, such as uvicorn, because the server stops at SIGTERM. Under `lifecycle run` it is a warning, because the drain continues.
    """
    for container in workload.ours:
        tcp = container.pre_stop.at("tcpSocket")
        if tcp and not container.server:
            message = "Kubernetes does not support tcpSocket in a hook, so the hook fails"
            yield Found(tcp, f"{container.name}: {message}", Severity.WARNING)
        where = container.pre_stop.at("exec", "command")
        for message, severity in _too_early(container):
            yield Found(where, f"{container.name}: {message}", severity)


def _too_early(container: Container) -> Iterator[tuple[str, Severity | None]]:
    found = steps(container.pre_stop_words)
    for step in found:
        limits = [step.limit, *(each.limit for each in fetches(step.words))]
        limit = min((each for each in limits if each is not None), default=None)
        name = " ".join(step.words[:2]) if _drains(step) else step.words[0]
        asks = _drains(step) or any(each.path == "/prestop" for each in fetches(step.words))
        if step.words[0] == "lifecycle" and step.words[1:] and step.words[1] not in COMMANDS:
            if not step.words[1].startswith("-") and "$" not in step.words[1]:
                yield f"lifecycle has no command {step.words[1]!r}, so the hook fails", None
        elif asks and step.command.background:
            yield f"{name} runs in the background, so the hook returns at once", None
        elif asks and limit is not None and limit < _least(container):
            least = _least(container)
            message = f"{name} has a time limit of {limit:g} s, but the drain takes {least:g} s"
            yield message, None if container.server else Severity.WARNING
    by_name = bool(_BY_NAME.search(" ".join(container.pre_stop_words)))
    if (
        not container.server
        and _ends_it(found, by_name=by_name)
        and not slept(container.pre_stop_words)
    ):
        yield "the hook signals the app, so the kubelet's SIGTERM is the second signal", None


def _least(container: Container) -> float:
    """Return the shortest time of a drain, in seconds. 0 if the manifest does not show it."""
    config = container.config
    return max(config.settle, config.quiet) if config else 0


def _ends_it(found: list[Step], *, by_name: bool) -> bool:
    """Tell whether a hook only sends the app a signal that starts a drain."""
    signals = [each for each in found if each.words[0] in _ENDS]
    return any(_starts_a_drain(each.words, by_name=by_name) for each in signals) and all(
        each.words[0] in (*_ENDS, *_IDLE) and not each.command.inside for each in found
    )


def _starts_a_drain(words: list[str], *, by_name: bool) -> bool:
    flags = [each for each in words[1:] if each.startswith("-")]
    aims = "lifecycle" in words[-1]
    if words[0] == "kill":
        aims = words[-1] == "1" or (words[-1] == SUBSTITUTED and by_name)
    return aims and not any(
        each in ("-0", "-USR1", "-SIGUSR1", "-USR2", "-l", "-9", "-KILL") for each in flags
    )


@RULES.add(
    "hook-path",
    Severity.WARNING,
    sources=(HOOKS, "kubernetes.md"),
    fix="Name the program in the hook or probe exactly as in the container's command, for example "
    "exec: [/app/.venv/bin/lifecycle, prestop].",
)
def hook_path(workload: Workload) -> Iterator[Found]:
    """A hook or a probe may not find the program `lifecycle`.

    An exec hook or probe has the `PATH` of the image and of the container's env.
    Changes that the container's command makes, such as activating a virtual environment, do not apply to hooks and probes.
    If `lifecycle` is not found, or a Python without pod-lifecycle is found, the probe fails or no drain starts.

    Scope:
        `lifecycle check` cannot see the `PATH` of the image. If your image adds the folder, for example with `ENV PATH=/app/.venv/bin:$PATH`, turn the rule off.
    """
    for container in workload.containers:
        own = place_of(container.words)
        if own is None:
            continue
        commands = [each.node.at("exec", "command") for each in probes_of([container])]
        for where in (container.pre_stop.at("exec", "command"), *commands):
            for place in places([each.text() for each in where.each()]):
                if problem := _misplaced(container, own, place):
                    yield Found(where, f"{container.name}: {problem}")


def _misplaced(container: Container, own: Place, place: Place) -> str:
    """Return how a hook looks in another place. Empty if it does not, or nothing shows it."""
    if not place.is_ours or place.prepared or place.login:
        return ""
    if place.folder:
        apart = place.folder != own.folder and place.folder.startswith("/")
        return (
            f"{place.shown} is not in the folder of {own.shown}"
            if apart and own.is_absolute
            else ""
        )
    if own.python and place.python and own.python != place.python:
        return f"{place.shown} is a different Python from {own.shown}"
    if own.prepared:
        return f"{place.shown} does not get the environment that the command sets up"
    if not own.folder or own.is_standard or _has_path(container, own.folder):
        return ""
    return f"{place.shown} may not be on the PATH, because the command is {own.shown}"


def _has_path(container: Container, folder: str) -> bool:
    """Tell whether the container's env puts a folder on the PATH, or may do so."""
    if "PATH" not in container.env:
        return False
    value = container.env["PATH"].at("value")
    return not value or folder in (expanded(value.text()) or folder).split(":")
