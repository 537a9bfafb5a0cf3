"""The three verdicts: whose answer counts, for how long, and when it is logged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lifecycle.calls.app_loop import AppLoop
from lifecycle.contracts import Kind, ProbeResult, probe
from lifecycle.control.probes import Probes, Verdict
from tests.unit.virtual_time import Diary, attached, call, run, until

LIFE = object()


READY, LIVE, STARTUP = Kind.READINESS, Kind.LIVENESS, Kind.STARTUP


class Table:
    """Probes of functions, by plugin name."""

    def __init__(self, app_loop: AppLoop | None = None) -> None:
        self.diary = Diary()
        self.app_loop = app_loop or attached()
        self.probes = Probes(self.app_loop, self.diary.log)

    def add(
        self, kind: Kind, plugin: str, hook: Callable[[], Any], *, inline: bool = False
    ) -> None:
        """Add a probe."""
        soon = 0.05 if kind is LIVE else None
        asked = call(hook, self.app_loop, plugin=plugin, inline=inline, start_within=soon)
        self.probes.add(kind, asked, LIFE)

    async def verdict(self, kind: Kind, **how: Any) -> Verdict:
        """Ask."""
        return await self.probes.verdict(kind, LIFE, **how)

    async def says(self, kind: Kind, **how: Any) -> dict[str, bool]:
        """Ask, and return the answers by name."""
        return {a.name: a.ok for a in (await self.verdict(kind, **how)).answers}


def started(table: Table) -> Table:
    """Say that startup is over."""
    table.probes.started = True
    return table


def test_a_verdict_is_the_and_of_all_answers() -> None:
    """One false answer makes it false; every answer keeps its plugin's name."""

    def raises() -> bool:
        raise OSError("away")

    async def main() -> None:
        table = started(Table())
        table.add(READY, "good", lambda: True)
        assert (await table.verdict(READY)).ok
        table.add(READY, "bad", raises)
        table.add(READY, "odd", lambda: 17)
        table.add(READY, "many", lambda: [ProbeResult(True, name="a"), ProbeResult(False, "b")])
        verdict = await table.verdict(READY)
        assert not verdict.ok
        assert {a.name: (a.ok, a.reason) for a in verdict.answers} == {
            "good": (True, ""),
            "bad": (False, "raised OSError: away"),
            "odd": (
                False,
                "returned 17, but a probe must return a bool, a ProbeResult, several "
                "ProbeResults, or None",
            ),
            "many.a": (True, ""),
            "many": (False, "b"),
        }

    run(main())


def test_without_probes_a_verdict_is_true() -> None:
    """Liveness has no probe of its own: nothing is wrong."""

    async def main() -> None:
        assert (await Table().verdict(LIVE)).ok

    run(main())


def test_an_answer_is_kept_for_half_a_second() -> None:
    """A public port is no pump for everybody's `SELECT 1`: 1,000 requests, one question."""
    asked = []

    async def main() -> None:
        table = started(Table())
        table.add(READY, "db", lambda: asked.append(1))
        table.add(READY, "nothing", lambda: asked.append(2) or [])
        for _ in range(1000):
            await table.verdict(READY)
        assert sorted(asked) == [1, 2]
        await asyncio.sleep(0.49)
        await table.verdict(READY)
        assert sorted(asked) == [1, 2]
        await asyncio.sleep(0.02)
        await table.verdict(READY)
        assert sorted(asked) == [1, 1, 2, 2]

    run(main())


def test_state_is_never_kept() -> None:
    """What a built-in says is true at this moment."""

    async def main() -> None:
        table = started(Table())
        state = [True]
        table.add(READY, "state", lambda: state[0], inline=True)
        assert (await table.verdict(READY)).ok
        state[0] = False
        assert not (await table.verdict(READY)).ok

    run(main())


def test_every_runs_in_the_background() -> None:
    """With `every=` the last result is the answer, with its age; until there is one, not ready."""
    runs = []

    async def main() -> None:
        table = started(Table())

        @probe(every=10)
        async def slow() -> bool:
            await asyncio.sleep(0.5)
            runs.append(1)
            return True

        table.add(READY, "slow", slow)
        (answer,) = (await table.verdict(READY)).answers
        assert (answer.ok, answer.reason, answer.stale) == (False, "not run yet", True)
        await until(lambda: bool(runs))
        await asyncio.sleep(9)
        for _ in range(100):
            (answer,) = (await table.verdict(READY)).answers
        assert answer.ok
        assert asyncio.get_running_loop().time() - answer.at > 8
        assert runs == [1]
        await asyncio.sleep(95)
        assert len(runs) == 10
        table.probes.close()

    run(main())


def test_a_liveness_probe_in_the_background_begins_true() -> None:
    """Not having run yet is no reason to be restarted."""

    @probe(every=10)
    async def slow() -> bool:
        await asyncio.sleep(0.7)
        return False

    async def main() -> None:
        table = Table()
        table.add(LIVE, "slow", slow)
        assert (await table.verdict(LIVE)).ok
        await asyncio.sleep(1)
        assert not (await table.verdict(LIVE)).ok
        table.probes.close()

    run(main())


