"""`lifecycle run -- ./shop`: a program in Go, of which only the kernel tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.go import built
from tests.hosts.hosts import uninstrumented
from tests.hosts.table import ROWS, row
from tests.process.rollout import assert_in_order, assert_nothing_lost, roll


@pytest.mark.timeout(300)
def test_a_program_in_go_loses_no_new_connection(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Whether it shuts down as Go's documentation shows or dies of its signal: out at settle."""
    program = str(built())
    hosts = [
        uninstrumented("Go, Shutdown", program, env={"GRACEFUL": "1"}),
        uninstrumented("Go, unprepared", program),
    ]
    folders = {host.name: tmp_path / str(number) for number, host in enumerate(hosts)}
    for each in folders.values():
        each.mkdir()
    results = asyncio.run(roll({host.name: host.rehearsal(folders[host.name]) for host in hosts}))

    record_property(ROWS, [row(*each) for each in zip(hosts, results, strict=True)])
    for result in results:
        assert_nothing_lost(result)
        assert result.tally.requests > 40
        assert_in_order(result, crowded=12.0)  # as the other hosts, with a preStop of their own
