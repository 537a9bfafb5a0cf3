"""
The picture of one rollout.

    requests per 0.1 s            ▂▅▇▇▆▇▇▅
    app-1   ████ready████│▓draining▓│stopping│        the replica's stages
            ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▆▅▃▂▁ · ·                   clients that know of it · losses
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Final

from lifecycle.rehearsal.measuring.losses import Loss
from lifecycle.rehearsal.measuring.tally import BUCKET
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.replicas.rollout import Rollout
from lifecycle.rehearsal.report.svg import Drawing
from lifecycle.rehearsal.verdict.result import Result

WIDTH: Final = 1120.0
LEFT: Final = 76.0
RIGHT: Final = 14.0
TOP: Final = 16.0
CHART: Final = 84.0
AXIS: Final = 26.0
LANE: Final = 62.0
LABELS: Final = 13.0
BAR: Final = 17.0
KNOWN: Final = 20.0
BEFORE: Final = 0.2
"""Seconds that are shown before the rollout."""
GOLDEN: Final = 0.618034
MOST: Final = 1500
"""The maximum number of losses drawn per rollout."""
STEPS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)


class Figure:
    """
    Draws one rollout.

    Args:
        result: The result of the rehearsal.
        rollout: The rollout.
    """

    def __init__(self, result: Result, rollout: Rollout) -> None:
        self._result = result
        self._rollout = rollout
        self._begin = rollout.began - BEFORE
        self._end = max(rollout.ended, self._begin + 1.0)
        self._scale = (WIDTH - LEFT - RIGHT) / (self._end - self._begin)
        starts = [each.deleted_at for each in rollout.left if each.deleted_at is not None]
        self._zero = min(starts, default=rollout.began)
        self._drawing = Drawing(WIDTH, f"rollout {rollout.number}")
        self._by_pod: Counter[tuple[int, str]] = Counter()
        self._losses = [loss for loss in result.tally.losses if self._shown(loss.at)]

    @property
    def lost(self) -> int:
        """The number of requests lost in this rollout."""
        return len(self._losses)

    def _shown(self, at: float) -> bool:
        return self._rollout.began <= at < self._rollout.ended

    def _whole(self, bucket: int) -> bool:
        return self._begin <= bucket * BUCKET and (bucket + 1) * BUCKET <= self._end

    def _x(self, at: float) -> float:
        return LEFT + (min(max(at, self._begin), self._end) - self._begin) * self._scale

    def _since(self, at: float) -> str:
        return f"{at - self._zero:+.2f} s"

    def draw(self) -> str:
        """Return the picture as SVG."""
        lanes = [*self._rollout.left, *self._rollout.came]
        height = TOP + CHART + AXIS + LANE * len(lanes) + 4
        self._axis(height)
        self._requests()
        for number, replica in enumerate(lanes):
            self._lane(replica, TOP + CHART + AXIS + LANE * number)
        nobody = [loss for loss in self._losses if not loss.pod]
        for loss, y in zip(nobody, _spread(TOP + 6, CHART - 12), strict=False):
            self._mark(loss, y)
        return self._drawing.render(height)

    # Time and requests

    def _axis(self, height: float) -> None:
        bottom = TOP + CHART
        span = self._end - self._begin
        step = next((each for each in STEPS if span / each <= 14), STEPS[-1])
        tick = math.ceil((self._begin - self._zero) / step)
        while self._zero + tick * step <= self._end:
            x = self._x(self._zero + tick * step)
            style = "zero" if tick == 0 else "grid"
            self._drawing.line(x, TOP, x, bottom, style)
            self._drawing.line(x, bottom + 20, x, height - 4, style)
            label = "drain start" if tick == 0 else f"{tick * step:+g} s"
            self._drawing.text(
                x, bottom + 15, label, "tick strong" if tick == 0 else "tick", "middle"
            )
            tick += 1

    def _requests(self) -> None:
        counts: dict[int, list[int]] = {}
        for (bucket, pod, on_kept), count in self._result.tally.answers.items():
            if self._whole(bucket):
                counts.setdefault(bucket, [0, 0, 0])[on_kept] += count
                self._by_pod[bucket, pod] += count
        for loss in self._losses:
            bucket = int(loss.at / BUCKET)
            if self._whole(bucket):
                counts.setdefault(bucket, [0, 0, 0])[2] += 1
        most = max((sum(each) for each in counts.values()), default=1)
        bottom = TOP + CHART
        self._drawing.text(LEFT - 8, TOP + 9, f"{most}", "tick", "end")
        self._drawing.text(LEFT - 8, TOP + 34, "requests", "tick", "end")
        self._drawing.text(LEFT - 8, TOP + 47, "per 0.1 s", "tick", "end")
        self._drawing.text(LEFT - 8, bottom, "0", "tick", "end")
        for bucket, (new, kept, lost) in sorted(counts.items()):
            x, y = self._x(bucket * BUCKET), bottom
            width = max(self._x((bucket + 1) * BUCKET) - x - 1, 1.0)
            when = self._since(bucket * BUCKET)
            tip = f"{when}: {new} answered on new, {kept} on keep-alive connections, {lost} lost"
            for count, style in ((kept, "kept"), (new, "new"), (lost, "lost")):
                tall = CHART * count / most
                if count:
                    self._drawing.rect(x, y - tall, width, tall, style, tip=tip)
                y -= tall
        self._drawing.line(LEFT, bottom, WIDTH - RIGHT, bottom, "base")

    # One replica

    def _lane(self, replica: Replica, y: float) -> None:
        self._drawing.text(LEFT - 8, y + LABELS + 13, replica.name, "name", "end")
        self._moments(replica, y + LABELS - 4)
        self._known(replica, y + LABELS + BAR + 2)
        states = list(self._states(replica))
        for start, end, style, word in states:
            x, width = self._x(start), self._x(end) - self._x(start)
            tip = f"{replica.name}: {word}, {self._since(start)} to {self._since(end)}"
            self._drawing.rect(x, y + LABELS, width, BAR, style, tip=tip, round_=3)
        self._answers(replica, y + LABELS)
        free = self._exit(replica, y + LABELS)
        for start, end, _, word in states:
            x, width = self._x(start), min(self._x(end), free) - self._x(start)
            if width > 9 * len(word):
                self._drawing.text(x + 7, y + LABELS + 12.5, word, "inside")
        if (killed := replica.moment("sigkill")) is not None and self._begin <= killed <= self._end:
            x, middle = self._x(killed), y + LABELS + BAR / 2
            tip = f"{replica.name}: SIGKILL, {self._since(killed)}"
            cross = f"M{x - 6:.1f} {middle - 6:.1f}l12 12m0 -12l-12 12"
            self._drawing.path(cross, "kill", tip=tip)
        lost = [loss for loss in self._losses if loss.pod == replica.name]
        heights = _spread(y + LABELS + BAR + 5, KNOWN - 6)
        for loss, height in zip(lost[:MOST], heights, strict=False):
            self._mark(loss, height)

    def _states(self, replica: Replica) -> Iterator[tuple[float, float, str, str]]:
        exited = replica.moment("exited") or math.inf
        moments = (
            (replica.started_at, "starting", "starting"),
            (replica.ready_at, "ready", "ready"),
            (replica.deleted_at, "draining", "preStop"),
            (replica.moment("sigterm"), "stopping", "SIGTERM → exit"),
        )
        known = [(at, style, word) for at, style, word in moments if at is not None]
        ends = [*(at for at, _, _ in known[1:]), exited]
        for (start, style, word), end in zip(known, ends, strict=True):
            if end - start > 0.001 and end > self._begin and start < self._end:
                yield max(start, self._begin), min(end, self._end), style, word

    def _moments(self, replica: Replica, y: float) -> None:
        """Label the events. If a label has no room, the tooltip of the bar shows it."""
        moments = (
            (replica.deleted_at, "deleted"),
            (replica.moment("sigterm"), "SIGTERM"),
            (replica.closed_at, "listener closed"),
        )
        free = 0.0
        for at, word in moments:
            if at is None or not self._begin <= at <= self._end:
                continue
            x = self._x(at)
            tip = f"{replica.name}: {word}, {self._since(at)}"
            left = min(x + 3, WIDTH - RIGHT - 5.6 * len(word))
            fits = left >= free
            if fits:
                self._drawing.text(left, y + 1, word, "tag")
                free = left + 5.6 * len(word) + 6
            self._drawing.line(x, y - 4 if fits else y + 4, x, y + BAR + 4, "moment", tip=tip)

    def _exit(self, replica: Replica, y: float) -> float:
        """Label the exit, after the bar or inside it. Returns up to where the bar is free."""
        exited = replica.moment("exited")
        if exited is None or replica.deletion is None or not self._begin <= exited <= self._end:
            return WIDTH
        text = f"exit {replica.deletion.exit_code} after {replica.seconds:.1f} s"
        x, wide = self._x(exited), 5.8 * len(text)
        if x + 7 + wide < WIDTH:
            self._drawing.text(x + 7, y + 12.5, text, "tag strong")
            return WIDTH
        self._drawing.text(x - 7, y + 12.5, text, "inside", "end")
        return x - 7 - wide

    def _answers(self, replica: Replica, y: float) -> None:
        """Draw the answers of a replica inside its bar."""
        most = max(self._by_pod.values(), default=1)
        for (bucket, pod), count in self._by_pod.items():
            if pod != replica.name:
                continue
            x, tall = self._x(bucket * BUCKET), (BAR - 2) * count / most
            width = self._x((bucket + 1) * BUCKET) - x
            tip = f"{replica.name} answered {count} at {self._since(bucket * BUCKET)}"
            self._drawing.rect(x, y + BAR - tall, width, tall, "work", tip=tip)

    def _known(self, replica: Replica, y: float) -> None:
        clients = self._result.template.plan.traffic.clients
        known = self._result.tally.known
        first, last = int(self._begin / BUCKET) + 1, int(self._end / BUCKET) + 1
        shares = [(b * BUCKET, known[b, replica.name] / clients) for b in range(first, last)]
        drawn = [
            f"{self._x(at):.1f} {y + KNOWN - (KNOWN - 2) * min(share, 1.0):.1f}"
            for at, share in shares
        ]
        if not any(share for _, share in shares):
            return
        start, end = self._x(shares[0][0]), self._x(shares[-1][0])
        points = f"M{start:.1f} {y + KNOWN:.1f}L{'L'.join(drawn)}L{end:.1f} {y + KNOWN:.1f}z"
        left = [at for (at, share), (_, next_) in itertools.pairwise(shares) if share and not next_]
        tip = f"clients that use {replica.name} as an endpoint"
        if left and replica.deleted_at is not None:
            tip += f", the last one until {self._since(left[-1] + BUCKET)}"
        self._drawing.path(points, "known", tip=tip)

    def _mark(self, loss: Loss, y: float) -> None:
        kind = "keep-alive" if loss.kept else "new"
        whom = loss.pod or "no replica"
        stage = self._result.stage(loss)
        tip = (
            f"{self._since(loss.at)}: {loss.path} to {whom} on a {kind} connection ({loss.protocol})"
            f"\n{loss.cause}: {loss.detail}\n{stage}"
        )
        if loss.kept:
            self._drawing.diamond(self._x(loss.at), y, 5, "mark", tip=tip)
        else:
            self._drawing.dot(self._x(loss.at), y, 3, "mark", tip=tip)


def _spread(top: float, height: float) -> Iterator[float]:
    """Yield heights, so that marks at the same time do not hide each other."""
    return (top + height * (number * GOLDEN % 1.0) for number in itertools.count(1))
