"""Rules on probes that ask the wrong thing, so that no start and no repair of the app helps."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import number, seconds, text
from lifecycle_fleet.why.rules.probe_failures import Failure, failures, silent

RULES: Final[Table[Facts]] = Table()

PATHS: Final = {"startupProbe": "/startup", "readinessProbe": "/ready", "livenessProbe": "/live"}
YOUNG: Final = 30.0
"""Seconds for which a container may not listen yet."""
SHOWN: Final = 12
"""Ports that are shown."""

OTHER_PORT: Final = Saying(
    "The {kind} of container {container} uses port {port}, but pod-lifecycle answers probes on "
    "port {qos}.",
    "In the manifest, set {kind}.{how}.port: {qos}",
)
NOT_LISTENING: Final = Saying(
    "The {kind} of container {container} uses port {port}, but nothing in the pod listens on this "
    "port. Open ports: {open}.",
    "In the manifest, set {kind}.{how}.port to the port of the app, or make the app listen on "
    "0.0.0.0:{port}",
)
NOT_YET: Final = Saying(
    "The {kind} of container {container} uses port {port}, but nothing in the pod listens on this "
    "port yet. The container started {age} ago. Open ports: {open}.",
    "Wait. If the app listens on another port, set {kind}.{how}.port to that port",
)
LOOPBACK: Final = Saying(
    "The {kind} of container {container} uses port {port}, but the app listens on this port only "
    "on 127.0.0.1. The kubelet sends probes to the address of the pod.",
    "Make the app listen on 0.0.0.0:{port}",
)
REFUSED: Final = Saying(
    "The connection of the {kind} of container {container} to port {port} is refused. There are "
    "three possible causes. The app uses another port, the app listens only on 127.0.0.1, or the "
    "app has not opened the port yet.",
    "kubectl -n {ns} exec {pod} -c {container} -- cat /proc/net/tcp /proc/net/tcp6",
)
NO_SUCH_NAME: Final = Saying(
    "The {kind} of container {container} uses the port name {port}, but the container does not "
    "declare a port with this name.",
    "In the manifest, add the name to the ports of the container, or set {kind}.{how}.port to a "
    "number",
)


@RULES.add("probe-port", OTHER_PORT, NOT_LISTENING, NOT_YET, LOOPBACK, REFUSED, NO_SUCH_NAME)
def port(facts: Facts) -> Iterator[Found]:
    """
    A probe uses a port on which nothing listens.

    The kubelet connects to the address of the pod. If nothing listens on the port of the probe, the
    connection is refused, and the probe fails. pod-lifecycle answers the probes on the
    [probe port](qos.md), 22222 by default.
    """
    for failure in (*failures(facts), *silent(facts)):
        yield from _wrong_port(facts, failure)


def _wrong_port(facts: Facts, failure: Failure) -> Iterator[Found]:
    used = facts.port_of(failure.container, failure.port)
    if failure.port is None or (failure.event and not failure.refused and used is not None):
        return
    fields = {
        "kind": failure.kind,
        "container": failure.container.name,
        "port": failure.port,
        "how": failure.how,
        "qos": facts.qos_port,
        "ns": facts.namespace,
        "pod": facts.name,
    }
    seen = (failure.evidence(facts), f"{failure.path}.{failure.how}.port: {failure.port}")
    if used is None:
        yield NO_SUCH_NAME.found(*seen, **fields)
    elif facts.answers.listening is not None:
        yield from _of_open_ports(facts, failure, used, seen, fields)
    elif failure.refused and _is_for_ours(facts, failure, used):
        yield OTHER_PORT.found(*seen, *_qos_evidence(facts), **fields)
    elif failure.refused and (used != facts.qos_port or not _is_app(facts, failure)):
        yield REFUSED.found(*seen, **fields)


def _of_open_ports(
    facts: Facts, failure: Failure, used: int, seen: tuple[str, ...], fields: dict[str, object]
) -> Iterator[Found]:
    listening = facts.answers.listening or {}
    if listening.get(used):
        return  # the failure is over
    told = ", ".join(map(str, sorted(listening)[:SHOWN])) or "none"
    seen = (*seen, f"/proc/net/tcp of the pod: open ports: {told}")
    age = _age(facts, failure)
    if used in listening:
        yield LOOPBACK.found(*seen, **fields)
    elif _is_for_ours(facts, failure, used):
        yield OTHER_PORT.found(*seen, **fields)
    elif age < YOUNG and not failure.container.restarts:
        yield NOT_YET.found(*seen, **fields, open=told, age=seconds(age))
    else:
        yield NOT_LISTENING.found(*seen, **fields, open=told)


def _is_name(facts: Facts, failure: Failure) -> bool:
    return facts.port_of(failure.container, failure.port) is None


def _is_app(facts: Facts, failure: Failure) -> bool:
    return facts.app is not None and facts.app.name == failure.container.name


def _age(facts: Facts, failure: Failure) -> float:
    started = failure.container.started_at
    return facts.now - started if started else 0.0


def _is_for_ours(facts: Facts, failure: Failure, used: int) -> bool:
    """Return whether pod-lifecycle is known to answer on another port."""
    if not _is_app(facts, failure) or used == facts.qos_port:
        return False
    told = facts.told is not None and facts.told.qos_port is not None
    open_ports = facts.answers.listening or {}
    return told or facts.qos_port in open_ports


def _qos_evidence(facts: Facts) -> Iterator[str]:
    if facts.told is not None and facts.told.qos_port is not None:
        yield f"metadata.annotations[pod-lifecycle.dev/status]: qos_port {facts.qos_port}"


WRONG_PATH: Final = Saying(
    "The {kind} of container {container} requests {path} on the probe port {port}, which answers "
    "404 because this path does not exist there.",
    "In the manifest, set {kind}.httpGet.path: {wanted}",
)
NOT_FOUND: Final = Saying(
    "The {kind} of container {container} requests {path} on port {port}, and the app answers 404.",
    "In the manifest, set {kind}.httpGet.path to a path that the app serves",
)
NO_PROBE_PATH: Final = Saying(
    "The {kind} of container {container} requests {path} on the probe port {port}, which is not a "
    "path of a probe of pod-lifecycle. The app itself answers that it is ready.",
    "In the manifest, set {kind}.httpGet.path: {wanted}",
)
KNOWN: Final = re.compile(r"/(live|ready|startup)z?(/.*)?")


@RULES.add("probe-path", WRONG_PATH, NOT_FOUND, NO_PROBE_PATH)
def path(facts: Facts) -> Iterator[Found]:
    """
    A probe requests a path that does not exist.

    Each status code of 400 or more is a failure for the kubelet, and 404 is one of them.
    pod-lifecycle has the paths `/startup`, `/ready` and `/live`.
    """
    for failure in failures(facts):
        if failure.code != 404:
            continue
        used = facts.port_of(failure.container, failure.port)
        ours = _is_app(facts, failure) and used == facts.qos_port
        yield (WRONG_PATH if ours else NOT_FOUND).found(
            failure.evidence(facts),
            f"{failure.path}.httpGet.path: {failure.url}",
            kind=failure.kind,
            container=failure.container.name,
            path=failure.url,
            port=failure.port if used is None else used,
            wanted=PATHS[failure.kind],
        )
    over = (each for each in failures(facts) if each.refused)
    for failure in (*silent(facts), *over) if facts.answers.state == "ready" else ():
        yield from _unseen_path(facts, failure)


def _unseen_path(facts: Facts, failure: Failure) -> Iterator[Found]:
    """Yield a wrong path of which there is no event, because the kubelet drops many of them."""
    used = facts.port_of(failure.container, failure.port)
    asks_us = failure.how == "httpGet" and _is_app(facts, failure) and used == facts.qos_port
    if asks_us and not KNOWN.fullmatch(failure.url.partition("?")[0]):
        yield NO_PROBE_PATH.found(
            f"{failure.path}.httpGet.path: {failure.url}",
            "lifecycle status: state ready",
            kind=failure.kind,
            container=failure.container.name,
            path=failure.url,
            port=used,
            wanted=PATHS[failure.kind],
        )


HTTPS: Final = Saying(
    "The {kind} of container {container} uses HTTPS, but port {port} answers with plain HTTP.",
    "In the manifest, remove {kind}.httpGet.scheme",
)
NOT_HTTP: Final = Saying(
    "The {kind} of container {container} uses HTTP, but the answer of port {port} is not HTTP/1. The "
    "port may serve TLS, gRPC, or HTTP/2 only.",
    "In the manifest, set {kind}.httpGet.scheme: HTTPS, or use a grpc probe, or another port",
)


@RULES.add("probe-scheme", HTTPS, NOT_HTTP)
def scheme(facts: Facts) -> Iterator[Found]:
    """
    A probe uses another protocol than its port.

    The kubelet sends HTTP/1.1, over TLS if the scheme is `HTTPS`. The probe port of pod-lifecycle
    is plain HTTP.
    """
    for failure in failures(facts):
        if "HTTP response to HTTPS client" in failure.message:
            saying = HTTPS
        elif "malformed HTTP" in failure.message:
            saying = NOT_HTTP
        else:
            continue
        yield saying.found(
            failure.evidence(facts),
            f"{failure.path}.httpGet.scheme: {text(failure.probe, 'httpGet', 'scheme') or 'HTTP'}",
            kind=failure.kind,
            container=failure.container.name,
            port=failure.port,
        )


NO_COMMAND: Final = Saying(
    "The {kind} of container {container} runs {command}, but the image does not have this program.",
    "Install the program in the image, or use an httpGet probe",
)
COMMAND: Final = Saying(
    "The command of the {kind} of container {container} fails.",
    "kubectl -n {ns} exec {pod} -c {container} -- {words}",
)


@RULES.add("probe-command", NO_COMMAND, COMMAND)
def command(facts: Facts) -> Iterator[Found]:
    """
    The command of a probe fails.

    The kubelet runs the command in the container, and the exit code has to be 0. The event has the
    output of the command.
    """
    for failure in failures(facts):
        if failure.how != "exec" or failure.is_answer_of_ours(facts) or failure.unanswered:
            continue
        yield (NO_COMMAND if failure.no_command else COMMAND).found(
            failure.evidence(facts),
            f"{failure.path}.exec.command: {' '.join(failure.command)}",
            kind=failure.kind,
            container=failure.container.name,
            command=" ".join(failure.command[:1]),
            words=shlex.join(failure.command),
            ns=facts.namespace,
            pod=facts.name,
        )


LOGIN: Final = Saying(
    "The {kind} of container {container} requests {path} on port {port}, and the app answers {code} "
    "because it requires a login.",
    "Let the app answer this path without a login, or set {kind}.httpGet.path to another path",
)
ANSWER: Final = Saying(
    "The {kind} of container {container} requests {path} on port {port}, and the app answers {code}.",
    "kubectl -n {ns} logs {pod} -c {container} --tail=50",
)
SLOW: Final = Saying(
    "The {kind} of container {container} gets no answer from port {port} within {timeout}. Either "
    "the app is too busy to answer, or the network drops the connection, for example because of a "
    "NetworkPolicy.",
    "Compare the CPU of the container with its limit, and set {kind}.timeoutSeconds higher",
)
SLOW_COMMAND: Final = Saying(
    "The command of the {kind} of container {container} does not end within {timeout}.",
    "In the manifest, set {kind}.timeoutSeconds higher, or use an httpGet probe",
)
OTHER: Final = Saying(
    "The {kind} of container {container} fails.",
    "kubectl -n {ns} logs {pod} -c {container} --tail=50",
)


@RULES.add("probe-answer", LOGIN, ANSWER, SLOW, SLOW_COMMAND, OTHER)
def answer(facts: Facts) -> Iterator[Found]:
    """
    The app does not answer a probe, or answers with an error.

    The event has the status code only. The kubelet does not keep the body of the answer, so look
    into the log of the app.
    """
    for failure in failures(facts):
        if (saying := _of_answer(facts, failure)) is None:
            continue
        yield saying.found(
            failure.evidence(facts),
            f"{failure.path}.timeoutSeconds: {_timeout(failure):g}" if failure.unanswered else "",
            kind=failure.kind,
            container=failure.container.name,
            path=failure.url,
            port=failure.port,
            code=failure.code,
            timeout=seconds(_timeout(failure)),
            ns=facts.namespace,
            pod=facts.name,
        )


def _of_answer(facts: Facts, failure: Failure) -> Saying | None:
    if failure.unanswered:
        return SLOW_COMMAND if failure.how == "exec" else SLOW
    known = failure.refused or failure.how == "exec" or failure.is_answer_of_ours(facts)
    known = known or failure.code == 404 or _is_name(facts, failure)
    if known or "HTTP response to HTTPS" in failure.message or "malformed HTTP" in failure.message:
        return None
    if failure.code in (401, 403):
        return LOGIN
    return ANSWER if failure.code else OTHER


def _timeout(failure: Failure) -> float:
    return number(failure.probe, "timeoutSeconds") or 1.0
