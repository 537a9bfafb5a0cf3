"""What is read of a shell's script, and whom a probe's command asks."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.checks.asked import hosts_asked
from lifecycle.checks.programs import programs
from lifecycle.checks.scripts import keeper, only_sleeps, sleeps_first, slept
from lifecycle.checks.shell import Command, Unclear, read_script


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("", []),
        ("a 'b c' \"d$e\" f\\ g", ["a|b c|d$e|f g"]),
        ("a \\\n b\nc;d&&e", ["a|b", "c", "d", "e"]),
        ("A=1 B+=2 a C=3", ["a|C=3"]),
        ("a >b 2>&1 <c 3>>d &>e x", ["a|x"]),
        ("a # b\n#c\nd#e", ["a", "d#e"]),
        ("a $(b; (c) 'd)') `e;f` ${g#h} $i", ["a|$()|$()|${g#h}|$i"]),
        ("cat <<A <<-'B' | x\na;\nA\n  b\n  B\ny", ["cat apart", "x apart", "y"]),
        ("a | b && c", ["a apart", "b apart", "c"]),
        ("a && b & c", ["a apart", "b apart", "c"]),
        ("a || b && c; d", ["a", "b maybe", "c maybe", "d"]),
        ("[[ `a` =~ -([0-9]+)$ && b ]] || c; d", ["[[|$()|=~|-|[0-9]+|$|b|]]", "c maybe", "d"]),
        ("(a; b) | c", ["a apart", "b apart", "c apart"]),
        ("{ a; b; } && c", ["a", "b", "c"]),
        ("if a; then b; elif c; then d; else e; fi; f", [*(f"{x} maybe" for x in "abcde"), "f"]),
        ("for x in 1 2; do a $x; done | b", ["a|$x maybe apart looped", "b apart"]),
        ("while ! a; do b; done &", ["a maybe apart looped", "b maybe apart looped"]),
        ("case $x in a|b) c;; (*) d; esac; e", ["c maybe", "d maybe", "e"]),
        ("f() { a; }; f", ["a maybe", "f"]),
    ],
)
def test_commands(script: str, commands: list[str]) -> None:
    """A script's simple commands, and which of them run for certain, apart, in a loop."""
    assert [_described(each) for each in read_script(script)] == commands


def _described(command: Command) -> str:
    said = ["|".join(command.words)]
    said += ["maybe"] * (not command.certain)
    said += ["apart"] * command.apart + ["looped"] * command.looped
    return " ".join(said)


@pytest.mark.parametrize(
    "script", ["a 'b", 'a "b', "a `b", "a $(b", "(a", "a)", "fi", "if a", '"$(' * 9999]
)
def test_what_cannot_be_followed(script: str) -> None:
    """Of a script that has no end nothing is said."""
    with pytest.raises(Unclear):
        read_script(script)

    words = ["sh", "-c", script]
    assert (programs(words), keeper(words), slept(words)) == ([], None, 0)


WORDS = [
    "if",
    "then",
    "fi",
    "do",
    "done",
    "case",
    "in",
    "esac",
    "for",
    "while",
    "exec",
    "sleep",
    "1",
    "sh",
    "-c",
    "a",
]
SIGNS = [*" \n;&|()<>'\"`$\\#{}=!", "$(", "${", "<<", "A="]
SCRIPTS = st.lists(st.sampled_from([*(f"{word} " for word in WORDS), *SIGNS])).map("".join)


@settings(deadline=None)
@given(SCRIPTS | st.text())
def test_any_script(script: str) -> None:
    """Whatever a script holds, it is read, or it cannot be followed."""
    with suppress(Unclear):
        read_script(script)
    for words in (["sh", "-c", script], ["env", "timeout", script], [script], script.split()):
        assert slept(words) >= 0
        only_sleeps(words), sleeps_first(words), keeper(words)
        for each in programs(words):
            list(hosts_asked(each))
