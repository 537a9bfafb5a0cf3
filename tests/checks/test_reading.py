"""What is no manifest is a sentence."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.checks.check import check, not_checked
from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node
from lifecycle.checks.reading.documents import documents, parse
from lifecycle.checks.reading.kinds import BUILT_IN, OTHERS, kind_of
from lifecycle.checks.reading.yaml_nodes import read_yaml, scalar
from lifecycle.checks.workloads.workload import Surroundings
from tests.checks.kit import QOS, RUN, owner, pod

LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: y}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "empty"),
        ("---\n# nothing\n---\n", "empty"),
        ("a: [1", "line 2: not valid YAML: "),
        ("a: b\n\tc: d", "line 2: not valid YAML: "),
        ("kind: {{ .Values.kind }}\nname: {{ x }}", "render it first: helm template"),
        ('{"kind": "Pod", ]', "not valid YAML: "),
        ("just text", "must be a Kubernetes object"),
        ("- a\n- b", "must be a Kubernetes object"),
        (
            "services:\n  web:\n    image: nginx",
            "line 1: not a Kubernetes object, because it has no kind",
        ),
        ("kind: [Pod]", "kind must be text"),
        ("a: *b", "line 1: there is no anchor &b"),
        ("a: &a [*a]", "an alias contains itself"),
        ("a: &a {<<: *a}", "an alias contains itself"),
        ("? [a, b]\n: c", "a key must be text"),
        ("[" * 100_000, "nested deeper than 64"),
        ('{"a":' * 100_000, "nested"),
        ("{" + '"a": {' * 70 + "}" * 71, "nested deeper than 64"),
        (LAUGHS, "its aliases repeat more than 200,000 values"),
        (MERGES, "its aliases repeat more than 200,000 values"),
        ("a: \x00", "not valid YAML: "),
        ("!!python/object/apply:os.system [ls]", "must be a Kubernetes object"),
    ],
)
def test_what_cannot_be_read(text: str, sentence: str) -> None:
    """It is refused with a sentence that says where and why, and costs no more."""
    with pytest.raises(Unreadable) as raised:
        documents(text)

    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("containers: c", "line 4: spec.containers must be a list"),
        ("containers: [c]", "line 4: spec.containers[0] must be a mapping"),
        ("containers: [{env: {a: b}}]", "line 4: spec.containers[0].env must be a list"),
        ("terminationGracePeriodSeconds: long", "must be a number"),
        ("containers: [{command: [[a]]}]", "spec.containers[0].command[0] must be text"),
        (
            "containers: [{command: [sleep, 30]}]",
            "command[1] must be text. Put the value in quotes",
        ),
        ("containers: [{env: [{name: LIFECYCLE_SETTLE, value: 1e1}]}]", "value must be text"),
        (
            "containers: [{name: y}]",
            "spec.containers[0].name must be text. Put the value in quotes",
        ),
        ("terminationGracePeriodSeconds: .nan", "must be a number of 64 bits"),
        ("terminationGracePeriodSeconds: -.inf", "must be a number of 64 bits"),
    ],
)
def test_a_field_of_another_type(field: str, sentence: str) -> None:
    """What the API server would refuse is named with its place."""
    _, unreadable = check(documents(f"kind: Pod\napiVersion: v1\nspec:\n  {field}\n", "f.yaml"))

    (said,) = unreadable["f.yaml"]
    assert sentence in said
    assert said.startswith("Pod: ")


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", "9" * 400])
@pytest.mark.parametrize(
    "place",
    [
        '"replicas": N, "strategy": {"rollingUpdate": {"maxUnavailable": "25%"}}',
        '"template": {"spec": {"terminationGracePeriodSeconds": N}}',
        '"template": {"spec": {"containers": [{"livenessProbe": {"initialDelaySeconds": N}}]}}',
        '"template": {"spec": {"containers": [{"livenessProbe": {"httpGet": {"port": N}}}]}}',
        '"template": {"spec": {"containers": [{"lifecycle": {"preStop": {"sleep": {"seconds": N}}}}]}}',
    ],
)
def test_a_number_without_bounds(place: str, number: str) -> None:
    """What no field of Kubernetes can hold is refused by its place."""
    spec = place.replace("N", number)
    text = f'{{"kind": "Deployment", "apiVersion": "apps/v1", "spec": {{{spec}}}}}'
    _, unreadable = check(documents(text))

    assert "must be a number of 64 bits" in str(unreadable)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("yes", True),
        ("Off", False),
        ("yEs", "yEs"),
        ("0", 0),
        ("-12", -12),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("y", True),
        ("N", False),
        ("08", 8.0),
        ("0b11", 3),
        ("0O17", 15),
        ("-0X1f", -31),
        ("+0o7", 7),
        ("1_000", 1000),
        ("1_0e3", 10_000.0),
        (".5_1", 0.51),
        ("._5", "._5"),
        ("1234e56", 1234e56),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("1e999", "1e999"),
        ("-.inf", -math.inf),
        ("10.0.0.1", "10.0.0.1"),
        ("8Gi", "8Gi"),
        ("10:30", "10:30"),
        ("2026-01-01", "2026-01-01"),
        ("1.2.3", "1.2.3"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars(text: str, value: object) -> None:
    """An unquoted scalar means what it means to Kubernetes; a date is text."""
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def _read(text: str) -> list[Node]:
    return [each for each in read_yaml(text) if isinstance(each, Node)]


def test_anchors_and_merges() -> None:
    """An alias stands for its anchor, a merge gives way to a key, and each knows its own place."""
    (node,) = _read("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: *a\n'on': \"yes\"\n")

    assert node.plain() == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
        "on": "yes",
    }
    assert (node.at("b", "y").line, node.at("c").line, node.at("c", "x").path) == (4, 5, "$.c.x")


ONE = "kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: {hostNetwork: 1}\n"
ITEM = '{"kind": "Pod", "metadata": {"name": "a"}}'


@pytest.mark.parametrize(
    ("text", "names", "problems"),
    [
        (f"{ONE}---\nspec: {{replicas: 3}}\n", ["a"], ["line 6: not a Kubernetes object"]),
        (f"a: [1\n---\n{ONE}", ["a"], ["line 2: not valid YAML"]),
        (
            f"a: b: c\n---\nx: '\n---\n{ONE}",
            ["a"],
            ["line 1: not valid YAML", "line 4: not valid YAML"],
        ),
        (f"{ONE}---\n{{{{ x }}}}: 1\n---\n{ONE}", ["a", "a"], ["line 6: a key must be text"]),
        (f"a: *b\n---\n{ONE}---\n- 1\n", ["a"], ["there is no anchor &b", "line 8: "]),
        (f"{'[' * 99}\n---\n{ONE}", ["a"], ["line 1: nested deeper than 64"]),
        (f'{{"kind": "List", "items": [1, {ITEM}, {{}}]}}', ["a"], ["items[0]", "items[2]"]),
        (f"{ITEM}\n{ITEM}{ITEM}\n", ["a", "a", "a"], []),
    ],
)
def test_what_cannot_be_read_hides_no_other(
    text: str, names: list[str], problems: list[str]
) -> None:
    """Of several documents each is read, or refused, by itself."""
    found = parse(text)

    assert [each.name for each in found.documents] == names
    unread = [*found.problems, *found.templates]
    assert len(unread) == len(problems)
    for said, wanted in zip(unread, problems, strict=True):
        assert wanted in said


def test_many_broken_documents() -> None:
    """A file of nothing but broken documents is given up on: each costs another reading."""
    found = parse("---\na: [\n" * 1000)

    assert len(found.problems) == 51
    assert found.problems[-1].endswith("not read, because 50 documents are broken")


def test_lines_after_a_broken_document() -> None:
    """A finding's line is that of the file, whatever was left out before it."""
    (node,) = parse(f"a: [1\n---\n{ONE}").documents

    assert node.node.at("spec").line == 6


