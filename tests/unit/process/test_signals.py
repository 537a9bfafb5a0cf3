"""Who gets a signal: each test is a process of its own, with the watching loop in a thread."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.unit.process.signal_scene import LOOPS, play


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


IN_C = """
import faulthandler, os as early_os, signal as early
stacks = early_os.memfd_create("stacks")
for each in (early.SIGQUIT, early.SIGHUP):
    faulthandler.register(each, file=stacks)
def shown(): return early_os.pread(stacks, 9999, 0).count(b"Current thread")
"""


@pytest.mark.parametrize("name", ["SIGQUIT", "SIGHUP"])
def test_what_is_handled_in_c_is_the_apps(name: str) -> None:
    """`faulthandler.register` before ours keeps its signal; once it is taken back, it drains."""
    said = play(
        f"""
        number = signal.{name}
        signals.hold()
        send(number)
        theirs, quiet = shown(), nothing_more()
        faulthandler.unregister(number)
        signals.hold()
        send(number)
        say(theirs=theirs, quiet=quiet, then=got.get(timeout=10), shown=shown())
    """,
        IN_C,
    )
    assert said == {"theirs": 1, "quiet": True, "then": name, "shown": 1}


def test_what_is_handled_in_c_stays_so_at_the_end() -> None:
    """What we have left alone is left alone when the signals are given back, too."""
    said = play("signals.give_back(); send(signal.SIGQUIT); say(theirs=shown())", IN_C)
    assert said == {"theirs": 1}


PERSON = """
import os, pty, sys
from lifecycle.process import signals
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
