# ruff: noqa: INP001 - beside the script that uses it
"""The commands and their arguments, from the parsers of `lifecycle` and of lifecycle-fleet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown_parts import table

from lifecycle.cli.parser import make_parser

FLEET = Path(__file__).parents[1] / "plugins" / "fleet" / "src"


def commands() -> str:
    """Document the command from its parser."""
    return "\n".join(_parts("lifecycle", make_parser(), "##"))


def fleet_commands() -> str:
    """Document the subcommands of lifecycle-fleet, also where it is not installed."""
    sys.path.insert(0, str(FLEET))
    try:
        from lifecycle_fleet import command
    finally:
        sys.path.remove(str(FLEET))
    parser = argparse.ArgumentParser()
    command.add(parser)
    return "\n".join(_parts("lifecycle fleet", parser, "###"))


def _parts(program: str, parser: argparse.ArgumentParser, level: str) -> Iterator[str]:
    sub_parsers: Any = next(a for a in parser._actions if isinstance(a.choices, dict))  # noqa: SLF001 - argparse shows them nowhere else
    helps = {each.dest: each.help for each in sub_parsers._get_subactions()}  # noqa: SLF001 - argparse shows them nowhere else
    for name, each in (sub_parsers.choices or {}).items():
        yield _part(program, name, each, f"{level} `{program} {name}`", helps[name])


def _part(program: str, name: str, parser: argparse.ArgumentParser, title: str, text: str) -> str:
    actions = [each for each in parser._actions if each.dest != "help"]  # noqa: SLF001 - argparse shows them nowhere else
    positional = [_argument(each) for each in actions if not each.option_strings]
    usage = " ".join([program, name, *positional])
    usage += " [OPTIONS]" if any(each.option_strings for each in actions) else ""
    if actions[-1:] and actions[-1].dest == "command":  # somebody else's, with its options
        before = " ".join([program, name, *positional[:-1]])
        usage = f"{before} [OPTIONS] -- {positional[-1]}"
    usage = (parser.usage or usage).replace(", or ", "`, or `")
    rows = [(f"`{_option(each)}`", each.help or _choices(each)) for each in actions]
    head = f"{title}\n\n`{usage}`: {text}.\n"
    return head + (f"\n{table('argument | meaning', rows)}" if rows else "")


def _argument(action: argparse.Action) -> str:
    text = action.metavar or "|".join(map(str, action.choices or (action.dest,)))
    return f"[{text}]" if action.nargs == "?" else str(text)


def _option(action: argparse.Action) -> str:
    words = list(action.option_strings) or [_argument(action)]
    if action.option_strings and action.nargs != 0:
        words.append(str(action.metavar or action.dest.upper()))
    return " ".join(words)


def _choices(action: argparse.Action) -> str:
    if isinstance(action.default, str) and action.default == "*":
        return "names of services, as a glob (default: `*`)"
    default = f" (default: {action.default})" if action.default else ""
    return f"one of {', '.join(map(str, action.choices or ()))}{default}"
