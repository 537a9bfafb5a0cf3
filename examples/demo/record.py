"""What has happened so far: written by kubelet and load, read by display and report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from lifecycle.rehearsal.measuring.tally import Tally

PROBES = ("startup", "ready", "live")


@dataclass
class Track:
    """One replica's life."""

    name: str
    states: list[tuple[float, str]] = field(default_factory=list)
    verdicts: dict[str, list[tuple[float, bool | None]]] = field(default_factory=dict)
    marks: list[tuple[float, str]] = field(default_factory=list)
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return self.states[-1][1] if self.states else ""

    def state_at(self, when: float) -> str:
        return _last(self.states, when, "")

    def verdict_at(self, probe: str, when: float) -> bool | None:
        return _last(self.verdicts.get(probe, []), when, None)


def _last(history, when, default):
    found = default
    for at, value in history:
        if at > when:
            break
        found = value
    return found


@dataclass
class Rollout:
    """One service, its replicas, and what its clients met."""

    how: str
    tally: Tally
    tracks: list[Track] = field(default_factory=list)
    took: float = 0.0

    @property
    def served(self) -> int:
        return self.tally.answers.total()

    @property
    def lost(self) -> int:
        return len(self.tally.losses)

    @property
    def reasons(self) -> Counter[str]:
        return Counter(f"{loss.cause}: {loss.detail}" for loss in self.tally.losses)


class Record:
    """
    One act of the demo: its clock, its rollouts, what was said.

    Args:
        title: What stands over the finished picture.
        span: Seconds the act is expected to take: the width of its timeline.
        listen: Told of every sentence when it is said.
    """

    def __init__(self, title: str, span: float, listen: Callable[[float, str], None]) -> None:
        self.rollouts: list[Rollout] = []
        self.title = title
        self.caption = ""
        self.said: list[tuple[float, str]] = []
        self.over = False
        self._span = span
        self._listen = listen
        self.began = time.monotonic()
        self._ended = 0.0

    @property
    def now(self) -> float:
        return self._ended if self.over else time.monotonic() - self.began

    @property
    def span(self) -> float:
        return max(self._span, self.now)

    def since(self, at: float | None = None) -> float:
        """Return the seconds from its begin to a moment of the monotonic clock, or to now."""
        return self.now if at is None else at - self.began

    def end(self) -> None:
        self._ended = self.now
        self.over = True

    def scene(self, caption: str) -> None:
        self.caption = caption
        self.say(f"── {caption}")

    def say(self, sentence: str) -> None:
        self.said.append((self.now, sentence))
        self._listen(self.now, sentence)

    def state(self, track: Track, state: str, why: str = "", at: float | None = None) -> None:
        track.states.append((self.since(at), state))
        self.say(f"{track.name} is {state.upper()}" + (f" ({why})" if why else ""))

    def verdict(self, track: Track, probe: str, *, verdict: bool | None) -> None:
        history = track.verdicts.setdefault(probe, [])
        if verdict is (history[-1][1] if history else None):
            return
        history.append((self.now, verdict))
        answer = {True: "true", False: "false", None: "no answer"}[verdict]
        self.say(f"{track.name} /{probe} → {answer}")

    def gone(self, track: Track, code: int) -> None:
        self.mark(track, f"exit {code}")
        self.say(f"{track.name} has left with exit code {code}")
        for history in track.verdicts.values():
            history.append((self.now, None))
        track.states.append((self.now, ""))

    def mark(self, track: Track, label: str, at: float | None = None) -> None:
        track.marks.append((self.since(at), label))
