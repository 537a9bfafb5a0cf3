"""The rule on a readiness probe that asks the app, although pod-lifecycle answers probes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import labels
from lifecycle_fleet.why.rules.probe_failures import Failure, failures
from lifecycle_fleet.why.rules.probes import PATHS, is_for_ours

RULES: Final[Table[Facts]] = Table()

READINESS: Final = "readinessProbe"
IGNORE: Final = "pod-lifecycle.dev/ignore"
OF_MESH: Final = "/app-health/"
"""The beginning of the paths to which Istio changes the probes of a pod."""

NOT_PASSED: Final = Saying(
    "The {kind} of container {container} uses port {port}, and has not passed. pod-lifecycle answers "
    "probes on port {qos}, and answers there that the app is ready.",
    "In the manifest, let {kind} use httpGet with path: {wanted} and port: {qos}",
)
PASSED: Final = Saying(
    "The {kind} of container {container} uses port {port}, but pod-lifecycle answers probes on port "
    "{qos}. So lifecycle offline has no effect on this probe.",
    "In the manifest, let {kind} use httpGet with path: {wanted} and port: {qos}",
    note=True,
)


@RULES.add("app-probe", NOT_PASSED, PASSED, alone=True)
def app_probe(facts: Facts) -> Iterator[Found]:
    """
    The readiness probe uses the port of the app.

    pod-lifecycle answers the probes on its own [probe port](qos.md). The app may answer differently
    on its own port, or have no such path there. The command `lifecycle check` finds such a probe in a
    manifest, as [app-probe](checks.md#app-probe).
    """
    app = facts.app
    if app is None or facts.leaving or facts.over or not app.running:
        return
    failure = Failure(app, READINESS)
    used = facts.port_of(app, failure.port)
    if failure.how not in ("httpGet", "tcpSocket") or used is None or _is_meant(facts, failure):
        return
    is_told = any(each.kind == READINESS for each in failures(facts))
    is_ready = facts.answers.state == "ready" and all(each.ok for each in facts.answers.probes())
    if not is_for_ours(facts, failure, used) or not (app.ready or (is_ready and not is_told)):
        return
    yield (PASSED if app.ready else NOT_PASSED).found(
        f"{failure.path}.{failure.how}.port: {failure.port}",
        "" if app.ready else "lifecycle status: state ready",
        kind=READINESS,
        container=app.name,
        port=used,
        qos=facts.qos_port,
        wanted=PATHS[READINESS],
    )


def _is_meant(facts: Facts, failure: Failure) -> bool:
    """Return whether the manifest says that the probe is meant as it is, or a mesh has changed it."""
    notes = labels(facts.pod, "metadata", "annotations")
    names = (IGNORE, f"{IGNORE}.{failure.container.name}")
    ignored = {word for name in names for word in re.split(r"[\s,]+", notes.get(name, ""))}
    return "app-probe" in ignored or failure.url.startswith(OF_MESH)
