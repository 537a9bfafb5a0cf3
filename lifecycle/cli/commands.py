"""
The subcommands of `lifecycle`. The module of a subcommand is imported only when you name it.

Each module has `add(parser)`, which declares the arguments, and `run(options)`, which returns the
exit code. The subcommands that the kubelet starts also have `run_plain(words)`, which needs no
parser. Importing the parser alone takes longer than a probe may take on a tenth of a core.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    from typing import Any

COMMANDS = {
    "run": ("lifecycle.cli.run", "run an app, or a server command, with pod-lifecycle"),
    "rehearse": (
        "lifecycle.cli.rehearse",
        "restart a service in a rolling update under load, on this machine, and count lost requests",
    ),
    "tune": ("lifecycle.cli.tune", "find out from drain reports in logs how long settle must be"),
    "check": ("lifecycle.cli.check", "find problems in Kubernetes manifests"),
    "manifests": ("lifecycle.cli.manifests", "write Kubernetes manifests for an app"),
    "prestop": ("lifecycle.cli.prestop", "drain the app, and return when SIGTERM is safe"),
    "probe": ("lifecycle.cli.probe", "ask for one probe result (exit code 0 if true)"),
    "ls": ("lifecycle.cli.ls", "list app services and where each one is registered"),
    "status": ("lifecycle.cli.status", "show the full status of the app"),
    "inflight": ("lifecycle.cli.inflight", "list the work in flight, the oldest first"),
    "online": ("lifecycle.cli.online", "bring app services back online"),
    "offline": ("lifecycle.cli.offline", "take app services out of traffic"),
    "plugins": ("lifecycle.cli.plugins", "list installed plugins and their hooks"),
    "config": ("lifecycle.cli.config", "show all settings and where each value comes from"),
}
"""Module and help text of each subcommand, by its name."""
PLAIN = ("prestop", "probe")
"""Subcommands that can run without the parser."""


def module_of(name: str) -> Any:
    """Import the module of a subcommand."""
    module, _ = COMMANDS[name]
    __import__(module)  # importlib would be imported
    return sys.modules[module]


def run_plain(words: list[str]) -> int | None:
    """Run a subcommand without the parser. Returns its exit code, or None to use the parser."""
    if not words or words[0] not in PLAIN:
        return None
    code: int | None = module_of(words[0]).run_plain(words[1:])
    return code
