"""The output on the page about rollouts is what the command shows."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
from lifecycle_fleet.kubectl import parser
from lifecycle_fleet.rollout.lane import Lane, Span
from lifecycle_fleet.rollout.pods import End, Phase
from lifecycle_fleet.rollout.report import document, text
from lifecycle_fleet.rollout.result import Progress, Rollout, Scale, Verdict

from plugins.fleet.tests.rollout_objects import T0
from plugins.fleet.tests.test_rollout_display import drawn
from plugins.fleet.tests.test_rollout_page import scene

PAGE = Path(__file__).parents[3] / "docs" / "fleet-rollout.md"
C, S, R, D, G = Phase.CREATED, Phase.STARTING, Phase.READY, Phase.DRAINING, Phase.GONE


def lane(name: str, *phases: tuple[Phase, float], code: int | None = None) -> Lane:
    """Return a pod with its phases, each with the seconds since the start at which it begins."""
    begins = [T0 + at for _, at in phases]
    ends = [*begins[1:], None]
    spans = tuple(
        Span(phase, at, end) for (phase, _), at, end in zip(phases, begins, ends, strict=True)
    )
    number = name.rpartition("-")[0]
    exits = () if code is None else (End("app", code, 0, "Completed", T0),)
    uid = f"orders-{name}"
    initial = begins[0] < T0
    return Lane(uid, uid, "rs", number, initial=initial, spans=spans, ends=exits, complete=True)


def rollout(at: float, verdict: Verdict, lanes: list[Lane], **more: object) -> Rollout:
    first, second = {each.hash: None for each in lanes}.keys()
    given: dict[str, object] = {
        "namespace": "shop",
        "name": "orders",
        "began": T0,
        "at": T0 + at,
        "verdict": verdict,
        "reasons": (),
        "lanes": tuple(lanes),
        "new_hash": second,
        "goal_hash": second,
        "scale": Scale(2, 2, 1, 3, 1, 0),
        "paused": False,
        "changes": 0,
        "missing": (),
        "notes": (),
    }
    return Rollout(**(given | {"revisions": {first: 1, second: 2}} | more))  # type: ignore[arg-type]


def blocks() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_each_command_on_the_page_can_be_read() -> None:
    """Its options exist."""
    lines = re.findall("^(?:lifecycle fleet )(rollout .*?)(?: &)?$", blocks(), re.MULTILINE)
    assert len(lines) > 2
    for each in lines:
        parser().parse_args(shlex.split(each))


def test_the_fields_of_the_json_are_all_on_the_page() -> None:
    """No more, no fewer, in this order."""
    first, second = (
        re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)))
        for part in blocks()
        .partition("## JSON")[2]
        .partition("\n## ")[0]
        .split("| field of a pod | content |")
    )
    found = document.document(scene())

    assert first == [*found]
    assert second == [*found["pods"][0]]


def test_the_lanes_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the gate holds."""
    lanes = [
        lane("6ffb747d6c-94lmc", (R, -15)),
        lane("6ffb747d6c-qxhms", (R, -12), (D, 13.6)),
        lane("6ffb747d6c-xfskg", (R, -9)),
        lane("6ccd87b5f9-hcr6j", (C, 0.3), (S, 1.4), (R, 3.1)),
        lane("6ccd87b5f9-5r9kp", (C, 13.7), (S, 14.8), (R, 16.4)),
    ]
    now = rollout(
        17,
        Verdict.ROLLING,
        lanes,
        revisions={"6ffb747d6c": 2, "6ccd87b5f9": 3},
        progress=Progress(3, 2, 4, 4, 3, 3),
        gate="The gate holds until an old pod has left cleanly.",
    )

    assert "\n".join(drawn(now, monkeypatch, problem="")) in blocks()


def test_the_result_of_the_page() -> None:
    """After a restart."""
    lanes = [
        lane("7b4d755497-2m7lg", (R, -60), (D, 9.1), (G, 15.1), code=0),
        lane("7b4d755497-j74ld", (R, -60), (D, 3.2), (G, 9.1), code=0),
        lane("7b4d755497-qln27", (R, -60), (D, 6.1), (G, 12.1), code=0),
        lane("6ffb747d6c-94lmc", (C, 0.1), (S, 2.0), (R, 3.0)),
        lane("6ffb747d6c-qxhms", (C, 3.3), (S, 5.0), (R, 6.0)),
        lane("6ffb747d6c-xfskg", (C, 6.2), (S, 8.0), (R, 9.0)),
    ]
    end = rollout(15.1, Verdict.DONE, lanes, progress=Progress(3, 3, 3, 3, 0, 3))

    assert text.render(end, text.Painter(io.StringIO())) in blocks()
