"""Runs lifecycle fleet rollout in this process, against the fake cluster."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lifecycle_fleet import command

from plugins.fleet.tests.api_server import LATEST
from plugins.fleet.tests.rollout_cluster import Cluster

Start = Callable[..., Cluster]


@contextmanager
def later(
    cluster: Cluster, condition: Callable[[], object], action: Callable[[], object]
) -> Iterator[None]:
    """Do something as soon as a condition holds, while the block runs."""

    def run() -> None:
        cluster.wait(condition, "the condition for what comes later")
        action()

    helper = threading.Thread(target=run)
    helper.start()
    try:
        yield
    finally:
        helper.join(LATEST)


class Ended:
    """A command that has ended: its exit code, and what it has printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def found(self) -> Any:
        """The JSON."""
        return json.loads(self.out)


def rollout(capsys: pytest.CaptureFixture[str], *words: str) -> Ended:
    """Run the command in this process."""
    parser = argparse.ArgumentParser()
    command.add(parser)
    code = command.run(parser.parse_args(["rollout", *words]))
    return Ended(code, *capsys.readouterr())


def paused(cluster: Cluster) -> bool:
    return bool(cluster.deployment["spec"].get("paused"))


def pauses(cluster: Cluster) -> list[Any]:
    """Return the changes of `paused` by the command, in order."""
    return [each["spec"]["paused"] for each in cluster.patched if "paused" in each.get("spec", {})]