def test_a_kustomization_is_passed_over() -> None:
    """A kustomization without a kind is no mistake: a sentence says what to do with it."""
    found = parse("resources: [a.yaml]\n", "base/kustomization.yaml")

    assert (found.documents, found.problems) == ([], [])
    assert found.passed_over is not None
    assert "kustomize build" in found.passed_over.sentence


def test_many_objects() -> None:
    """What a large namespace holds is read: only what aliases repeat is counted."""
    item = {"kind": "Pod", "spec": {"containers": [{"args": ["a"] * 100}] * 2}}

    assert len(documents(json.dumps({"kind": "List", "items": [item] * 1500}))) == 1500


def test_a_list_without_kinds() -> None:
    """What the API server itself lists, `kind: PodList`, is opened; its items have no kind."""
    made = pod({})
    del made["kind"]
    found = documents(json.dumps({"kind": "PodList", "items": [made]}))

    assert [(each.kind, each.name) for each in found] == [("Pod", "orders")]


def _replaced(value: Any, junk: Any) -> list[Any]:
    """Return copies of a value, in each of which one place is something else."""
    if isinstance(value, dict):
        return [junk] + [
            value | {key: each} for key, old in value.items() for each in _replaced(old, junk)
        ]
    if isinstance(value, list):
        return [junk] + [
            [*value[:at], each, *value[at + 1 :]]
            for at, old in enumerate(value)
            for each in _replaced(old, junk)
        ]
    return [junk]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=4,
)


