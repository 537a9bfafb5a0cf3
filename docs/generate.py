# ruff: noqa: INP001, RUF001 - a script beside the pages; − is what is meant
"""
Write the generated parts of the documentation, or list the stale ones.

`python docs/generate.py` rewrites the text between `<!-- generated: NAME -->` and
`<!-- end of generated -->` in the pages, and the pictures. `--check` exits 1 and names
each stale file. The script needs the package, and the sources of lifecycle-fleet.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import comparison
import mutation
import pod_deletion
import setups
import timeline
from command_reference import commands, fleet_commands
from json_fields import in_flight_fields, status_fields
from markdown_parts import prose, table
from why_page import why

import lifecycle
from lifecycle import asgi, hookspecs
from lifecycle.checks.rules import RULES
from lifecycle.config import Config
from lifecycle.control.builtin_plugins import DrainHandler, PagePlugin
from lifecycle.control.default_commands import DefaultCommands
from lifecycle.drain.health_checks import MONITORS
from lifecycle.drain.order import ORDER
from lifecycle.drain.timetable import Timetable
from lifecycle.environment_variables import variable
from lifecycle.qos.routes import PROBES
from lifecycle.states import TRANSITIONS, State

HERE: Final = Path(__file__).parent
PICTURES: Final = {"timeline.svg": timeline.draw, **pod_deletion.PICTURES, **setups.PICTURES}
SECTION: Final = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end of generated -->)",
    re.DOTALL,
)


def hooks() -> str:
    """Document every hook from its specification."""
    parts = []
    for name in [each for each in vars(hookspecs) if each.startswith("lifecycle_")]:
        spec = getattr(hookspecs, name)
        signature = _signature(spec)
        parts.append(f"### `{name}`\n\n```text\n{name}{signature}\n```\n\n{prose(spec.__doc__)}")
    return "\n".join(parts)


def _signature(function: Any) -> str:
    text = str(inspect.signature(function)).replace("= ''", '= ""')
    text = text.replace("'", "").replace("mappingproxy({})", "{}")
    return text.replace("collections.abc.", "").replace("typing.", "")


def settings() -> str:
    """Document every setting from its field."""
    rows = [
        (
            f"`{each.name}`",
            f"`{variable(each.name)}`",
            f"`{_shown(each.default)}`" if each.default not in ("", None, ()) else "-",
            _wanted(each),
            each.metadata["describe"],
        )
        for each in dataclasses.fields(Config)
    ]
    return table("name | variable | default | range | meaning", rows)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wanted(each: dataclasses.Field[Any]) -> str:
    check: Callable[[Any], str | None] = each.metadata["check"]
    if each.default != ():
        return (check(object()) or "").removesuffix(" seconds") + (
            " s" if isinstance(each.default, float) else ""
        )
    words = check(("\0",))
    return f"comma-separated {words.partition('. ')[0]}" if words else "comma-separated words"


def states() -> str:
    """Draw the table of transitions as a Mermaid diagram, and write it as a table."""
    lines = ["stateDiagram-v2", "    direction LR", f"    [*] --> {State.STARTING.name}"]
    for before, row in TRANSITIONS.items():
        lines += [f"    {before.name} --> {after.name}: {event}" for event, after in row.items()]
        if not row:
            lines.append(f"    {before.name} --> [*]")
    rows = [
        (
            before.name,
            ", ".join(f"{event} → {after.name}" for event, after in row.items()) or "none: final",
        )
        for before, row in TRANSITIONS.items()
    ]
    diagram = "\n".join(lines)
    return f"```mermaid\n{diagram}\n```\n\n{table('state | event → next state', rows)}"


def checks() -> str:
    """Document every rule of `lifecycle check` from its own texts."""
    parts = []
    for rule in RULES.values():
        head = f"## {rule.name}\n\n**{str(rule.severity).capitalize()}: {rule.title}**"
        sources = ", ".join(
            f"<{each}>" if each.startswith("https:") else f"[{each}]({each})"
            for each in rule.sources
        )
        notes = {
            "Fix": rule.fix,
            "Fix without pod-lifecycle": rule.plain_fix,
            "Severity": rule.severity_note,
            "Scope": rule.scope,
            "Source": sources,
        }
        told = [f"**{name}**: {text}" for name, text in notes.items() if text]
        parts.append("\n\n".join([head, rule.why, *told]) + "\n")
    return "\n".join(parts)


def paths() -> str:
    """Document the paths of the QOS port: probes, and the built-in commands."""
    aliases: dict[str, list[str]] = {}
    for path, kind in PROBES.items():
        aliases.setdefault(kind.value, []).append(f"`/{path}`")
    rows: list[tuple[str, str, str, str]] = [
        (" ".join(names), "GET, HEAD", "PUBLIC", f"result of the {kind} probe")
        for kind, names in aliases.items()
    ]
    given: Any = None  # what the commands are asked about; not needed to list them
    default = DefaultCommands(
        commands=given,
        services=given,
        settings=given,
        snapshot=given,
        in_flight=given,
        online=given,
        offline=given,
        until_offline=given,
        of_a_command=given,
        log_level=given,
    )
    listed = [
        PagePlugin(given, given).lifecycle_commands(),
        *default.lifecycle_commands(),
        DrainHandler(given, given).lifecycle_commands(),
    ]
    for command in listed:
        method = "POST" if command.changes else "GET, HEAD"
        method += ", or GET with the token" if command.token_get else ""
        rows.append((f"`/{command.name}`", method, command.level.name, command.help))
    return table("path | method | level | answers", rows)


def order() -> str:
    """Write the table of the steps of a drain."""
    rows = [
        (f"`{each.name}`", each.does or "-", each.waits, each.limit.replace(" - ", " − "))
        for each in ORDER
    ]
    return table("step | first action | waits until | at the latest", rows)


def budget() -> str:
    """Document the timetable of the default configuration."""
    config = Config()
    plan = Timetable.plan(config, 0.0)
    rows = (
        (
            "drain start",
            "the first signal, preStop, `begin_drain()` or the end of `main`",
            plan.began,
        ),
        ("`settle` is over", "drain start + settle", plan.settle_at),
        (
            "earliest end of the wait",
            "drain start + the longer of settle and quiet",
            max(config.settle, config.quiet),
        ),
        ("deadline of the wait", "drain start + grace_period − stop_timeout − 2", plan.wait_until),
        ("`main` is cancelled", "drain start + grace_period − 2", plan.main_until),
        ("pod-lifecycle no longer waits for the cancelled main", "1 s later", plan.cancel_until),
        (
            "`lifecycle_stop` hooks have returned, if there are any",
            "drain start + grace_period − 1",
            plan.stop_until,
        ),
        (
            "the process has exited, even if something hangs",
            "drain start + grace_period − 0.5",
            plan.exit_by,
        ),
        ("the kubelet sends SIGKILL", "drain start + grace_period", config.grace_period),
    )
    return table(
        "event | time | with the defaults", ((a, b, f"{seconds:g} s") for a, b, seconds in rows)
    )


def api() -> str:
    """Document the façade from its docstrings."""
    parts = []
    for name in lifecycle.__all__:
        value = getattr(lifecycle, name)
        if inspect.isclass(value):
            parts.append(f"## `{name}`\n\n{prose(value.__doc__)}\n{_members(name, value)}")
        elif inspect.isfunction(value):
            parts.append(f"## `{name}{_signature(value)}`\n\n{prose(value.__doc__)}")
    parts += [
        f"## `lifecycle.asgi.{cls.__name__}`\n\n{prose(cls.__doc__)}"
        for cls in (asgi.Middleware, asgi.Managed)
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _members(owner: str, cls: type) -> str:
    if issubclass(cls, Config):
        return "Its fields are in [config.md](config.md).\n"
    parts = []
    for name, value in vars(cls).items():
        if name.startswith("_") or not getattr(value, "__doc__", None):
            continue
        if isinstance(value, property):
            parts.append(f"### `{owner}.{name}`\n\n{prose(value.__doc__)}")
        elif inspect.isfunction(value):
            head = "await " if inspect.iscoroutinefunction(value) else ""
            signature = _signature(value).replace("(self, ", "(").replace("(self)", "()")
            parts.append(f"### `{head}{owner}.{name}{signature}`\n\n{prose(value.__doc__)}")
    return "\n".join(parts)


def layers() -> str:
    """Document the layers as import-linter holds them."""
    pyproject = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    lines = next(each["layers"] for each in contracts if each["type"] == "layers")
    return "```text\n" + "\n".join(line.replace("lifecycle.", "") for line in lines) + "\n```\n"


def files() -> str:
    """Document every file by the first line of its docstring."""
    package = HERE.parent / "lifecycle"
    rows = []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.name != "__main__.py":
            head = (ast.get_docstring(tree) or "").partition("\n\n")[0]
            rows.append((f"`{path.relative_to(package)}`", " ".join(head.split())))
    return table("file | concern", rows)


def monitors() -> str:
    """Return the user agents that do not disturb the quiet."""
    return f"{', '.join(f'`{agent}`' for agent in MONITORS)}.\n"


SECTIONS: Final[dict[str, Callable[[], str]]] = {
    "api": api,
    "budget": budget,
    "checks": checks,
    "commands": commands,
    "comparison": comparison.draw,
    "files": files,
    "fleet-commands": fleet_commands,
    "hooks": hooks,
    "in-flight": in_flight_fields,
    "layers": layers,
    "monitors": monitors,
    "mutation-score": mutation.score,
    "mutation-survivors": mutation.survivors,
    "order": order,
    "paths": paths,
    "settings": settings,
    "states": states,
    "status": status_fields,
    "why": why,
}


def wanted() -> dict[Path, str]:
    """Return what each generated file should hold."""
    files = {HERE / "img" / name: draw() for name, draw in PICTURES.items()}
    for page in sorted(HERE.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        fresh = SECTION.sub(
            lambda found: f"{found['head']}\n{SECTIONS[found['name']]()}\n{found['tail']}", text
        )
        if "<!-- generated:" in text:
            files[page] = fresh
    return files


def main() -> int:
    """Write, or check."""
    check = sys.argv[1:] == ["--check"]
    for name in [name for name in os.environ if name.startswith("LIFECYCLE_")]:
        del os.environ[name]  # the defaults are what is documented
    stale = [
        (path, text)
        for path, text in wanted().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        print(f"{path.relative_to(HERE.parent)}: {'stale: run make docs' if check else 'written'}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
