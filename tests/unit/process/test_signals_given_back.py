"""What is left of the signals once we are gone: in this process, in a forked child."""

from __future__ import annotations

import pytest

from tests.unit.process.signal_scene import play


def test_a_forked_childs_signal_is_its_own() -> None:
    """A child made by fork dies of SIGTERM by itself, and its parent hears nothing of it."""
    said = play("""
        exit_code = terminated_child()
        quiet = nothing_more()
        send(TERM)
        say(child=exit_code, quiet=quiet, then=got.get(timeout=10))
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


A_DESCRIPTOR_BEFORE = """
import os as early_os, signal as early, socket as early_socket
theirs_read, theirs_write = early_socket.socketpair()
theirs_write.setblocking(False)
number = theirs_write.fileno()
early.set_wakeup_fd(number)
"""


@pytest.mark.parametrize(
    ("meanwhile", "kept"),
    [
        ("pass", True),
        ("theirs_write.close()", False),
        ("other = socket.socketpair(); other[0].setblocking(False);"
         " theirs_write.close(); os.dup2(other[0].fileno(), number)", False),
        ("theirs_write.close(); os.dup2(os.open('/dev/null', os.O_RDONLY), number)", False),
        ("theirs_write.setblocking(True)", False),
    ],
    ids=["is there", "closed", "another socket's", "another file's", "blocks"],
)  # fmt: skip
def test_a_wakeup_descriptor_from_before_us(meanwhile: str, kept: bool) -> None:
    """It is put back if it is still what it was, and fit for it; else there is none."""
    said = play(
        f"""
        import socket
        {meanwhile}
        signals.give_back()
        say(kept=signal.set_wakeup_fd(-1) == number)
        os._exit(0)
    """,
        A_DESCRIPTOR_BEFORE,
    )
    assert said == {"kept": kept}


@pytest.mark.parametrize(
    ("install", "status"),
    [
        ("signal.signal(TERM, lambda *_: os._exit(7))", 7),
        ("l = asyncio.new_event_loop(); signals.adopt(l); l.add_signal_handler(TERM, print)", -15),
    ],
    ids=["its own", "the loop's"],
)
def test_a_forked_child_inherits_the_apps_handler(install: str, status: int) -> None:
    """As it would without us; a handler that the parent's loop calls is none of the child's."""
    said = play(f"""
        {install}
        signals.hold()
        exit_code = terminated_child()
        say(child=exit_code, quiet=nothing_more())
    """)
    assert said == {"child": status, "quiet": True}
