"""
Tests of `lifecycle.testing`: those that are `async def` run side by side.

They mostly wait for real processes. Those of a file are begun with the first of them, a few at a
time on one loop, each with a kubelet and a folder of its own (its arguments `node` and `tmp_path`).
pytest then takes their results in its own order, and they have ended before the next file's begin.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from lifecycle.testing import Kubelet

HERE = Path(__file__).parent
AT_ONCE = 6
LONGEST = 50.0

_Running = dict[str, "Future[BaseException | None]"]


def _is_ours(item: pytest.Item) -> bool:
    return (
        isinstance(item, pytest.Function)
        and HERE in item.path.parents
        and inspect.iscoroutinefunction(item.function)
    )


@pytest.fixture(scope="module")
def side_by_side(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Running]:
    """Begin all of a file; gives their futures."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def play(item: Any) -> BaseException | None:
        try:
            await perform(item)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - pytest's own are no Exceptions
            return error
        return None

    async def perform(item: Any) -> None:
        given: dict[str, Any] = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        if "tmp_path" in item.fixturenames:
            given["tmp_path"] = tmp_path_factory.mktemp("pod")
        async with slots, asyncio.timeout(LONGEST):
            if "node" not in item.fixturenames:
                await item.function(**given)
                return
            async with Kubelet(back_off=0.2, longest_back_off=1.0) as node:
                await item.function(node=node, **given)

    with start_blocking_portal() as portal:
        yield {
            item.nodeid: portal.start_task_soon(play, item)
            for item in request.session.items
            if _is_ours(item) and item.path == request.path
        }


@pytest.fixture
def node() -> None:
    """Stand in for the kubelet that `side_by_side` gives: with a short crash loop."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_ours(item):
            item.fixturenames.insert(0, "side_by_side")  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not _is_ours(pyfuncitem):
        return None
    error = pyfuncitem.funcargs["side_by_side"][pyfuncitem.nodeid].result(LONGEST)
    if error is not None:
        raise error
    return True
