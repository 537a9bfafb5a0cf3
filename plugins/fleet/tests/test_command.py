"""The command: under `lifecycle`, under kubectl, and its completion."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import lifecycle_fleet
import pytest
from lifecycle_fleet.command import SUBCOMMANDS
from lifecycle_fleet.completion import candidates
from lifecycle_fleet.kubectl import complete, parser

from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.app import App
from plugins.fleet.tests.objects import deployment, pod, told
from tests.public_api import beyond_the_public_api

BIN = Path(sys.executable).parent
MODULES = [
    each.name for each in pkgutil.walk_packages(lifecycle_fleet.__path__, "lifecycle_fleet.")
]


def run(*argv: str, code: int = 0) -> str:
    done = subprocess.run(
        [str(BIN / argv[0]), *argv[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("module", MODULES)
def test_the_source_uses_the_public_api_only(module: str) -> None:
    """It is a template for other plugins."""
    assert beyond_the_public_api(module) == set()


def test_it_is_a_subcommand_of_lifecycle(api: ApiServer, kubeconfig: Path) -> None:
    """`lifecycle --help` lists it, and `lifecycle fleet` has its own subcommands."""
    api.put("pods", pod(annotation=told()))

    assert "show and control the pods of a cluster" in run("lifecycle", "--help")
    shown = run("lifecycle", "fleet", "--help")
    assert all(name in shown for name in SUBCOMMANDS)
    assert "deploy/orders" in run("lifecycle", "fleet", "ls")
    assert "deploy/orders" in run("lifecycle", "fleet", "-n", "shop", "ls", "--no-headers")


def test_a_command_after_dashes_arrives(api: ApiServer, kubeconfig: Path) -> None:
    """Under `lifecycle` too, with options on both sides."""
    app = App("orders")
    api.execute = app
    api.put("pods", pod("a", annotation=told()))

    argv = [
        "lifecycle",
        "fleet",
        "maintain",
        "a",
        "--timeout",
        "5",
        "--",
        "sh",
        "-c",
        "echo -n $0 ok",
    ]

    assert "sh ok" in run(*argv)
    assert app.held == {"a": set()}


def test_kubectl_runs_it(api: ApiServer, kubeconfig: Path) -> None:
    """kubectl finds the programs by their names, and gives them all words after its own."""
    api.put("pods", pod("one", annotation=told()))

    assert "one" in run("kubectl-lifecycle", "--context", "fake", "-n", "shop", "ls")
    assert "usage: kubectl lifecycle" in run("kubectl-lifecycle", "--help")
    assert run("kubectl_complete-lifecycle", "stat").splitlines() == ["status", ":4"]


def test_a_list_of_subcommands_costs_no_client() -> None:
    """`lifecycle --help` imports neither the client library nor its models."""
    script = (
        "import sys, lifecycle_fleet.command as c, argparse; c.add(argparse.ArgumentParser());"
        "print(*sorted({each.partition('.')[0] for each in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert {"lightkube", "httpx2", "yaml", "msgspec", "rich"} & {*done.stdout.split()} == set()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([""], sorted(SUBCOMMANDS)),
        (["ma"], ["maintain"]),
        (["--c"], ["--context"]),
        (["ls", "--no"], ["--no-headers"]),
        (["-n", "shop", "ls", "--a"], ["--all", "--all-namespaces"]),
        (["status", "or"], ["orders-1", "orders-2"]),
        (["status", "deploy/"], ["deploy/orders"]),
        (["-n", "zoo", "status", ""], []),
        (["ls", ""], []),
        (["status", "--context", "none", ""], []),
    ],
)
def test_completion(api: ApiServer, kubeconfig: Path, words: list[str], found: list[str]) -> None:
    """Subcommands, options, and names of pods and Deployments. A failure offers nothing."""
    for name in ("orders-1", "orders-2"):
        api.put("pods", pod(name))
    api.put("deployments", deployment("orders"))

    assert set(found) <= set(candidates(parser(), words))
    assert all(each.startswith(words[-1]) for each in candidates(parser(), words))
    assert bool(found) == bool(candidates(parser(), words))


def test_completion_of_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any words, the subcommands are offered."""
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-lifecycle"])
    complete()
    assert capsys.readouterr().out.splitlines() == [*sorted(SUBCOMMANDS), ":4"]


@pytest.mark.parametrize("name", [value[0] for value in SUBCOMMANDS.values()])
def test_each_subcommand_has_its_parts(name: str) -> None:
    """A module has `add` and `run`."""
    module = importlib.import_module(name)
    assert callable(module.add)
    assert callable(module.run)


def test_stdout_that_is_full(api: ApiServer, kubeconfig: Path) -> None:
    """A disk that is full is a message."""
    api.put("pods", pod(annotation=told()))
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [str(BIN / "kubectl-lifecycle"), "ls"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("lifecycle: stdout: No space left on device\nSee ")
