"""docs/why.md has every sentence of `lifecycle fleet why`, and each is written for people."""

from __future__ import annotations

import re
import shlex
from typing import Final

import pytest
import yaml
from lifecycle_fleet.why import rights
from lifecycle_fleet.why.caveats import CAVEATS
from lifecycle_fleet.why.finding import Saying
from lifecycle_fleet.why.rules import RULES
from lifecycle_fleet.why.rules.rollouts import CAUSES, CONSEQUENCES

from tests.docs.pages import ROOT, anchors
from tests.plain_words.rules import findings
from tests.plain_words.texts import Kind, Text

PAGE: Final = ROOT / "docs" / "why.md"
ALL: Final = (*RULES, *CAUSES, *CONSEQUENCES)
SAYINGS: Final = [*(saying for rule in ALL for saying in rule.sayings), *CAVEATS]
FIELD: Final = re.compile(r"(?<!\{)\{\w+\}")


def test_every_rule_has_a_section() -> None:
    """The address that a finding names leads to a heading."""
    assert {rule.name for rule in ALL} - {*anchors(PAGE)} == set()


@pytest.mark.parametrize("saying", SAYINGS)
def test_every_sentence_is_on_the_page(saying: Saying) -> None:
    """The page has the sentence and its fix, with a word for each field."""
    page = PAGE.read_text("utf-8")

    for template in (saying.sentence, saying.fix):
        plain = template.replace("{{", "{").replace("}}", "}")
        parts = [re.escape(each) for each in re.split(r"\{\w+\}", plain)]
        assert re.search("[A-Z ]+".join(parts), page), template


@pytest.mark.parametrize("saying", SAYINGS)
def test_every_sentence_is_in_plain_words(saying: Saying) -> None:
    """The rules for all texts hold for the templates too, which have fields in place of nouns."""
    found = []
    for template in (saying.sentence, saying.fix):
        words = FIELD.sub("XX", template).replace("{{", "").replace("}}", "")
        if not words.startswith(("kubectl ", "lifecycle ")):
            found += findings(Text("why", 1, words, Kind.MESSAGE))

    assert [str(each) for each in found] == []


@pytest.mark.parametrize("saying", SAYINGS)
def test_a_fix_that_is_a_command_is_only_one(saying: Saying) -> None:
    """You can copy the line as it is."""
    if saying.fix.startswith(("kubectl ", "lifecycle ")):
        words = shlex.split(saying.fix)

        assert not [each for each in words if each.endswith((",", ";", "."))]
        assert not {"and", "or", "&&", "|"} & {*words}


def test_the_roles_on_the_page_have_exactly_the_rights_that_are_used() -> None:
    """No more and no fewer, and those of the cluster in the ClusterRole."""
    (block,) = re.findall(
        r"^```yaml\n(apiVersion.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    written = {
        (role["kind"], group, resource, *rule["verbs"])
        for role in yaml.safe_load_all(block)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    used = {
        ("ClusterRole" if each.cluster else "Role", each.group, each.resource, *each.verbs)
        for each in rights.ALL
    }
    assert written == used


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
def test_a_rule_has_a_title(rule: object) -> None:
    """The title is a statement, without the dot of a sentence."""
    title = getattr(rule, "title", "")

    assert title[:1].isupper()
    assert not title.endswith(".")
