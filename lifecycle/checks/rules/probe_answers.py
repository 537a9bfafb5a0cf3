"""Rules about the answers of the QOS port to probes, and about their time limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.hosts import DIALLERS, called, dialled, is_own
from lifecycle.checks.commands.http_requests import Fetch
from lifecycle.checks.commands.programs import programs
from lifecycle.checks.commands.steps import always_succeeds, steps
from lifecycle.checks.node import Node
from lifecycle.checks.rule import PROBES, Found, Severity, Table
from lifecycle.checks.workloads.container import Probe, probes_of
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()

_DEV_TCP: Final = re.compile(r"/dev/tcp/([^/\s]+)/(\d{1,5})\b")
_TALKS: Final = re.compile(
    r"\b(?:GET|HEAD|grep|read|mapfile|head|tail|sed|awk|cat(?!\s*<?\s*/dev/null))\b"
)
_IDLE: Final = ("exit", "true", ":", "echo", "printf", "set")


@RULES.add(
    "probe-answer",
    Severity.ERROR,
    sources=(PROBES, "qos.md"),
    fix="Use httpGet with path /ready (or /live, /startup) and port 22222, or "
    "exec: [lifecycle, probe, ready]. If you use curl, add -f. If you use wget, add -O -.",
)
def probe_answer(workload: Workload) -> Iterator[Found]:
    """A probe cannot use the answer of the QOS port.

    pod-lifecycle's probe port (QOS port) speaks HTTP/1.1 without TLS. Its answer `false` has the status 503.
    A probe by gRPC or HTTPS always fails. So the pod never becomes Ready, or Kubernetes restarts it forever.
    A tcpSocket probe succeeds as long as the port is open. The port opens before your app is imported, and stays open during the drain.
    curl without `-f` exits with 0 at a 503. A command that ends in `|| true` does the same.
    wget without `-O` writes a file. BusyBox wget then fails at every later probe, because the file exists.

    Severity:
        If a liveness or startup probe always succeeds, the finding is a warning. Kubernetes then does not restart an app that hangs.
        For wget without `-O`, the finding is a warning too, unless the root file system is read-only.
    """
    for probe in probes_of(each for each in workload.ours if each.is_known("qos_port")):
        if problem := _unreadable(probe):
            yield Found(_handler(probe), f"{probe}: {problem}")
        elif problem := _unread(probe):
            severity = None if probe.kind == "readiness" else Severity.WARNING
            yield Found(_handler(probe), f"{probe}: {problem}", severity)
        elif probe.fetch is not None and probe.fetch.saved:
            message = f"{probe}: wget without -O writes a file, and fails if it cannot write it"
            severity = None if probe.container.has_read_only_root else Severity.WARNING
            yield Found(_handler(probe), message, severity)


def _handler(probe: Probe) -> Node:
    given = (probe.node.at(each) for each in ("grpc", "tcpSocket", "httpGet", "exec"))
    return next((each for each in given if each), probe.node)


def _unreadable(probe: Probe) -> str:
    """Return why a probe of the QOS port always fails. Empty if it does not."""
    fetch = probe.fetch
    if _asks(probe, "grpc") or any(_reaches(probe, called(each)) for each in _words(probe)):
        return "the probe uses gRPC, but the QOS port speaks HTTP/1.1"
    if _asks(probe, "httpGet") and probe.http.at("scheme").text().upper() == "HTTPS":
        return "the probe uses HTTPS, but the QOS port has no TLS"
    if fetch is None:
        return ""
    if fetch.scheme == "https":
        return "the probe uses HTTPS, but the QOS port has no TLS"
    if fetch.http2:
        return "the probe uses HTTP/2, but the QOS port speaks HTTP/1.1"
    return ""


def _unread(probe: Probe) -> str:
    """Return why a probe of the QOS port always succeeds. Empty if it does not."""
    fetch = probe.fetch
    others = {each.words[0] for each in steps(probe.command)}.difference(DIALLERS, _IDLE)
    by_exec = any(_reaches(probe, dialled(each, read=bool(others))) for each in _words(probe))
    if _asks(probe, "tcpSocket") or by_exec or _reaches(probe, _opened(probe)):
        return "the probe succeeds as soon as the port is open, whatever the answer is"
    asks = fetch is not None or probe.probed
    if asks and always_succeeds(probe.command):
        return "the command exits with 0 whatever the answer is"
    if fetch is not None and not fetch.fails and _exits_with(probe, fetch):
        flag = "curl without -f" if fetch.tool == "curl" else "this code"
        return f"{flag} exits with 0 at a 503"
    return ""


def _exits_with(probe: Probe, fetch: Fetch) -> bool:
    """Tell whether only the request decides on the exit code: there is no `| grep true`."""
    return all(
        (
            each.words[0] == fetch.tool
            or each.words[0].startswith("python")
            or each.words[0] in _IDLE
        )
        and not each.command.forked
        for each in steps(probe.command)
    )


def _asks(probe: Probe, handler: str) -> bool:
    number = probe.container.number_of(probe.node.at(handler, "port"))
    return bool(probe.node.at(handler)) and number == probe.container.qos_port


def _opened(probe: Probe) -> list[tuple[str, int | None]]:
    """Return the addresses to which bash opens a connection without sending or reading."""
    text = " ".join(probe.command)
    if _TALKS.search(text):
        return []
    return [(host, int(port)) for host, port in _DEV_TCP.findall(text)]


def _words(probe: Probe) -> list[list[str]]:
    return programs(probe.command)


def _reaches(probe: Probe, asked: list[tuple[str, int | None]]) -> bool:
    return any(is_own(host) and port == probe.container.qos_port for host, port in asked)


@RULES.add(
    "probe-timeout",
    Severity.ERROR,
    sources=(PROBES,),
    fix="Set timeoutSeconds to more than LIFECYCLE_PROBE_TIMEOUT (0.8 by default). If a shell runs "
    "curl, use curl -m 2 and timeoutSeconds: 3.",
)
def probe_timeout(workload: Workload) -> Iterator[Found]:
    """The time limit of a probe is too short or missing.

    A plugin's probe may take up to LIFECYCLE_PROBE_TIMEOUT seconds.
    If timeoutSeconds is not longer, the kubelet reports only a timeout. With a longer limit, you see which probe was slow.
    The time limit of curl or wget in a command must be longer too.
    If a shell runs curl or wget without a time limit, the container runtime kills only the shell at timeoutSeconds. If the app hangs, each probe then leaves one more process behind.

    Severity:
        If only the time limit of curl or wget is missing, the finding is a warning.
    """
    for probe in probes_of(workload.ours):
        if not probe.is_qos:
            continue
        config = probe.container.config
        known = config is not None and probe.container.is_known("probe_timeout")
        needed = config.probe_timeout if config is not None and known else 0
        if known and probe.timeout <= needed:
            yield Found(
                probe.node,
                f"{probe}: timeoutSeconds {probe.timeout:g} is not more than "
                f"LIFECYCLE_PROBE_TIMEOUT {needed:g}",
            )
        if probe.fetch is not None:
            yield from _limits_of_exec(probe, probe.fetch, needed)


def _limits_of_exec(probe: Probe, fetch: Fetch, needed: float) -> Iterator[Found]:
    where = probe.node.at("exec", "command")
    sent = [each for each in steps(probe.command) if each.words[0] == fetch.tool]
    limits = [each for each in (fetch.limit, *(one.limit for one in sent)) if each is not None]
    if not limits and any(each.shell for each in sent):
        message = f"{probe}: {fetch.tool} has no time limit, so it outlives its shell"
        yield Found(where, message, Severity.WARNING)
    if limits and min(limits) <= needed:
        yield Found(
            where,
            f"{probe}: the time limit of {fetch.tool}, {min(limits):g} s, is not more than "
            f"LIFECYCLE_PROBE_TIMEOUT {needed:g}",
        )
