"""What a result says of replicas and losses: of a real pod, with losses where they are put."""

from __future__ import annotations

import asyncio
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.rehearsal.measuring.losses import Cause, Loss
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Plan, Traffic
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.replicas.rollout import Rollout
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.rehearsal.report.page import page
from lifecycle.rehearsal.report.text import Painter, describe, render
from lifecycle.rehearsal.report.timeline import Figure
from lifecycle.rehearsal.verdict.advice import Advice
from lifecycle.rehearsal.verdict.result import LossGroup, Result
from lifecycle.testing import Container, Kubelet, PodSpec
from tests.rehearsal.kit import run

CRASHES_ONCE = "[ -e crashed ] && exec sleep 60; touch crashed; exit 3"
IGNORES = "trap '' TERM; echo deaf; while :; do sleep 0.05; done"


def lost(at: float, pod: str = "app-1", cause: Cause = Cause.RESET) -> Loss:
    return Loss(at, at, True, "http1", cause, "connection reset", "/", pod)


def result_of(replica: Replica, rollout: Rollout, *losses: Loss) -> Result:
    template = Template(Plan(("true",)), "")
    tally = Tally(requests=len(losses), losses=list(losses))
    return Result(template, tally, [replica], [rollout], 1, replica.started_at, time.monotonic())


def test_a_crash_is_told_with_its_exit_code(tmp_path: Path):
    """Of a replica that was started again and runs on."""

    async def main() -> None:
        async with Kubelet() as kubelet:
            command = ["sh", "-c", CRASHES_ONCE]
            pod = await kubelet.run(PodSpec(Container(command, cwd=str(tmp_path)), "app-1"))
            await pod.until(lambda pod: pod.restart_count and pod.running)
            replica = Replica(pod)
            (finding,) = result_of(replica, Rollout(1, 0.0)).findings()
            assert finding == ("unexpected exit and restart of app-1 (exit code 3)")

    run(main())


@pytest.fixture(scope="module")
def killed() -> tuple[Replica, Rollout]:
    """A replica that SIGKILL ended, and the rollout that ended with it."""

    async def main() -> tuple[Replica, Rollout]:
        async with Kubelet() as kubelet:
            pod = await kubelet.run(PodSpec(Container(["sh", "-c", IGNORES]), "app-1"))
            await pod.until(lambda pod: "deaf" in pod.output)
            replica = Replica(pod)
            rollout = Rollout(1, time.monotonic(), left=[replica])
            await asyncio.sleep(1.0)  # so that its bar has the room of a real one's
            await pod.delete(1.0)
            rollout.ended = time.monotonic()
            return replica, rollout

    found: tuple[Replica, Rollout] = run(main())
    return found


def test_losses_outside_of_a_rollout_have_a_row(killed: tuple[Replica, Rollout]):
    """So that what is lost by rollout adds up to the total; the page says it too."""
    replica, rollout = killed
    losses = [lost(at) for at in (rollout.began - 1, rollout.began, rollout.ended)]
    result = result_of(replica, rollout, *losses)
    assert (result.lost_in(rollout), result.lost_outside) == (1, 2)
    row = next(line for line in render(result, Painter()).splitlines() if "outside" in line)
    assert row.split() == ["outside", "of", "a", "rollout", "2"]
    assert "2 lost outside of a rollout" in page(result)


def test_what_sigkill_reset_is_told_apart_from_what_the_server_closed(
    killed: tuple[Replica, Rollout],
):
    """The same reset, before SIGKILL and by it: each has advice of its own."""
    replica, rollout = killed
    sigterm, sigkill = replica.moment("sigterm"), replica.moment("sigkill")
    assert sigterm is not None
    assert sigkill is not None
    whys = [
        result_of(replica, rollout, lost(at)).groups()[0].advice.why
        for at in ((sigterm + sigkill) / 2, sigkill + 0.001)
    ]
    assert ["SIGKILL" in why for why in whys] == [False, True]