def test_startup_latches() -> None:
    """A startup probe that was true once is never asked again; when all were, it is over."""
    db, asked = [False], []

    async def main() -> None:
        table = Table()
        table.add(STARTUP, "cache", lambda: asked.append(1) or True)
        table.add(STARTUP, "db", lambda: db[0])
        assert await table.says(STARTUP) == {"cache": True, "db": False}
        await asyncio.sleep(1)
        assert await table.says(STARTUP) == {"db": False, "cache": True}
        assert asked == [1]
        db[0] = True
        await asyncio.sleep(1)
        assert (await table.verdict(STARTUP)).ok
        assert table.probes.started
        db[0] = False
        await asyncio.sleep(1)
        verdict = await table.verdict(STARTUP)
        assert verdict.ok
        assert {a.name for a in verdict.answers} == {"db", "cache"}

    run(main())


def test_one_part_of_a_startup_probe_is_not_the_whole() -> None:
    """Asking for one name latches nothing that another answer of the plugin holds back."""

    async def main() -> None:
        table = Table()
        parts = [ProbeResult(True, name="a"), ProbeResult(False, name="b")]
        table.add(STARTUP, "db", lambda: parts)
        table.add(STARTUP, "cache", lambda: True)
        assert await table.says(STARTUP, only="db.a") == {"db.a": True}
        assert await table.says(STARTUP, exclude={"db.b"}) == {"db.a": True, "cache": True}
        assert not table.probes.started
        assert not (await table.verdict(STARTUP)).ok
        assert await table.says(STARTUP, only="nobody") == {}
        assert await table.says(STARTUP, exclude={"db"}) == {"cache": True}

    run(main())


def test_ready_waits_for_startup() -> None:
    """Readiness is false until startup has been true once, and says for whom it waits."""
    db = [False]

    async def main() -> None:
        table = Table()
        table.add(STARTUP, "db", lambda: db[0])
        table.add(READY, "fine", lambda: True)
        verdict = await table.verdict(READY)
        assert {a.name: (a.ok, a.reason) for a in verdict.answers} == {
            "fine": (True, ""),
            "startup": (False, "waiting for db"),
        }
        db[0] = True
        await asyncio.sleep(1)
        assert (await table.verdict(READY)).ok
        assert await table.says(READY) == {"fine": True}

    run(main())


def test_startup_by_name() -> None:
    """What readiness shows as `startup` can be asked for by that name, then and later, and excluded."""
    db = [False]

    async def main() -> None:
        table = Table()
        table.add(STARTUP, "db", lambda: db[0])
        table.add(READY, "fine", lambda: True)
        assert await table.says(READY, only="startup") == {"startup": False}
        assert await table.says(READY, exclude={"startup"}) == {"fine": True}
        assert await table.says(LIVE, only="startup") == {}
        assert "startup" in table.probes.names(READY)
        assert "startup" not in table.probes.names(LIVE)
        db[0] = True
        await asyncio.sleep(1)
        assert await table.says(READY, only="startup") == {"startup": True}
        assert await table.says(READY, only="startup") == {"startup": True}
        assert await table.says(READY) == {"fine": True}

    run(main())


def test_only_and_exclude() -> None:
    """A verdict may be asked of one probe, or without some; by plugin or by answer."""

    async def main() -> None:
        table = started(Table())
        table.add(READY, "a", lambda: [ProbeResult(True, name="x"), ProbeResult(False, name="y")])
        table.add(READY, "ab", lambda: True)
        assert await table.says(READY) == {"a.x": True, "a.y": False, "ab": True}
        assert await table.says(READY, only="a") == {"a.x": True, "a.y": False}
        assert await table.says(READY, only="a.x") == {"a.x": True}
        assert await table.says(READY, only="ab") == {"ab": True}
        assert await table.says(READY, only="b") == {}
        assert await table.says(READY, exclude={"a"}) == {"ab": True}
        assert await table.says(READY, exclude={"a.y", "zzz"}) == {"a.x": True, "ab": True}
        assert table.probes.names(READY) == ["a", "a.x", "a.y", "ab", "startup"]

    run(main())


def test_a_change_is_logged_once() -> None:
    """A verdict that changes is one line; one that stays is none."""
    ok = [True]

    async def main() -> None:
        table = started(Table())
        table.add(READY, "db", lambda: ProbeResult(ok[0], "because"))
        table.add(LIVE, "fine", lambda: True)
        for value in (True, True, False, False, True):
            ok[0] = value
            await asyncio.gather(*(table.verdict(READY) for _ in range(5)), table.verdict(LIVE))
            await asyncio.sleep(1)
        assert [(line["probe"], line["ok"]) for line in table.diary.of("probe")] == [
            ("db", True),
            ("db", False),
            ("db", True),
        ]
        assert table.diary.of("probe")[1]["reason"] == "because"

    run(main())


def test_answers_of_one_name_do_not_flap() -> None:
    """Two answers of one name that disagree are one false verdict, logged once at most."""

    async def main() -> None:
        table = started(Table())
        table.add(LIVE, "db", lambda: [ProbeResult(False), ProbeResult(True)])
        for _ in range(5):
            assert not (await table.verdict(LIVE)).ok
            await asyncio.sleep(1)
        assert [line["ok"] for line in table.diary.of("probe")] == [False]
        assert [each["ok"] for each in table.probes.status(0)] == [False]

    run(main())
