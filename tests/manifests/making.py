"""Makes manifests as the command does."""

from __future__ import annotations

from typing import Any

from lifecycle.cli.parser import make_parser
from lifecycle.manifests.objects import objects
from lifecycle.manifests.plan import Plan, make_plan

ASGI = ["lifecycle", "run", "--asgi", "shop:app"]


BASE = ["--name", "orders", "--image", "registry.example/orders:1"]


def plan(*words: str, command: list[str] | None = None, **environ: str) -> Plan:
    """Plan as the command does."""
    command = ASGI if command is None else command
    options = make_parser().parse_args(["manifests", *BASE, *words, "--", *command])
    return make_plan(options, environ)


def made(*words: str, command: list[str] | None = None, **environ: str) -> dict[str, Any]:
    """Return the objects by kind."""
    return {each["kind"]: each for each in objects(plan(*words, command=command, **environ))}


def pod(found: dict[str, Any]) -> dict[str, Any]:
    """Return the pod's spec."""
    spec: dict[str, Any] = (found.get("Deployment") or found["Job"])["spec"]["template"]["spec"]
    return spec


def variables(found: dict[str, Any]) -> dict[str, str]:
    """Return the literal variables of the app."""
    env = pod(found)["containers"][0]["env"]
    return {each["name"]: each["value"] for each in env if "value" in each}
