"""What is read of a shell's script, and whom a probe's command asks."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.checks.commands.executables import places
from lifecycle.checks.commands.hosts import called, dialled, hosts_asked
from lifecycle.checks.commands.http_requests import Fetch, fetches
from lifecycle.checks.commands.programs import programs
from lifecycle.checks.commands.scripts import keeper, only_sleeps, sleeps_first, slept
from lifecycle.checks.commands.shell import Command, Unclear, read_script
from lifecycle.checks.commands.steps import always_succeeds, steps


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
        always_succeeds(words), places(words)
        for step in steps(words):
            fetches(step.words), dialled(step.words), called(step.words)
        for each in programs(words):
            list(hosts_asked(each))


TOOLS = [
    "curl",
    "wget",
    "python3",
    "-c",
    "-f",
    "-X",
    "-XPOST",
    "-H",
    "--post-data",
    "http://[::1",
    "a:1",
]


@settings(deadline=None)
@given(st.sampled_from(TOOLS[:3]), st.lists(st.sampled_from(TOOLS) | st.text()))
def test_any_request(tool: str, words: list[str]) -> None:
    """Whatever stands behind curl, wget or Python, it is read as requests, or as none."""
    for each in fetches([tool, *words]):
        assert each.path.startswith("/")
        assert each.port is None or 0 <= each.port < 100_000


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("curl localhost", Fetch("curl", "http", "localhost", 80, "/", fails=False)),
        ("curl -fsSm2 https://u:p@[::1]/a/b/?c=d#e",
         Fetch("curl", "https", "[::1]", 443, "/a/b", limit=2)),
        ("curl -f -XPUT --max-time .5 a:9/x", Fetch("curl", "http", "a", 9, "/x", "PUT", limit=0.5)),
        ("curl -f -d a=b a:9", Fetch("curl", "http", "a", 9, "/", "POST")),
        ("curl -f -G -d a=b a:9", Fetch("curl", "http", "a", 9, "/")),
        ("curl -f -H Host:b --url http://a:$PORT/x",
         Fetch("curl", "http", "a", None, "/x", headers={"host": "b"})),
        ("curl -f -H @file a", Fetch("curl", "http", "a", 80, "/", headers=None)),
        ("curl -f -o /dev/null -w %{http_code} a:1", Fetch("curl", "http", "a", 1, "/")),
        ("curl -f --cert-type PEM --proto =http --retry 3 -b x a:1", Fetch("curl", "http", "a", 1, "/")),
        ("wget -qO- -T 3 --header=X:y ${HOST}:80/r",
         Fetch("wget", "http", "${HOST}", 80, "/r", limit=3, headers={"x": "y"})),
        ("wget -q --spider --method=head a", Fetch("wget", "http", "a", 80, "/", "HEAD")),
        ("wget --post-data= a/b", Fetch("wget", "http", "a", 80, "/b", "POST", saved=True)),
    ],
)  # fmt: skip
def test_a_request(words: str, wanted: Fetch) -> None:
    """Method, address, headers and the time limit, and whether the exit code tells of an error."""
    assert fetches(words.split()) == [wanted]


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("a || true", True),
        ("a; exit 0", True),
        ("a\ntrue", True),
        ("a || { b; true; }", True),
        ("a &", True),
        ("a", False),
        ("a && true", False),
        ("a || exit 1", False),
        ("a || exit 1; exit 0", False),
        ("set -e; a; true", False),
        ("if a; then exit 0; else exit 1; fi", False),
        ("if a; then b; else true; fi", False),
        ("true", False),
        ("a | tee log", True),
        ("a | grep b", False),
        ("set -o pipefail; a | tee log", False),
        ("a || b | cat", True),
    ],
)
def test_what_always_succeeds(script: str, wanted: bool) -> None:
    """A script whose exit code is 0 for certain, whatever its programs say."""
    assert always_succeeds(["sh", "-c", script]) is wanted