@pytest.mark.parametrize(
    ("after", "otherwise", "cause"),
    [
        (0.05, Cause.CUT, Cause.QUEUE),
        (-0.05, Cause.CUT, Cause.QUEUE),
        (0.5, Cause.CUT, Cause.CUT),
        (0.5, Cause.UPLOAD, Cause.UPLOAD),
        (-0.5, Cause.UNASKED, Cause.UNASKED),
        (-100.0, Cause.CUT, Cause.QUEUE),  # before T0: what closed then is not known
    ],
)
def test_a_queue_is_reset_only_when_its_listener_closes(
    killed: tuple[Replica, Rollout], after: float, otherwise: Cause, cause: Cause
):
    """At any other moment a process had the connection, and the request was cut."""
    replica, rollout = killed
    closed = replica.closed_at = replica.moment("exited")
    assert closed is not None
    loss = replace(lost(closed + after, cause=Cause.QUEUE), otherwise=otherwise)
    assert [each.cause for each in result_of(replica, rollout, loss).tally.losses] == [cause]


class Flaps:
    """A pod that is ready or not, as it is told."""

    name = "app-1"
    deletion = None
    ready = False

    def subscribe(self, callback: Callable[[], None]) -> None:
        self._changed = callback

    def becomes(self, *, ready: bool) -> float:
        self.ready = ready
        self._changed()
        return time.monotonic()


@pytest.mark.parametrize(
    ("joining", "advised"),
    [(5.0, [False, True, False, True]), (0.1, [False, True, False, False])],
)
def test_min_ready_seconds_are_advised_only_for_a_replica_that_was_ready(
    joining: float, advised: list[bool]
):
    """While every replica is unready, or clients must have heard of one, it would not help."""
    pod = Flaps()
    made: Any = pod
    replica = Replica(made)
    first = pod.becomes(ready=True)
    broken = pod.becomes(ready=False)
    again = pod.becomes(ready=True)
    moments = (first - 1, first, broken, again + 1)
    template = Template(Plan(("true",), Traffic(propagation_in=joining)), "")
    found = []
    for at in moments:
        tally = Tally(losses=[lost(at, "", Cause.NO_ENDPOINT)])
        result = Result(template, tally, [replica], [], 1, first, again)
        found.append("minReadySeconds" in result.groups()[0].advice.change)
    assert found == advised


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (200, ""),
        (304, ""),
        (301, "SECURE_SSL_REDIRECT"),
        (302, "do not follow the redirect"),
        (400, "Check --path. In Django, ALLOWED_HOSTS must contain 127.0.0.1"),
        (401, "needs no login"),
        (403, "needs no login"),
        (404, "no such path"),
        (410, "answered with 410. Check --path"),
    ],
)
def test_a_status_is_told_with_what_to_change(
    killed: tuple[Replica, Rollout], status: int, said: str
):
    """What every request is answered with, if it shows that the load does not reach the app."""
    result = result_of(*killed)
    result.tally.statuses[status] += 1
    found = [each for each in result.findings() if "answered" in each]
    assert len(found) == bool(said)
    assert all(said in each for each in found)


def test_every_exit_has_its_label(killed: tuple[Replica, Rollout]):
    """Where there is no room behind the bar, it is within, at its end."""
    replica, rollout = killed
    texts = ET.fromstring(Figure(result_of(replica, rollout), rollout).draw()).iter()
    (label,) = (each for each in texts if (each.text or "").startswith("exit 137 after"))
    assert (label.get("class"), label.get("text-anchor")) == ("inside", "end")
    rollout = Rollout(1, rollout.began, rollout.ended + 5.0, [replica])
    texts = ET.fromstring(Figure(result_of(replica, rollout), rollout).draw()).iter()
    (label,) = (each for each in texts if (each.text or "").startswith("exit 137 after"))
    assert label.get("class") == "tag strong"


def test_the_legend_names_what_is_red(killed: tuple[Replica, Rollout]):
    """The red part of the bars of requests is among what the page explains."""
    assert '<rect width="16" height="12" class="lost"/></svg>lost' in page(result_of(*killed))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ([-0.4], "0.40 s before the drain start"),
        ([-0.4, -1.2], "1.20 to 0.40 s before the drain start"),
        ([-0.4, 1.2], "0.40 s before to 1.20 s after the drain start"),
        ([-0.004], "0.00 s after the drain start"),
        ([0.5, 0.501], "0.50 s after the drain start"),
        ([0.5, 2], "0.50 to 2.00 s after the drain start"),
        ([None], ""),
    ],
)
def test_when_losses_of_one_kind_were(seconds: list[float | None], told: str):
    """A time before the drain start has no minus sign, in the text and on the page."""
    losses = [(lost(0.0), each) for each in seconds]
    group = LossGroup(Cause.RESET, True, "http1", Advice("", ""), losses=losses)
    assert group.span() == told
    assert describe(1, group).splitlines()[0].endswith(f" ({told})" if told else ": ")
