"""
What a person does with the page, besides the tests.

    python -m tests.page picture         # draws docs/img/page.svg anew, as `make picture` does
    python -m tests.page shots FOLDER    # pictures of all states, themes and widths, to look at
    python -m tests.page measure         # what a tick costs, with 200 services and 1,000 in flight
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.page.browser import Tab, chromium
from tests.page.picture import PICTURE, drawn
from tests.page.scenes import SCENES
from tests.page.serving import Stage, staged

THERE: Final = "document.querySelector('#main:not([hidden])')"
WIDTHS: Final = (1280, 400)
TICKS: Final = 20


def shots(tab: Tab, folder: Path) -> None:
    """Write a picture of each scene, in both themes and both widths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        with staged(scene) as stage:
            for dark in (False, True):
                for width in WIDTHS:
                    _open(tab, stage, dark=dark, width=width)
                    tab.shot(folder / _file(name, dark=dark, width=width))
                    if name == "many" and not dark:
                        tab.js("document.querySelectorAll('.more').forEach((each) => each.click())")
                        tab.until("document.querySelectorAll('.work tbody tr').length === 1000")
                        tab.shot(folder / _file("many-all", dark=dark, width=width))
                        tab.js("document.querySelectorAll('.more').forEach((each) => each.click())")
    for dark, width in ((False, 1280), (True, 400)):
        with staged(SCENES["draining"]) as stage:
            _open(tab, stage, dark=dark, width=width)
        tab.until("document.documentElement.dataset.mood === 'lost'")
        tab.shot(folder / _file("lost", dark=dark, width=width))


def _file(name: str, *, dark: bool, width: int) -> str:
    return f"{name}-{'dark' if dark else 'light'}-{width}.png"


def _open(tab: Tab, stage: Stage, *, dark: bool = False, width: int = 1280) -> None:
    tab.look(dark=dark, width=width)
    tab.open(stage.url)
    tab.until(THERE)


def measure(tab: Tab) -> None:
    """Print the seconds that one tick takes, on average."""
    for what, name, more in (
        ("2 services, 6 in flight", "ready", False),
        ("200 services, 1,000 in flight, the first rows", "many", False),
        ("200 services, 1,000 in flight, all rows", "many", True),
    ):
        with staged(SCENES[name]) as stage:
            _open(tab, stage)
            if more:
                tab.js("document.querySelectorAll('.more').forEach((each) => each.click())")
                tab.until("document.querySelectorAll('.work tbody tr').length === 1000")
            tab.js(_ticks(2))
            before = tab.metrics()
            for tick in range(TICKS):
                _age(stage, tick)
                tab.js(_ticks(1))
            after = tab.metrics()
        parts = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration", "TaskDuration")
        took = {each: (after[each] - before[each]) / TICKS * 1000 for each in parts}
        print(f"{what}: " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in took.items()))


def _age(stage: Stage, tick: int) -> None:
    status, work = stage.scene
    entries = [each | {"age": each["age"] + 1.1} for each in work["entries"]]
    new = status | {"now": status.get("now", 0.0) + 1.1, "requests": 1000 * tick}
    stage.scene = stage.scene._replace(status=new, work=work | {"entries": entries})  # type: ignore[typeddict-item]


def _ticks(count: int) -> str:
    return f"""new Promise((done) => {{
        const asked = [];
        new PerformanceObserver((list, observer) => {{
            asked.push(...list.getEntries().filter((each) => each.name.includes("inflight")));
            if (asked.length >= {count}) {{ observer.disconnect(); setTimeout(done, 200); }}
        }}).observe({{ type: "resource" }});
    }})"""


def main(words: list[str]) -> int:
    """Do what the words ask for."""
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as tab:
        match words:
            case ["picture"]:
                PICTURE.write_text(drawn(tab), encoding="utf-8")
            case ["shots", folder]:
                shots(tab, Path(folder))
            case ["measure"]:
                measure(tab)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
