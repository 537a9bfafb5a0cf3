"""The page in a real Chromium, in every state that an app can have."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lifecycle.status_records import Snapshot
from tests.page.browser import Tab
from tests.page.picture import PICTURE, drawn
from tests.page.scenes import HOSTILE, NAMES, NOW, POD, SCENES, Scene, attacked, service, status
from tests.page.serving import Stage, staged

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")

MARKS = {
    "starting": ("STARTING", "busy", ["Running now: imports (4.2 s)", "imports (running)"]),
    "ready": ("READY", "good", ["Serving 2 app services.", "6 in flight", "GET /export/2026-09"]),
    "offline": ("READY", "leave", ["All app services (2) are offline", "operator: unix socket"]),
    "failed-probe": ("READY", "bad", ["/ready is false", "connection to postgres:5432 refused"]),
    "draining": ("DRAINING", "leave", ["Started by SIGTERM", "the lifecycle_drain hook of kafka"]),
    "stopped": ("STOPPED", "over", ["The app has stopped: main returned."]),
    "failed": ("FAILED", "bad", ["The app has failed: ValueError: no database."]),
    "command": ("READY", "good", ["gunicorn gthread", "none for 6.2 s", "50,118"]),
    "many": (
        "READY",
        "good",
        ["Show all 200", "Show all 1,000", "1 offline, 2 not registered everywhere"],
    ),
}
LOST = "document.documentElement.dataset.mood === 'lost'"
"""True if the page shows that the connection is lost."""

CONTRAST = """
(() => {
  const channel = (value) => { const s = value / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return parse(getComputedStyle(document.documentElement).backgroundColor);
  };
  const found = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) continue;
    const [one, other] = [parse(getComputedStyle(element).color), behind(element)].map(luminance);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.set(`${element.tagName}.${element.className}`, ratio.toFixed(2));
  }
  return [...found].map((each) => each.join(" "));
})()
"""


@contextmanager
def shown(tab: Tab, scene: Scene, **look: Any) -> Iterator[Stage]:
    """Open the page of a scene, and wait until the state is there."""
    with staged(scene) as stage:
        tab.look(**look)
        tab.open(stage.url)
        tab.until("document.querySelector('#main:not([hidden]) #state').textContent")
        yield stage


def without(found: Any, name: str) -> Any:
    """Return a status as another version may answer it."""
    return {each: value for each, value in found.items() if each != name}


def test_every_scene_is_expected() -> None:
    """Nothing is drawn that no test looks at."""
    assert set(MARKS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_is_shown(tab: Tab, name: str) -> None:
    """Its name, its colour, and what the app does or waits for."""
    state, mood, texts = MARKS[name]
    with shown(tab, SCENES[name]):
        assert tab.text("#state") == state
        assert tab.js("document.documentElement.dataset.mood") == mood
        assert tab.js("document.title") == f"{state} · {POD}"
        text = tab.text()
        assert not [each for each in texts if each not in text], text
        assert "undefined" not in text
        assert "NaN" not in text
        assert "[object" not in text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_every_text_can_be_read(tab: Tab, name: str, dark: bool) -> None:
    """Its contrast is at least 4.5 to 1 in both themes, and the themes differ."""
    with shown(tab, SCENES[name], dark=dark):
        assert tab.js(CONTRAST) == []
        paper = tab.js("getComputedStyle(document.documentElement).getPropertyValue('--paper')")
        assert (paper.strip() == "#ffffff") is not dark


@pytest.mark.parametrize("name", NAMES)
def test_a_narrow_screen_needs_no_sideways_scrolling(tab: Tab, name: str) -> None:
    """Nothing is wider than 400 pixels, with all rows open too; everything is still there."""
    with shown(tab, SCENES[name], width=400):
        tab.js("document.querySelectorAll('.more:not([hidden])').forEach((each) => each.click())")
        assert tab.js("document.documentElement.scrollWidth") <= 400
        wide = tab.js(
            "[...document.querySelectorAll('body *')].filter((each) => each.checkVisibility() &&"
            " !each.closest('.unseen, thead') && each.getBoundingClientRect().right > 401)"
            ".map((each) => `${each.tagName}.${each.className}`)"
        )
        assert wide == []


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_an_attack_is_text(tab: Tab, number: int, width: int) -> None:
    """Whatever an app, a plugin or a client puts into a text is shown, and does nothing."""
    text = HOSTILE[number]
    with shown(tab, attacked(text), width=width) as stage:
        tab.until("document.querySelector('.work tbody tr')")
        body = tab.text()
        if text.isprintable() and len(text) < 60:
            assert body.count(text) >= 15
        assert not set("\u202e\u2066\u202c\x00\x1b\x7f") & set(body)
        assert tab.js("document.querySelectorAll('script').length") == 1
        assert tab.js("document.querySelectorAll('main img, main svg, main a').length") == 0
        assert tab.js("document.documentElement.scrollWidth") <= width
        code = tab.js("[...document.querySelectorAll('.commands code')].map((e) => e.textContent)")
        assert all(text not in each for each in code)
        assert all("/status" in each or "/inflight" in each for each in stage.asked[1:])
    assert tab.complaints() == []


@pytest.mark.parametrize(("pod", "named"), [("", True), ("shop-1", False)])
def test_a_command_names_the_port(tab: Tab, pod: str, named: bool) -> None:
    """In its container it finds the port by itself. Elsewhere it would reach another app."""
    with shown(tab, SCENES["ready"]._replace(status=status(pod=pod))):
        codes = tab.js("[...document.querySelectorAll('.commands code')].map((e) => e.textContent)")
        [line] = [each for each in codes if "lifecycle prestop" in each]
        assert line.endswith(f" --port {tab.js('location.port')}") is named
        assert line.startswith("kubectl exec") is not named


def test_a_draining_app_is_not_ready(tab: Tab) -> None:
    """Also if the last answer of `/ready` is from before the drain."""
    scene = SCENES["draining"]
    probes = [each | {"ok": True, "age": 54.0} for each in scene.status["probes"]]
    with shown(tab, scene._replace(status=scene.status | {"probes": probes})):
        assert "/ready, because the app is DRAINING" in tab.text("#probes")


def test_many_registries_share_a_column(tab: Tab) -> None:
    """So the table stays as wide as the page."""
    where = {f"consul-{number}": "yes" for number in range(8)} | {"etcd": "no: refused"}
    with shown(
        tab, SCENES["ready"]._replace(status=status(services=[service("shop", 80, **where)]))
    ):
        assert "consul-0 yes, consul-1 yes" in tab.text("#services")
        assert "etcd no: refused" in tab.text("#services")
        assert tab.js("document.documentElement.scrollWidth") == 1280


def test_a_foreign_script_does_not_run(tab: Tab) -> None:
    """The policy refuses it, even if it gets into the document; so does Trusted Types."""
    with shown(tab, SCENES["ready"]):
        tab.js(
            "(() => { const script = document.createElement('script');"
            " try { script.textContent = 'window.ran = 1'; document.body.append(script); }"
            " catch (error) { window.refused = error.name; } })()"
        )
        assert tab.js("window.ran ?? null") is None
        assert tab.js("window.refused") == "TypeError"
        assert tab.js("window.complaints.length") > 0
    tab.open("about:blank")


def test_the_page_lives_without_reloading(tab: Tab) -> None:
    """A change is there after the next answers, and only a change of the state is announced."""
    with shown(tab, SCENES["ready"]) as stage:
        tab.js("window.still = true")
        assert tab.text("#said") == "Connected. The state is READY."
        tab.js(
            "window.announced = []; new MutationObserver(() =>"
            " announced.push(document.querySelector('#said').textContent))"
            ".observe(document.querySelector('#said'), {childList: true, characterData: true})"
        )
        later: Any = SCENES["ready"].status | {"requests": 184_777, "now": NOW + 1}
        stage.scene = SCENES["ready"]._replace(status=later)
        tab.until("document.querySelector('#figures').textContent.includes('184,777')")
        assert tab.js("announced") == []

        stage.scene = SCENES["draining"]
        tab.until("document.querySelector('#state').textContent === 'DRAINING'")
        assert tab.js("announced") == ["The state is now DRAINING, because of SIGTERM."]
        assert tab.js("document.querySelector('#drain').checkVisibility()")
        assert tab.js("window.still")
        assert stage.asked.count("/") == 1
        assert stage.most_at_once == 1


def test_a_lost_connection_is_plain_to_see(tab: Tab) -> None:
    """The last state stays, with its age; what comes back is shown, also if it is another one."""
    with shown(tab, SCENES["draining"]) as stage:
        port = int(stage.url.rsplit(":", 1)[1].rstrip("/"))
    tab.until(LOST)
    notice = tab.text("#lost")
    assert "Connection lost: no answer. You see the last state" in notice
    assert "The app was DRAINING when it last answered, so it has probably exited." in notice
    assert tab.text("#state") == "DRAINING"
    assert "GET /export/2026-09" in tab.text("#work")
    assert tab.text("#said") == "Connection lost: no answer."
    assert tab.js("document.title").startswith("Lost, was DRAINING")
    assert tab.js(CONTRAST) == []

    restarted: Snapshot = SCENES["starting"].status
    with staged(SCENES["starting"]._replace(status=restarted), port):
        tab.until(f"!({LOST})")
        assert tab.text("#said") == "Another process answers now. Its state is STARTING."
        assert not tab.js("document.querySelector('#lost').checkVisibility()")
        assert not tab.js("document.querySelector('#drain').checkVisibility()")
    tab.open("about:blank")


def test_an_app_that_refuses_is_shown_with_its_words(tab: Tab) -> None:
    """An answer that is no status is not taken for one."""
    with shown(tab, SCENES["ready"]) as stage:
        stage.refuse = "/status is PROTECTED, so this caller may not use it.\n"
        tab.until(LOST)
        assert "/status answered 403, /status is PROTECTED" in tab.text("#lost")
        assert tab.text("#state") == "READY"
        stage.refuse = ""
        tab.until(f"!({LOST})")
        for answer, said in (
            ({"state": 1}, "/status did not answer with a status"),
            (
                without(status(), "probes"),
                "another version of pod-lifecycle answers. Reload the page",
            ),
        ):
            stage.scene = SCENES["ready"]._replace(status=answer)
            tab.until(f"document.querySelector('#lost').textContent.includes({said!r})")


def test_an_app_that_does_not_answer_is_not_shown_as_live(tab: Tab) -> None:
    """As a process that has been stopped: the page admits it before it gives up."""
    with shown(tab, SCENES["ready"]) as stage:
        stage.speaks.clear()
        tab.until("document.querySelector('#link').textContent.startsWith('No answer for ')")
        stage.speaks.set()
        tab.until("document.querySelector('#link').textContent === 'Live, every second'")


def test_nothing_is_asked_while_the_tab_is_hidden_or_paused(tab: Tab) -> None:
    """The page asks again at once when it can be seen again."""
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
    turn = "document.dispatchEvent(new Event('visibilitychange'))"
    with shown(tab, SCENES["ready"]) as stage:
        for stop, go in (
            (f"{hide % 'true'}; {turn}", f"{hide % 'false'}; {turn}"),
            ("document.querySelector('#pause').click()",) * 2,
        ):
            tab.js(f"new Promise((done) => {{ {stop}; setTimeout(done, 300); }})")
            before = len(stage.asked)
            tab.js("new Promise((done) => setTimeout(done, 1500))")
            assert len(stage.asked) == before
            more: Any = status(requests=5_000_000 + before)
            stage.scene = stage.scene._replace(status=more)
            tab.js(go)
            tab.until(
                f"document.querySelector('#figures').textContent.includes('{5_000_000 + before:,}')"
            )
        assert tab.text("#link") == "Live, every second"


def test_long_tables_show_their_first_rows_and_all_on_demand(tab: Tab) -> None:
    """With 200 services and 1,000 in flight; what has a problem comes first."""
    rows = "document.querySelectorAll('%s tbody tr').length"
    with shown(tab, SCENES["many"]) as stage:
        tab.until(f"{rows % '.work'} === 20")
        assert tab.js(rows % ".services") == 20
        assert tab.text(".services tbody tr th") == "shop-197"
        tab.js("document.querySelectorAll('.more:not([hidden])').forEach((each) => each.click())")
        tab.until(f"{rows % '.work'} === 1000 && {rows % '.services'} === 200")
        assert "/inflight?limit=1000" in stage.asked
        tab.js("document.querySelector('#work .more').click()")
        tab.until(f"{rows % '.work'} === 20")


def test_the_keyboard_reaches_everything_in_its_order(tab: Tab) -> None:
    """Each stop has a name and a visible focus; a command can be copied."""
    with shown(tab, SCENES["many"]):
        stops = []
        for _ in range(12):
            tab.press("Tab")
            stops.append(
                tab.js(
                    "[document.activeElement.textContent.trim(),"
                    " getComputedStyle(document.activeElement).outlineStyle]"
                )
            )
        assert {outline for _, outline in stops} == {"solid"}, stops
        assert [name for name, _ in stops[:3]] == ["Pause", "Show all 1,000", "Show all 200"]
        assert [name.split(" ")[0] for name, _ in stops[3:9]] == ["Copy"] * 6
        assert [name for name, _ in stops[9:12]] == ["/status", "/inflight", "/help"]

        for _ in range(8):
            tab.press("Tab", shift=True)
        tab.js("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        tab.press("Enter")
        tab.until("document.querySelector('#said').textContent === 'Copied to the clipboard.'")
        assert tab.js("copied") == f"kubectl exec -n shop {POD} -- lifecycle status --watch"
        tab.js("navigator.clipboard.writeText = async () => { throw new Error('no'); }")
        tab.press("Tab")
        tab.press(" ")
        tab.until(
            "document.querySelector('#said').textContent.startsWith('The command is selected')"
        )
        assert tab.js("String(getSelection())").endswith("lifecycle inflight --stacks")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["draining", "command"])
def test_a_screen_reader_finds_its_way(tab: Tab, name: str, width: int) -> None:
    """Landmarks, headings, tables with headers, and a name for all that can be pressed."""
    with shown(tab, SCENES[name], width=width):
        found = tab.accessible()
        codes = tab.js("[...document.querySelectorAll('code')].map((each) => each.textContent)")
    roles = [role for role, _ in found]
    assert {"banner", "main", "contentinfo", "status", "table", "columnheader", "rowheader"} <= set(
        roles
    )
    headings = [text for role, text in found if role == "heading"]
    expected = {"draining": ["Drain", "In flight"], "command": ["In flight", "Workers"]}[name]
    assert headings[0].startswith("DRAINING" if name == "draining" else "READY")
    assert headings[1:] == [*expected, "Probes", "Start", "App services", "Commands", "Plugins"]
    named = [each for each in found if each[0] in ("button", "link", "table", "region", "list")]
    assert not [role for role, text in named if role in ("button", "link", "table") and not text]
    assert [text for role, text in found if role == "button"] == [
        "Pause",
        *map("Copy {}".format, codes),
    ]


def test_without_javascript(tab: Tab) -> None:
    """A sentence, and links to the data."""
    with staged(SCENES["ready"]) as stage:
        tab.send("Emulation.setScriptExecutionDisabled", value=True)
        tab.open(stage.url)
        found = tab.accessible()
        tab.send("Emulation.setScriptExecutionDisabled", value=False)
        tab.open("about:blank")
    text = " ".join(name for role, name in found if role == "StaticText")
    assert "This page needs JavaScript" in text
    assert {"/status", "/inflight", "/ls"} <= {name for role, name in found if role == "link"}
    assert "In flight" not in text


def test_the_picture_in_the_documentation_is_the_page(tab: Tab) -> None:
    """`make picture` draws it anew."""
    assert PICTURE.read_text(encoding="utf-8") == drawn(tab)
