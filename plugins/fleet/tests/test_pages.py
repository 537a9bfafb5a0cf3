"""What the pages say about the commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from lifecycle_fleet.command import SUBCOMMANDS
from lifecycle_fleet.kubectl import parser
from lifecycle_fleet.view.pod import view
from lifecycle_fleet.view.record import record

from plugins.fleet.tests import objects
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.objects import pod
from plugins.fleet.tests.running import fleet

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
README = (ROOT / "plugins" / "fleet" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = [
    line for block in BLOCKS for line in block.splitlines() if line.startswith("lifecycle fleet ")
]


def without_ages(text: str) -> list[str]:
    return [re.sub(r" (\d+[smhd])+ +", " AGE ", line) for line in text.strip().splitlines()]


@pytest.mark.usefixtures("kubeconfig")
def test_the_list_on_the_page_is_real(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the output of this fleet, the ages apart."""
    for plural, thing in objects.fleet():
        api.put(plural, thing)

    assert fleet("ls") == 0
    shown = next(block for block in BLOCKS if block.startswith("WORKLOAD"))
    assert without_ages(capsys.readouterr().out) == without_ages(shown)


@pytest.mark.parametrize("line", SHOWN)
def test_each_command_on_the_page_can_be_read(line: str) -> None:
    """Its subcommand and its options exist."""
    parser().parse_args(shlex.split(line)[2:])


def test_the_fields_of_the_json_are_all_on_the_page() -> None:
    """No more, no fewer, in this order."""
    table = PAGE.partition("### JSON and YAML")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]

    assert names == list(record(view(pod(annotation=objects.told()))))


def test_the_readme_has_each_command() -> None:
    """Each subcommand is on the page of the package."""
    assert [name for name in SUBCOMMANDS if f"lifecycle fleet {name}" not in README] == ["online"]
    assert "`online POD`" in README


def test_the_role_is_a_role() -> None:
    """Its rules name what the table of rights names."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    rules = yaml.safe_load(text)["rules"]
    allowed = {each for rule in rules for each in rule["resources"]}

    assert {"pods", "events", "endpointslices", "deployments", "pods/exec"} <= allowed
    assert not {"update", "patch", "delete", "*"} & {
        verb for rule in rules for verb in rule["verbs"]
    }
