"""What is written as text is what Kubernetes reads: its parser is Go's, not PyYAML."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from lifecycle.checks.reading.yaml_nodes import read_yaml
from lifecycle.manifests.output import as_yaml, component
from lifecycle.manifests.plan import Plan

GO_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"}
"""What sigs.k8s.io/yaml (goyaml.v2, resolve.go) takes for no text, in any case of letters."""
PLAIN = {"true": True, "false": False, "null": None}
NUMBERS = """
    1234e56 1e1 1e3 1E3 1e+3 12e5 .5e3 1.5e3 1.e3 +1e3 -1e3 12345678901234e56
    0o755 0o17 0O17 +0o7 -0o7 0B1 0b1 0X1F 0x1f 1_0e3 1_000 08 09 1:30 .inf -.Inf .nan
    2001-01-01 y n Y N yes No ON off ~ null Null true FALSE = <<
"""


class Strict(yaml.SafeLoader):
    """Reads a plain scalar as Go does, and refuses one of which parsers may think differently."""

    def construct_scalar(self, node: Any) -> Any:
        text: str = super().construct_scalar(node)
        if node.style:
            return text
        if text in PLAIN:
            return PLAIN[text]
        if re.fullmatch(r"0|[1-9][0-9]{0,17}", text):
            return int(text)
        assert re.match("[A-Za-z/]", text), f"{text!r} stands there without quotes"
        assert text.lower() not in GO_WORDS, f"{text!r} stands there without quotes"
        return text


Strict.yaml_implicit_resolvers = {}


def read(text: str) -> Any:
    """Read a stream of documents."""
    return list(yaml.load_all(text, Loader=Strict))


@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.text("yYnNoO0123456789eE+-._xXbB:"),
    )
)
@example("two\nlines\n")
def test_every_text_stays_text(text: str) -> None:
    """Whatever a variable, a name or an argument is, it is read as that text, by check too."""
    made = {"value": text, text: [text, 1, True, None, {}]}

    written = as_yaml([made, made])
    assert read(written) == [made, made]
    assert [each.plain() for each in read_yaml(written)] == [made, made]


@pytest.mark.parametrize("text", NUMBERS.split())
def test_what_is_a_number_for_go_is_quoted(text: str) -> None:
    """Go's parser knows numbers and booleans that PyYAML takes for text."""
    assert as_yaml([{"value": text}]) == f"value: '{text}'\n"


def test_words_are_not_quoted() -> None:
    """What cannot be anything else stays easy to read."""
    made = {"kind": "List", "image": "r.example/orders:1", "yes-man": "nobody"}

    assert as_yaml([made]) == "kind: List\nimage: r.example/orders:1\nyes-man: nobody\n"


def test_a_component_without_a_command() -> None:
    """It leaves the command, its arguments and who it runs as as they are."""
    wanted = Plan(name="orders", user=None, env={"LIFECYCLE_RUN_DIR": "/run/lifecycle"})
    spec = yaml.safe_load(component(wanted)["patch.yaml"])["spec"]["template"]["spec"]

    (app,) = spec["containers"]
    assert app.keys() & {"command", "args", "securityContext"} == set()
    assert "securityContext" not in spec
    assert [each["mountPath"] for each in app["volumeMounts"]] == ["/run/lifecycle"]
    assert [each["name"] for each in spec["volumes"]] == ["lifecycle-run"]


def test_a_component_with_a_user() -> None:
    """It brings the whole of a restricted security context, and what that needs."""
    wanted = Plan(name="orders", user=7, env={"LIFECYCLE_RUN_DIR": "/run/lifecycle"})
    spec = yaml.safe_load(component(wanted)["patch.yaml"])["spec"]["template"]["spec"]

    (app,) = spec["containers"]
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsGroup"]) == (7, 7)
    assert app["securityContext"]["readOnlyRootFilesystem"] is True
    assert [each["mountPath"] for each in app["volumeMounts"]] == ["/run/lifecycle", "/tmp"]


def test_a_component_and_variables_that_are_there() -> None:
    """A variable that has a value has no valueFrom, whichever form it had before."""
    wanted = Plan(name="orders", user=None, env={"LIFECYCLE_RUN_DIR": "/run/lifecycle"})
    spec = yaml.safe_load(component(wanted)["patch.yaml"])["spec"]["template"]["spec"]

    forms = {
        each["name"]: (each["value"], each["valueFrom"]) for each in spec["containers"][0]["env"]
    }
    assert forms["LIFECYCLE_RUN_DIR"] == ("/run/lifecycle", None)
    assert forms["POD_IP"] == (None, {"fieldRef": {"fieldPath": "status.podIP"}})
