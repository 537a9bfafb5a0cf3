"""Who gets a signal: each test is a process of its own, with the watching loop in a thread."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

PRELUDE = """
import asyncio, json, os, queue, signal, threading
from lifecycle.signals import Signals
TERM, INT, USR1 = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1
got = queue.Queue()          # what our side was told of
theirs = []                  # what the app's own handlers were called with
signals = Signals(got.put)
signals.take()
control = asyncio.SelectorEventLoop()
signals.watch(control)
threading.Thread(target=control.run_forever, daemon=True).start()

def send(number): os.kill(os.getpid(), number)
def handler(number, frame=None): theirs.append(signal.Signals(number).name)
def nothing_more():
    done = threading.Event()
    control.call_soon_threadsafe(lambda: control.call_soon(done.set))
    done.wait(10)
    return got.empty()
def say(**what): print(json.dumps(what), flush=True)
"""

# That a process with threads forks is what one of the scenes is about.
QUIET = ("-W", "ignore::ResourceWarning", "-W", "ignore::DeprecationWarning")


def play(source: str) -> dict[str, Any]:
    """Run a scene, and return what it said."""
    ran = subprocess.run(
        [sys.executable, *QUIET, "-c", PRELUDE + textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def test_noticed_while_the_main_thread_is_stuck() -> None:
    """The other thread learns of the signal while the main thread sits in C code."""
    said = play("""
        lock = threading.Lock(); lock.acquire()
        def sender():
            send(TERM)
            say(got=got.get(timeout=10))
            lock.release()
        threading.Thread(target=sender).start()
        lock.acquire()
    """)
    assert said == {"got": "SIGTERM"}


LOOPS = ["asyncio.new_event_loop()", "__import__('uvloop').new_event_loop()"]


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
            called = signals.call_kept(loop, "SIGTERM")
            await asyncio.wait_for(done.wait(), 10)
            say(first=first, early=early, called=called, theirs=theirs,
                again=signals.call_kept(loop, "SIGTERM"))
        loop.run_until_complete(main())
    """)
    assert said == {
        "first": "SIGTERM",
        "early": [],
        "called": True,
        "theirs": ["loop"],
        "again": False,
    }


@pytest.mark.parametrize("loop", LOOPS)
def test_other_signals_are_the_apps(loop: str) -> None:
    """SIGUSR1 through `add_signal_handler` reaches the app's loop, and nobody of ours."""
    said = play(f"""
        loop = {loop}
        done = asyncio.Event()
        async def main():
            loop.add_signal_handler(USR1, lambda: (theirs.append("usr1"), done.set()))
            signals.hold()
            send(USR1)
            await asyncio.wait_for(done.wait(), 10)
            say(theirs=theirs, quiet=nothing_more())
        loop.run_until_complete(main())
    """)
    assert said == {"theirs": ["usr1"], "quiet": True}


def test_signal_signal_is_taken_back() -> None:
    """`signal.signal` gives the handler before, keeps the new one, and ours stays."""
    said = play("""
        loop = asyncio.new_event_loop()
        before = signal.signal(TERM, handler)
        replaced = signal.signal(TERM, handler)
        send(TERM)
        first = got.get(timeout=10)
        called = signals.call_kept(loop, "SIGTERM")
        loop.run_until_complete(asyncio.sleep(0))
        say(first=first, before=before == signals._handle, replaced=replaced is handler,
            called=called, theirs=theirs, ours=signal.getsignal(TERM) == signals._handle)
    """)
    assert said == {
        "first": "SIGTERM",
        "before": True,
        "replaced": True,
        "called": True,
        "theirs": ["SIGTERM"],
        "ours": True,
    }


def test_saved_and_restored() -> None:
    """An app that puts back what it found has no handler left to call."""
    said = play("""
        loop = asyncio.new_event_loop()
        found = signal.signal(TERM, handler)
        signal.signal(TERM, found)
        say(called=signals.call_kept(loop, "SIGTERM"))
    """)
    assert said == {"called": False}


@pytest.mark.parametrize("disposition", ["signal.SIG_IGN", "signal.SIG_DFL"])
def test_ignoring_is_no_handler(disposition: str) -> None:
    """An app that ignores SIGINT has nobody to be called, so that its main is cancelled."""
    said = play(f"""
        loop = asyncio.new_event_loop()
        signal.signal(INT, {disposition})
        signal.signal(TERM, {disposition})
        called = signals.call_kept(loop, "SIGTERM")
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
        signals.call_kept(loop, "{cause}")
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
        signals.call_kept(loop, "SIGTERM")
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
        signals.call_kept(loop, "SIGTERM")
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
            called=signals.call_kept(loop, "SIGTERM"),
            ours=signal.getsignal(TERM) == signals._handle)
    """)
    kinds = ["TypeError", "TypeError", "ValueError"]
    assert said == {"same": True, "kinds": kinds, "called": False, "ours": True}


def test_a_forked_childs_signal_is_its_own() -> None:
    """A child made by fork dies of SIGTERM by itself, and its parent hears nothing of it."""
    said = play("""
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.write(write, b"x")
            while True:
                signal.pause()
        os.read(read, 1)
        os.kill(child, TERM)
        _, status = os.waitpid(child, 0)
        quiet = nothing_more()
        send(TERM)
        say(child=os.waitstatus_to_exitcode(status), quiet=quiet, then=got.get(timeout=10))
    """)
    assert said == {"child": -15, "quiet": True, "then": "SIGTERM"}


def test_a_childs_mask_and_handlers_are_the_usual_ones() -> None:
    """Nothing is blocked or ignored that a child process would inherit."""
    said = play("""
        import subprocess, sys
        source = "import signal; print(signal.getsignal(15) is signal.SIG_DFL, "
        source += "signal.getsignal(2) is signal.default_int_handler, "
        source += "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])) == [])"
        ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
        say(child=ran.stdout.split())
    """)
    assert said == {"child": ["True", "True", "True"]}


def test_giving_back() -> None:
    """What was there before is there again: handlers, wakeup descriptor, `signal.signal`."""
    said = play("""
        signals.give_back()
        signals.give_back()
        signal.signal(TERM, handler)
        send(TERM)
        say(theirs=theirs, quiet=nothing_more(), fd=signal.set_wakeup_fd(-1),
            interrupt=signal.getsignal(INT) is signal.default_int_handler,
            own=[f.__module__ for f in (signal.signal, signal.raise_signal)])
    """)
    assert said == {
        "theirs": ["SIGTERM"],
        "quiet": True,
        "fd": -1,
        "interrupt": True,
        "own": ["signal", "_signal"],
    }


def test_breaking_off_an_import() -> None:
    """While it may interrupt, a signal raises in the main thread, and is told of all the same."""
    said = play("""
        class Off(BaseException): pass
        signals.interrupts(Off)
        raised = False
        try:
            send(TERM)
            threading.Event().wait(10)
        except Off:
            raised = True
        signals.interrupts(None)
        send(TERM)
        say(raised=raised, got=[got.get(timeout=10), got.get(timeout=10)])
    """)
    assert said == {"raised": True, "got": ["SIGTERM", "SIGTERM"]}
