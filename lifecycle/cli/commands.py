"""
The commands of `lifecycle`, and the module of each, which is imported when it is named.

A module has `add(parser)`, which declares its arguments, and `run(options)`, which returns the
exit code. What the kubelet starts has `run_plain(words)` too: without a parser, whose import alone
takes longer than a probe may on a tenth of a core.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    from typing import Any

COMMANDS = {
    "run": ("lifecycle.cli.run", "run an app under a lifecycle"),
    "prestop": ("lifecycle.cli.prestop", "drain; returns when SIGTERM is safe"),
    "probe": ("lifecycle.cli.probe", "ask one probe; exit code 0 if true"),
    "ls": ("lifecycle.cli.ls", "list services and where they are registered"),
    "status": ("lifecycle.cli.status", "show everything there is to see"),
    "online": ("lifecycle.cli.online", "release services that were taken offline"),
    "offline": ("lifecycle.cli.offline", "take services out of traffic"),
    "plugins": ("lifecycle.cli.plugins", "list installed plugins and their hooks"),
    "config": ("lifecycle.cli.config", "show what is set, and from where"),
    "manifests": ("lifecycle.cli.manifests", "write what Kubernetes needs to run an app"),
    "check": ("lifecycle.cli.check", "find what will hurt in Kubernetes manifests"),
    "rehearse": (
        "lifecycle.cli.rehearse",
        "roll a service over under load, on this machine; count what is lost",
    ),
}
"""By name: its module, and what `lifecycle --help` says of it."""
PLAIN = ("prestop", "probe")
"""Those that need no parser."""


def module_of(name: str) -> Any:
    """Import the module of a command."""
    module, _ = COMMANDS[name]
    __import__(module)  # importlib would be imported
    return sys.modules[module]


def run_plain(words: list[str]) -> int | None:
    """Run a command that needs no parser, and return its exit code; None: ask the parser."""
    if not words or words[0] not in PLAIN:
        return None
    code: int | None = module_of(words[0]).run_plain(words[1:])
    return code
