"""The commands of `lifecycle`: a table of modules, of which only the named one is imported."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.cli import commands
from lifecycle.cli.commands import COMMANDS, PLAIN
from lifecycle.cli.control_client import add_port, port_in, port_of

ROOT = str(Path(__file__).parents[3])
PORTS = ([], ["--port", "80"], ["--port", "65535"])
NEED_A_PARSER = (
    ["--port=80"],
    ["--port", "0"],
    ["--port", "65536"],
    ["--port", "x"],
    ["--port"],
    ["--port", "80", "--port", "81"],
    ["-h"],
    ["more"],
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_module_of_its_own(name: str) -> None:
    """Its module is named after it, and says in its first line what it does."""
    module = commands.module_of(name)
    assert module.__name__.endswith(f".{name}")
    assert f"`lifecycle {name}`" in module.__doc__
    assert callable(module.add)
    assert callable(module.run)


def imported(*words: str) -> set[str]:
    """Return what `lifecycle` with these words has imported of ours when it ends."""
    source = (
        f"import sys; sys.path.insert(0, {ROOT!r}); sys.argv[1:] = {list(words)!r}\n"
        "from lifecycle.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print()\n    print(*sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=True
    )
    return set(ran.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["prestpo"], []])
def test_no_command_is_imported_for_the_list_of_them(words: list[str]) -> None:
    """Who asks which commands there are, or misspells one, waits for none of them."""
    assert imported(*words) & {module for module, _ in COMMANDS.values()} == set()


@pytest.mark.parametrize("name", ["ls", "status", "check", "prestop"])
def test_only_the_named_command_is_imported(name: str) -> None:
    """Of all the commands, the one that was named, and what only others need is not there either."""
    found = imported(name, "--help")
    assert found & {module for module, _ in COMMANDS.values()} == {COMMANDS[name][0]}
    assert {"asyncio", "hypercorn"} & found == set()


@pytest.mark.parametrize("words", PORTS)
def test_the_port_is_the_same_without_a_parser(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs no parser means what it means to the parser."""
    monkeypatch.setenv("LIFECYCLE_QOS_PORT", "1234")
    parser = argparse.ArgumentParser()
    add_port(parser)
    assert port_in(words) == port_of(parser.parse_args(words))


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("words", NEED_A_PARSER)
def test_everything_else_is_for_the_parser(name: str, words: list[str]) -> None:
    """Without a parser nothing is guessed, and nothing done."""
    kind = ["live"] if name == "probe" else []
    assert commands.run_plain([name, *kind, *words]) is None


@pytest.mark.parametrize("words", [[], ["run"], ["probe"], ["probe", "dead"], ["--port", "80"]])
def test_what_is_not_plain(words: list[str]) -> None:
    """Other commands, and unknown words, are for the parser too."""
    assert commands.run_plain(words) is None
