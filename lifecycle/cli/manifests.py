"""`lifecycle manifests`: writes what `lifecycle check` has nothing to say about."""

from __future__ import annotations

import argparse
import os
import sys

from lifecycle.checks.check import check
from lifecycle.checks.reading import from_objects
from lifecycle.cli.light import fail, warn
from lifecycle.manifests.limits import Refused, check_text
from lifecycle.manifests.objects import objects
from lifecycle.manifests.output import as_json, as_yaml, component
from lifecycle.manifests.plan import Plan, doubts, make_plan

USAGE = 2
DOUBT = "unknown-variable"
"""The rule whose findings are warnings here: `doubts` has them in words of its own."""


def manifests(options: argparse.Namespace) -> int:
    """Write manifests: 0, or 2 if what was asked for does not add up."""
    try:
        plan = make_plan(options, os.environ)
        _check(plan)
        if options.output == "kustomize":
            _write(component(plan), options.to)
        elif sys.stdout is None:
            return fail("stdout: closed", 1)
        else:
            sys.stdout.write(as_json(plan) if options.output == "json" else as_yaml(objects(plan)))
    except Refused as error:
        return fail(str(error), USAGE)
    for sentence in doubts(plan):
        warn(sentence)
    return 0


def _check(plan: Plan) -> None:
    """Refuse what our own rules would find: the command, or a setting, brings it."""
    findings, _ = check(from_objects(objects(plan)))
    first = {each.rule.name: each for each in reversed(findings) if each.rule.name != DOUBT}
    if first:
        raise Refused(
            "; ".join(f"{name}: {each.message}. {each.rule.fix}" for name, each in first.items())
        )


def _write(files: dict[str, str], folder: str) -> None:
    check_text(f"--to {folder!r}", folder)
    try:
        os.makedirs(folder, exist_ok=True)
        for name, text in files.items():
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            print(path)
    except OSError as error:
        raise Refused(f"--to {folder}: {error.strerror}") from None
