"""What the end of a command means."""

from __future__ import annotations

import signal

import pytest

from lifecycle.process.command.outcome import Outcome, cut_off, unasked, when_told

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("code", "sent", "expected"),
    [
        (0, TERM, 0),
        (-TERM, TERM, 0),
        (128 + TERM, TERM, 0),
        (-INT, INT, 0),
        (-TERM, INT, 143),
        (-signal.SIGSEGV, TERM, 139),
        (7, TERM, 7),
        (-40, TERM, 168),
    ],
)
def test_told_to_end(code, sent, expected):
    """It ended by what it was told by: 0. Else its own code, or 128 + n, with a sentence."""
    outcome = when_told(code, sent, "shop")

    assert outcome.code == expected
    assert bool(outcome.problem) == bool(expected)
    assert not expected or outcome.problem.startswith(f"shop got {sent.name}, and")


@pytest.mark.parametrize(
    ("code", "expected", "says"),
    [
        (0, 1, "shop ended by itself, with exit code 0."),
        (7, 7, "shop ended by itself, with exit code 7."),
        (-TERM, 143, "SIGTERM killed shop. lifecycle did not send it."),
        (-signal.SIGKILL, 137, "The container may be out of memory."),
        (-40, 168, "signal 40 killed shop"),
    ],
)
def test_unasked(code, expected, says):
    """What ends unasked is never a success, and says how it ended."""
    outcome = unasked(code, "shop")

    assert outcome.code == expected
    assert says in outcome.problem


@pytest.mark.parametrize(
    ("code", "sent", "expected"),
    [
        (0, None, 0),
        (7, None, 7),
        (0, TERM, 0),
        (-TERM, TERM, 143),
        (128 + TERM, TERM, 143),
        (-INT, INT, 143),
        (-signal.SIGKILL, TERM, 137),
    ],
)
def test_a_job(code, sent, expected):
    """Complete it has succeeded; whatever interrupted it, it is not taken for complete."""
    told = when_told(code, sent, "job", job=True) if sent else unasked(code, "job", job=True)

    assert told.code == expected
    assert bool(told.problem) == (expected not in {0, 143})


HELPER = "/usr/bin/python -c from multiprocessing.resource_tracker import main;main(5)"


@pytest.mark.parametrize(
    ("job", "left", "code", "says"),
    [
        (False, [HELPER], 1, "ended by itself, with exit code 0."),
        (False, [HELPER, "master"], 1, "left processes in the background (master)."),
        (True, [HELPER], 0, ""),
        (True, [HELPER, "proxy"], 0, "processes in the background are ended too (proxy)."),
    ],
)
def test_what_is_left(job, left, code, says):
    """A server has gone into the background, unless it is Python's helpers; a job has not."""
    outcome = unasked(0, "shop", left=left, job=job)

    assert outcome.code == code
    assert says in outcome.problem
    assert bool(outcome.problem) == bool(says)
    assert "multiprocessing" not in outcome.problem


def test_what_is_left_of_what_has_served():
    outcome = unasked(0, "gunicorn", words=["gunicorn", "shop:app"], left=["worker"], served=True)

    assert outcome.code == 1
    assert "background" not in outcome.problem


@pytest.mark.parametrize("job", [False, True])
def test_an_option_that_only_looks_like_it(job):
    """If nothing is left, -D means something else."""
    outcome = unasked(0, "curl", words=["curl", "-D", "headers"], job=job)

    assert outcome.code == int(not job)
    assert "-D" not in outcome.problem


@pytest.mark.parametrize("job", [False, True])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gunicorn", "--daemon", "shop:app"], "Leave out --daemon."),
        (["gunicorn", "-D", "shop:app"], "Leave out -D."),
        (["uwsgi", "--daemonize=/log", "shop"], "Leave out --daemonize."),
    ],
)
def test_into_the_background(words, says, job):
    """A command that leaves for the background is refused, with the option to leave out."""
    outcome = unasked(0, words[0], words=words, left=["gunicorn: master"], job=job)

    assert outcome.code == 1
    assert "left processes in the background (gunicorn: master)" in outcome.problem
    assert says in outcome.problem


def test_a_script_into_the_background():
    """Where no option says so, those that may be meant are named."""
    outcome = unasked(0, "sh", words=["sh", "start.sh"], left=["gunicorn: master"])

    assert outcome.code == 1
    assert "Leave out --daemon (gunicorn), --daemonize (uWSGI)" in outcome.problem


@pytest.mark.parametrize(
    ("own", "at_work", "expected"),
    [
        (Outcome(0), [], Outcome(0)),
        (
            Outcome(0),
            ["a (1)", "b (2)"],
            Outcome(
                124,
                "The time was over, and shop ended with requests in flight: a (1), b (2).",
                "errors.md#command-ended-badly",
            ),
        ),
        (Outcome(7, "its own"), ["a (1)"], Outcome(7, "its own")),
    ],
)
def test_told_to_end_while_it_was_at_work(own, at_work, expected):
    """What was cut off is no success, and its own failure goes first."""
    assert cut_off(own, "shop", at_work) == expected
