"""The report of a rollout, in a real Chromium."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet.rollout.lane import Lane, Span
from lifecycle_fleet.rollout.pods import End, Phase
from lifecycle_fleet.rollout.report.page import page
from lifecycle_fleet.rollout.result import Note, Progress, Rollout, Scale, Verdict

from plugins.fleet.tests.rollout_objects import T0
from tests.page.browser import Tab
from tests.page.test_browser import CONTRAST

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")

HOSTILE = (
    '<script>document.title="attacked"</script><img src=x onerror=alert(1)>'
    "'\"&amp;</title></style><svg onload=alert(2)>"
)


def lane(number: int, *, new: bool, phases: dict[Phase, float], **more: Any) -> Lane:
    begins = [*phases.items()]
    ends: list[float | None] = [begin for _, begin in begins[1:]]
    spans = tuple(
        Span(phase, T0 + begin, end if end is None else T0 + end)
        for (phase, begin), end in zip(begins, [*ends, None], strict=True)
    )
    name = f"orders-{'new' if new else 'old'}-{number}"
    given: dict[str, Any] = {"initial": not new, "complete": True}
    return Lane(name, name, "rs", "new" if new else "old", spans=spans, **(given | more))


def scene(text: str = "exit 1", pods: int = 1) -> Rollout:
    """Return a rollout with each phase, in which a text of the cluster stands wherever it can."""
    came = {Phase.CREATED: 0.0, Phase.SCHEDULED: 0.2, Phase.STARTING: 0.5, Phase.READY: 3.0}
    left = {Phase.READY: -60.0, Phase.DRAINING: 4.0, Phase.GONE: 34.0}
    killed = (End(text, 137, 0, "Error", T0 + 33),)
    lanes = [lane(0, new=False, phases=left, ends=killed, hooks=(text,), grace=30.0)]
    lanes += [lane(n, new=True, phases=came | {Phase.UNREADY: 20.0}) for n in range(pods)]
    lanes += [lane(pods, new=True, phases={Phase.CREATED: 8.0}, problem=text, trouble=text)]
    lanes[0] = replace(lanes[0], name=f"orders-{text}"[:60])
    return Rollout(
        namespace=text,
        name=text,
        began=T0,
        at=T0 + 40,
        verdict=Verdict.STUCK,
        reasons=(text,),
        lanes=tuple(lanes),
        new_hash="new",
        goal_hash="new",
        revisions={"old": 1, "new": 2},
        progress=Progress(3, 2, 2, 2, 0, 1),
        scale=Scale(2, 0, 2, 3, 1, 0),
        paused=False,
        changes=0,
        missing=(),
        notes=(Note(T0 + 9, text, ours=False),),
        gate=text,
    )


def shown(tab: Tab, rollout: Rollout, folder: Path, **look: Any) -> None:
    file = folder / "report.html"
    file.write_text(page(rollout), encoding="utf-8")
    tab.look(**look)
    tab.open(file.as_uri())


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_a_hostile_text_is_shown_as_text(
    browser: Tab, tmp_path: Path, *, dark: bool, width: int
) -> None:
    """Wherever it comes from: a name, a reason, a message."""
    shown(browser, scene(HOSTILE), tmp_path, dark=dark, width=width)

    assert browser.complaints() == []
    assert browser.js("document.title") == scene(HOSTILE).headline()
    tags = "script, img, [onload], [onerror], iframe, link:not([href='data:,'])"
    assert browser.js(f"document.querySelectorAll({tags!r}).length") == 0
    assert browser.text(".verdict").startswith("The rollout to revision 2 is stuck")
    assert HOSTILE.split(maxsplit=1)[0] in browser.text()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_and_can_be_read(
    browser: Tab, tmp_path: Path, *, dark: bool, width: int
) -> None:
    """Wide parts scroll inside of their cards, and each text has enough contrast."""
    shown(browser, scene(pods=12), tmp_path, dark=dark, width=width)

    assert browser.js("document.documentElement.scrollWidth") == width
    assert browser.js(CONTRAST) == []
    assert browser.complaints() == []


def test_the_timeline_has_each_phase_and_the_kill(browser: Tab, tmp_path: Path) -> None:
    """As a bar of its own, with a tooltip."""
    shown(browser, scene(), tmp_path)
    styles = ("created", "starting", "ready", "unready", "draining")
    found = [
        browser.js(f"document.querySelectorAll('.scroll rect.{each}').length") for each in styles
    ]

    assert all(found), found
    assert browser.js("document.querySelectorAll('path.kill').length") == 1
    tips = browser.js(
        "[...document.querySelectorAll('rect title')].map((each) => each.textContent)"
    )
    assert "orders-new-0: ready, +3.0 s to +20.0 s" in tips


def test_many_pods_are_drawn_in_part(browser: Tab, tmp_path: Path) -> None:
    """The table has all of them."""
    shown(browser, scene(pods=400), tmp_path)

    assert "120 of 402 pods are drawn." in browser.text()
    assert browser.js("document.querySelectorAll('table tr').length") == 403
