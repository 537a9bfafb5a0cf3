"""Work that the app tracks: its arrival, its end, and who is sent away."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from lifecycle.drain.in_flight import Traffic
from tests.unit.drain.test_in_flight import QUIET, SETTLE, Scene
from tests.unit.virtual_time import run


def test_tracked_work_that_begins_while_draining_is_an_arrival() -> None:
    """A message that a consumer takes after T0 disturbs the quiet, and is waited for."""

    async def main() -> None:
        scene = Scene()

        def take() -> None:
            scene.work.append(scene.traffic.track())
            scene.work[-1].__enter__()

        scene.at(4.5, take)
        scene.at(4.6, scene.leave)
        assert await scene.gone_after() == pytest.approx(5.5)
        assert scene.traffic.last_disturbers() == ["(tracked work) (1)"]

    run(main())


@pytest.mark.parametrize("words", [("curl/8", "", ""), ("", "/a", ""), ("", "", "GET")])
def test_work_with_a_name(words: tuple[str, str, str]) -> None:
    """One word is enough; its end is noticed at once, and it was an arrival when it began."""

    async def main() -> None:
        scene = Scene()
        work = scene.traffic.track(*words)
        assert work is not scene.traffic.track()
        scene.at(4.5, work.__enter__)
        scene.at(4.75, lambda: work.__exit__(None, None, None))
        late = scene.traffic.track(*words)
        scene.at(5.25, late.__enter__)
        scene.at(7.77, lambda: late.__exit__(None, None, None))
        assert await scene.gone_after() == pytest.approx(7.77)
        assert sum(scene.traffic.disturbers.values()) == 2

    run(main())


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("curl/8", "", ""), "tracked work from curl/8"),
        (("", "/a", ""), "/a"),
        (("", "", "GET"), "GET"),
        (("curl/8", "/a", "GET"), "GET /a from curl/8"),
        (("curl/8", None, None), "tracked work from curl/8"),
        ((None, "/a", None), "/a"),
        ((None, None, "GET"), "GET"),
        ((None, None, None), "tracked work"),
        ((), "tracked work"),
    ],
)
@pytest.mark.parametrize("draining", [False, True])
def test_what_work_is_called(words: tuple[Any, ...], name: str, draining: bool) -> None:
    """By each word that there is, before T0 and after it; without any it is tracked work."""
    traffic = Traffic(lambda: 0.0)
    traffic.draining = draining
    with traffic.track(*words):
        assert traffic.names() == [name]


@pytest.mark.parametrize("words", [(), ("curl/8", "/a")])
@pytest.mark.parametrize("draining", [False, True])
def test_one_object_in_use_several_times(words: tuple[str, ...], *, draining: bool) -> None:
    """Each use counts, until the last one has ended."""
    traffic = Traffic(lambda: 0.0)
    traffic.draining = draining
    work = traffic.track(*words)
    seen = []
    for _ in range(2):
        with work:
            with work, work:
                seen.append(traffic.in_flight)
            seen.append(traffic.in_flight)
        seen.append(traffic.in_flight)
    work.__exit__()
    assert (seen, traffic.in_flight, traffic.again) == ([3, 1, 0, 3, 1, 0], 0, {})


@pytest.mark.parametrize("path", ["/a", "/a?token=secret", "/a?"])
def test_a_query_is_never_part_of_a_name(path: str) -> None:
    """Also if the caller has not cut it off."""
    traffic = Traffic(lambda: 0.0)
    with traffic.track("curl/8", path, "GET"):
        assert traffic.names() == ["GET /a from curl/8"]


def test_a_drain_that_starts_while_work_ends() -> None:
    """The end is noticed, although the drain had not started when it began."""
    traffic = Traffic(lambda: 0.0)
    woken = []

    class Clock(dict[object, Any]):
        def pop(self, *given: Any) -> Any:
            traffic.sends_away = True
            return super().pop(*given)

    traffic.entries = Clock()
    traffic._wake = lambda: woken.append(traffic.in_flight)
    with traffic.track():
        pass
    assert woken == [0]


def test_work_that_is_sent_away_while_it_is_in_use_several_times() -> None:
    """Nothing is left of it, and it may be used again."""
    traffic = Traffic(lambda: 0.0)
    work = traffic.track()
    with work, work:
        work.sent_away()
        assert (traffic.in_flight, traffic.again) == (0, {})
    with work:
        assert traffic.in_flight == 1
    assert traffic.in_flight == 0


def test_work_without_a_name_that_was_made_before_the_drain_and_begins_in_it() -> None:
    """It is an arrival like any other, with the name that all such work has."""

    async def main() -> None:
        scene = Scene()
        scene.traffic.sends_away = False
        work = scene.traffic.track()
        scene.traffic.sends_away = True
        scene.at(4.5, work.__enter__)
        scene.at(4.6, lambda: work.__exit__(None, None, None))
        assert await scene.gone_after() == pytest.approx(4.5 + QUIET)
        assert scene.traffic.last_disturbers() == ["(tracked work) (1)"]

    run(main())


def test_quiet_after_work_with_a_name() -> None:
    """It is counted from its arrival; a path that is ignored is none; nor is who is sent away."""

    async def main() -> None:
        scene = Scene(ignored=("/metrics",))
        for at, words, away in (
            (4.5, ("curl/8", "/orders"), False),
            (4.75, ("curl/8", "/metrics"), False),
            (4.875, ("curl/8", "/events"), True),
        ):
            work = scene.traffic.track(*words)
            scene.at(at, work.__enter__)
            if away:
                scene.at(at + 0.01, work.sent_away)
                scene.at(at + 0.02, work.sent_away)
            scene.at(at + 0.05, lambda work=work: work.__exit__(None, None, None))
        assert await scene.gone_after() == pytest.approx(4.5 + QUIET)
        assert scene.traffic.last_disturbers() == ["curl/8 (1)"]
        assert scene.traffic.in_flight == 0

    run(main())


def test_work_from_before_the_drain_is_no_arrival() -> None:
    """It came when nobody was leaving: its end is waited for, and no quiet after it."""

    async def main() -> None:
        scene = Scene()
        scene.traffic.sends_away = False
        work = scene.traffic.track("curl/8", "/orders")
        work.__enter__()
        scene.traffic.sends_away = True
        scene.at(6, lambda: work.__exit__(None, None, None))
        assert await scene.gone_after() == pytest.approx(6)
        assert scene.traffic.last_disturbers() == []

    run(main())


@pytest.mark.parametrize("words", [(), ("curl/8",), ("", "/a"), ("", "", "GET")])
def test_work_that_is_sent_away_again_and_again(words: tuple[str, ...]) -> None:
    """With a name or without: a stream of refusals holds no drain up, and is not waited for."""

    async def main() -> None:
        scene = Scene()

        def refuse() -> None:
            with scene.traffic.track(*words) as work:
                work.sent_away()

        def refuse_slowly() -> None:
            work = scene.traffic.track(*words)
            work.__enter__()
            assert scene.traffic.in_flight == 1
            work.sent_away()
            assert scene.traffic.in_flight == 0

        for tick in range(200):
            scene.at(tick / 20, refuse)
        scene.at(4.99, refuse_slowly)
        assert await scene.gone_after() == pytest.approx(SETTLE)
        assert scene.traffic.last_disturbers() == []

    run(main())


def test_work_without_a_name_that_comes_late() -> None:
    """It is counted with what came before."""

    async def main() -> None:
        scene = Scene(busy=1)
        with scene.traffic.track(), scene.traffic.track():
            assert scene.traffic.in_flight == 3
            assert scene.traffic.names() == ["tracked work (3)"]
        scene.leave()
        await scene.gone_after()

    run(main())


def test_who_is_sent_away_is_not_waited_for() -> None:
    """Its farewell may take a while: the drain goes on at once."""

    async def main() -> None:
        scene = Scene()
        work = scene.traffic.track("browser", "/chat")
        scene.at(5.5, work.__enter__)
        scene.at(5.5, lambda: scene.traffic.track().sent_away())
        scene.at(5.6, work.sent_away)
        scene.at(9, lambda: work.__exit__(None, None, None))
        scene.at(4.9, scene.traffic.arrived)
        assert await scene.gone_after() == pytest.approx(5.9)

    run(main())


def test_an_error_in_the_work_ends_it_too() -> None:
    """`track` counts down whatever happens inside, and hides nothing."""
    traffic = Traffic(lambda: 0.0)
    in_flight = []

    def fail() -> None:
        with traffic.track():
            in_flight.append(traffic.in_flight)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert in_flight == [1]
    assert traffic.in_flight == 0
    assert traffic.in_use


def test_no_count_is_lost() -> None:
    """Eight threads that count at the same time lose none, and the last end is noticed."""

    async def main() -> None:
        scene = Scene(busy=1)
        ready = threading.Barrier(8)
        most = []

        def work() -> None:
            ready.wait(5)
            for _ in range(2000):
                with scene.traffic.track(), scene.traffic.track():
                    pass
            most.append(scene.traffic.in_flight)

        threads = [threading.Thread(target=work, name=f"lifecycle-{n}") for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert scene.traffic.in_flight == 1
        assert min(most) >= 1
        scene.leave()
        await scene.gone_after()

    run(main())
