"""Who gets a signal: each test is a process of its own, with the watching loop in a thread."""

from __future__ import annotations

import json
import os
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


def play(source: str, before: str = "") -> dict[str, Any]:
    """Run a scene, and return what it said; `before`: what comes before ours."""
    ran = subprocess.run(
        [sys.executable, *QUIET, "-c", before + PRELUDE + textwrap.dedent(source)],
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


def test_a_descriptor_is_not_written_to_once_its_loop_is_gone() -> None:
    """A loop that took signals while the app was imported leaves nothing: its number is reused."""
    said = play("""
        class Loop(asyncio.SelectorEventLoop):
            def remove_signal_handler(self, number):  # dies without giving anything back
                return False
        HUP = signal.SIGHUP
        loops = []
        for kind in (Loop, asyncio.SelectorEventLoop):
            loop = kind()
            loop.add_signal_handler(HUP, print)
            signals.hold()
            number = loop._csock.fileno()
            loop.close()
            ours, other = __import__("socket").socketpair()
            taken = os.dup2(other.fileno(), number)
            signal.signal(HUP, handler)
            send(HUP)
            nothing_more()
            ours.setblocking(False)
            try:
                loops.append(len(ours.recv(10)))
            except BlockingIOError:
                loops.append(0)
            os.close(taken)
        say(written=loops)
    """)
    assert said == {"written": [0, 0]}


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


IGNORED = """
import signal as early
early.signal(early.SIGINT, early.SIG_IGN)
early.signal(early.SIGHUP, early.SIG_IGN)
"""


def test_what_was_ignored_stays_so() -> None:
    """SIGINT and SIGHUP of a process in the background (`nohup … &`) are nobody's."""
    said = play(
        """
        send(INT); send(signal.SIGHUP)
        quiet = nothing_more()
        send(TERM)
        then = got.get(timeout=10)
        signals.give_back()
        say(quiet=quiet, then=then,
            left=[signal.getsignal(each) is signal.SIG_IGN for each in (INT, signal.SIGHUP)])
    """,
        IGNORED,
    )
    assert said == {"quiet": True, "then": "SIGTERM", "left": [True, True]}


def test_what_was_ignored_until_somebody_wants_it() -> None:
    """An app that installs a handler for SIGINT is drained by it, and may ignore it again."""
    said = play(
        """
        signal.signal(INT, handler)
        send(INT)
        first = got.get(timeout=10)
        signal.signal(INT, signal.SIG_IGN)
        send(INT)
        say(first=first, quiet=nothing_more())
    """,
        IGNORED,
    )
    assert said == {"first": "SIGINT", "quiet": True}


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGHUP"])
def test_what_would_end_the_process_is_ours_unless_the_app_wants_it(name: str) -> None:
    """SIGQUIT and SIGHUP drain; a handler of the app's is called at once, until it is removed."""
    said = play(f"""
        number = signal.{name}
        send(number)
        first = got.get(timeout=10)
        found = signal.signal(number, handler)
        send(number)
        quiet = nothing_more()
        back = signal.signal(number, found)
        send(number)
        say(first=first, found=found is signal.SIG_DFL, quiet=quiet, theirs=theirs,
            back=back is handler, then=got.get(timeout=10))
    """)
    assert said == {
        "first": name,
        "found": True,
        "quiet": True,
        "theirs": [name],
        "back": True,
        "then": name,
    }


PERSON = """
import os, pty, sys
from lifecycle import signals
ours, theirs = pty.openpty()
os.dup2(theirs, 0)
os.getpid = lambda: int(sys.argv[1])
print(signals.by_person())
"""


@pytest.mark.parametrize(
    ("pid", "host", "expected"),
    [("100", "", "True"), ("1", "", "False"), ("100", "10.0.0.1", "False")],
)
def test_a_person_at_a_terminal(pid: str, host: str, expected: str) -> None:
    """A pod's process has no person in front of it, whatever terminal it was given."""
    ran = subprocess.run(
        [sys.executable, "-c", PERSON, pid],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env=os.environ | {"KUBERNETES_SERVICE_HOST": host},
    )
    assert ran.stdout.strip() == expected