@pytest.mark.timeout(240)  # two thousand manifests are checked, on a machine that may be busy
@settings(deadline=None, max_examples=25)
@given(JUNK)
def test_junk_at_any_place(junk: Any) -> None:
    """Whatever stands in any field, there are findings or a sentence, and never a traceback."""
    made = pod(
        RUN | QOS | {"env": [{"name": "LIFECYCLE_SETTLE", "value": "1"}]},
        {"ports": [{"containerPort": 1}], "lifecycle": {"preStop": {"exec": {"command": ["a"]}}}},
        hostNetwork=True,
        terminationGracePeriodSeconds=1,
    )
    spread = owner("Deployment", made, replicas=2, strategy={"rollingUpdate": {"maxSurge": 1}})
    for each in (*_replaced(made, junk), *_replaced(spread, junk)):
        with suppress(Unreadable):
            check(documents(json.dumps(each)))


KINDS = [
    *OTHERS,
    *(("apps", kind) for kind in BUILT_IN),
    ("operators.coreos.com", "ClusterServiceVersion"),
]


@settings(deadline=None, max_examples=25)
@given(JUNK, st.sampled_from(KINDS), st.booleans())
def test_junk_in_any_kind(junk: Any, kind: tuple[str, str], patched: bool) -> None:
    """So it is in kinds of others, in patches, in what a cluster gives back, and in templates."""
    group, name = kind
    made = owner(name, pod(QOS | {"ports": [{"containerPort": 1}]}))
    made |= {"apiVersion": f"{group}/v1", "$patch": "merge"} if patched else {}
    path = {(group, name): kind_of(group, name)}[kind]
    for keys in path.paths if path else (("spec", "install", "spec", "deployments"),):
        inner: Any = made["spec"]["template"]
        for key in reversed(keys):
            inner = [inner] if key == "*" else {key: inner}
        made = inner | made if isinstance(inner, dict) else made
    made["metadata"] |= {"ownerReferences": [{"controller": True, "kind": "A", "name": "${a}"}]}
    template = {"kind": "Template", "parameters": [{"name": "a"}], "objects": [made]}
    for each in (*_replaced(made, junk), *_replaced(template, junk)):
        with suppress(Unreadable):
            read = documents(json.dumps(each))
            around = Surroundings(read)
            check(read, around)
            not_checked(around)


@settings(deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    """Whatever is in a file, it is read or refused."""
    with suppress(Unreadable):
        documents(text)
