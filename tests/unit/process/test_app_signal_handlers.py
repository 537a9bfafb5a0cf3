"""The app's own handlers: taken back, kept, and called once, at the end."""

from __future__ import annotations

import pytest

from tests.unit.process.signal_scene import LOOPS, play


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handler_on_the_loop_is_taken_back(loop: str) -> None:
    """`add_signal_handler` does not replace ours; it is kept, and called once, at the end."""
    said = play(f"""
        loop = {loop}
        done = asyncio.Event()
        async def main():
            loop.add_signal_handler(TERM, lambda: (theirs.append("loop"), done.set()))
            signals.hold()
            send(TERM)
            first = await loop.run_in_executor(None, got.get, True, 10)
            await asyncio.sleep(0)
            early = list(theirs)
            called = signals.call_kept("SIGTERM")
            await asyncio.wait_for(done.wait(), 10)
            say(first=first, early=early, called=called, theirs=theirs,
                again=signals.call_kept("SIGTERM"))
        loop.run_until_complete(main())
    """)
    assert said == {
        "first": "SIGTERM",
        "early": [],
        "called": True,
        "theirs": ["loop"],
        "again": False,
    }


def test_signal_signal_is_taken_back() -> None:
    """`signal.signal` gives the handler before, keeps the new one, and ours stays."""
    said = play("""
        loop = asyncio.new_event_loop()
        before = signal.signal(TERM, handler)
        replaced = signal.signal(TERM, handler)
        send(TERM)
        first = got.get(timeout=10)
        called = signals.call_kept("SIGTERM")
        loop.run_until_complete(asyncio.sleep(0))
        say(first=first, before=before is signal.SIG_DFL, replaced=replaced is handler,
            called=called, theirs=theirs, theirs_is_seen=signal.getsignal(TERM) is handler)
    """)
    assert said == {
        "first": "SIGTERM",
        "before": True,
        "replaced": True,
        "called": True,
        "theirs": ["SIGTERM"],
        "theirs_is_seen": True,
    }


def test_saved_and_restored() -> None:
    """An app that puts back what it found has no handler left to call."""
    said = play("""
        loop = asyncio.new_event_loop()
        found = signal.signal(TERM, handler)
        signal.signal(TERM, found)
        say(called=signals.call_kept("SIGTERM"))
    """)
    assert said == {"called": False}


@pytest.mark.parametrize("disposition", ["signal.SIG_IGN", "signal.SIG_DFL"])
def test_ignoring_is_no_handler(disposition: str) -> None:
    """An app that ignores SIGINT has nobody to be called, so that its main is cancelled."""
    said = play(f"""
        loop = asyncio.new_event_loop()
        signal.signal(INT, {disposition})
        signal.signal(TERM, {disposition})
        called = signals.call_kept("SIGTERM")
        send(INT)
        say(called=called, got=got.get(timeout=10))
    """)
    assert said == {"called": False, "got": "SIGINT"}


@pytest.mark.parametrize(
    ("cause", "first"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGTERM"), ("preStop", "SIGTERM")]
)
def test_which_of_two_handlers(cause: str, first: str) -> None:
    """Of two handlers the one of the signal that began the drain is called."""
    said = play(f"""
        loop = asyncio.new_event_loop()
        signal.signal(INT, handler)
        signal.signal(TERM, handler)
        signals.call_kept("{cause}")
        loop.run_until_complete(asyncio.sleep(0))
        say(theirs=theirs)
    """)
    assert said == {"theirs": [first]}


def test_a_servers_own_second_raise() -> None:
    """uvicorn raises the signal again when it has stopped: that is no second signal."""
    said = play("""
        loop = asyncio.new_event_loop()
        signal.signal(TERM, handler)
        send(TERM)
        first = got.get(timeout=10)
        signals.call_kept("SIGTERM")
        loop.run_until_complete(asyncio.sleep(0))
        signal.raise_signal(TERM)
        echo = nothing_more()
        signal.raise_signal(TERM)
        say(first=first, echo_is_quiet=echo, then=got.get(timeout=10))
    """)
    assert said == {"first": "SIGTERM", "echo_is_quiet": True, "then": "SIGTERM"}


def test_a_signal_from_outside_is_no_echo() -> None:
    """A kept handler that raises nothing again costs no signal: the next one is heard."""
    said = play("""
        loop = asyncio.new_event_loop()
        signal.signal(TERM, handler)
        send(TERM)
        first = got.get(timeout=10)
        signals.call_kept("SIGTERM")
        loop.run_until_complete(asyncio.sleep(0))
        send(TERM)
        say(theirs=theirs, first=first, then=got.get(timeout=10))
    """)
    assert said == {"theirs": ["SIGTERM"], "first": "SIGTERM", "then": "SIGTERM"}


def test_what_is_no_handler() -> None:
    """`signal.signal` refuses for our signals what it refuses for others, and keeps nothing."""
    said = play("""
        loop = asyncio.new_event_loop()
        refused = []
        def install(number, handler):
            try:
                signal.signal(number, handler)
            except (TypeError, ValueError) as error:
                refused.append(f"{type(error).__name__}: {error}")
        for number in (TERM, USR1):
            install(number, 42)
            install(number, None)
            thread = threading.Thread(target=install, args=(number, handler))
            thread.start()
            thread.join()
        signal.signal(TERM, 0)
        say(same=refused[:3] == refused[3:], kinds=[each.split(":")[0] for each in refused[:3]],
            called=signals.call_kept("SIGTERM"),
            none=signal.getsignal(TERM) is signal.SIG_DFL)
    """)
    kinds = ["TypeError", "TypeError", "ValueError"]
    assert said == {"same": True, "kinds": kinds, "called": False, "none": True}


def test_a_loop_that_is_run_while_the_app_is_imported() -> None:
    """`asyncio.run` installs its handler for Ctrl-C, and takes it away again."""
    said = play("""
        seen = []
        async def main():
            seen.append(signal.getsignal(INT) is not signal.default_int_handler)
        asyncio.run(main())
        say(inside=seen, after=signal.getsignal(INT) is signal.default_int_handler,
            called=signals.call_kept("SIGINT"))
    """)
    assert said == {"inside": [True], "after": True, "called": False}


def test_the_handler_of_ctrl_c_for_another_signal() -> None:
    """`default_int_handler` for SIGTERM is a handler of the app's, and one for SIGINT is none."""
    said = play("""
        signal.signal(INT, signal.default_int_handler)
        for_int = signals.call_kept("SIGINT")
        signal.signal(TERM, signal.default_int_handler)
        try:
            for_term = signals.call_kept("SIGTERM")
        except KeyboardInterrupt:
            for_term = "KeyboardInterrupt"
        say(int=for_int, term=for_term)
    """)
    assert said == {"int": False, "term": "KeyboardInterrupt"}


def test_the_handler_of_ctrl_c_beneath_another() -> None:
    """One that hands SIGTERM on to `default_int_handler`, which it has found, reaches it."""
    said = play("""
        def hands_on(number, frame):
            theirs.append("mine")
            signals._handle(number, frame)
        signal.signal(TERM, signal.default_int_handler)
        signals._real.signal(TERM, hands_on)  # past us: what it found there is ours
        try:
            signals.call_kept("SIGTERM")
        except KeyboardInterrupt:
            theirs.append("KeyboardInterrupt")
        say(theirs=theirs)
    """)
    assert said == {"theirs": ["mine", "KeyboardInterrupt"]}
