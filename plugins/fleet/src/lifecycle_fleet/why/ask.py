"""Asks one pod: its app by `lifecycle status`, and the kernel for the ports that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.failures import FORBIDDEN
from lifecycle_fleet.cluster.in_pod import NO_COMMAND, NOT_EXECUTABLE
from lifecycle_fleet.errors import ApiServerError
from lifecycle_fleet.view.container import command_of
from lifecycle_fleet.view.pod import REGISTERED
from lifecycle_fleet.why.answers import Answers, listening_of, plugins_of, status_of
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.reading import objects, part, text, words
from lifecycle_fleet.why.rights import EXEC, FATAL, Reader

TIMEOUT: Final = 15.0
"""Seconds for one command, because a container may have a tenth of a core."""
FILES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
READ: Final = "print(*(open(each).read() for each in __import__('sys').argv[1:]))"
TABLES: Final = (("cat", *FILES), ("python3", "-c", READ, *FILES))
"""Commands that print the tables of open ports. An image may have only one of the programs."""
STATUS: Final = ("status", "--json")
PROBE: Final = ("probe", "ready")
IN_FLIGHT: Final = ("inflight", "--json")
PLUGINS: Final = ("plugins",)


class _Silent(Exception):
    """The container does not answer. The message is the reason."""


async def ask(api: Api, facts: Facts, reader: Reader) -> Answers:
    """
    Return what a pod answers. A pod without a running container answers nothing.

    Args:
        api: The API server.
        facts: The facts about the pod so far.
        reader: Notes that commands may not be run.

    Raises:
        ApiServerError: The API server cannot be reached.
    """
    app = facts.app if facts.app is not None and facts.app.running else None
    any_running = app or next((each for each in facts.containers if each.running), None)
    if any_running is None:
        return Answers()
    pod = _Pod(api, facts, reader)
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(pod.status(app))
        ports = group.create_task(pod.ports(any_running))
    return asked.result()._replace(listening=ports.result())


def _is_missing(silent: _Silent) -> bool:
    """Return whether the image does not have the program."""
    return any(each in str(silent) for each in NO_COMMAND)


class _Pod:
    def __init__(self, api: Api, facts: Facts, reader: Reader) -> None:
        self._api = api
        self._facts = facts
        self._reader = reader

    async def status(self, app: Container | None) -> Answers:
        """Return the answers of the app."""
        if app is None:
            return Answers()
        try:
            await self._lifecycle(app, PROBE)  # its answers are in the status then
            status = status_of(await self._lifecycle(app, STATUS))
            if not status:
                return Answers(problem="lifecycle status did not print a status")
            return Answers(
                status=status,
                inflight=await self._in_flight(app, status),
                installed=await self._installed(app, status),
            )
        except _Silent as silent:
            return Answers(no_program=_is_missing(silent), problem=str(silent))

    async def _in_flight(self, app: Container, status: object) -> dict[str, object]:
        if not (self._facts.leaving or text(status, "state") == "draining"):
            return {}
        return dict(status_of(await self._lifecycle(app, IN_FLIGHT)))

    async def _installed(self, app: Container, status: object) -> dict[str, str] | None:
        loaded = [text(each, "name") for each in objects(status, "plugins")]
        if REGISTERED not in self._facts.gates or "kubernetes" in loaded:
            return None
        return plugins_of(await self._lifecycle(app, PLUGINS))

    async def ports(self, container: Container) -> dict[int, bool] | None:
        """Return the open ports of the pod. None if they are unknown."""
        if self._facts.leaving or part(self._facts.spec, "hostNetwork") is True:
            return None
        for command in TABLES:
            try:
                return listening_of(await self._run(container, command))
            except _Silent as silent:
                if not _is_missing(silent):
                    break
        return None

    async def _lifecycle(self, app: Container, words: Sequence[str]) -> str:
        return await self._run(app, [*command_of(self._facts.pod, app.name), *words])

    async def _run(self, container: Container, command: Sequence[str]) -> str:
        facts = self._facts
        try:
            done = await self._api.execute(
                facts.namespace, facts.name, container.name, command, TIMEOUT
            )
        except ApiServerError as error:
            if error.state in FATAL:
                raise
            if error.state == FORBIDDEN:
                self._reader.note(EXEC, error.state)
                raise _Silent("") from None
            raise _Silent(words(str(error))) from None
        if done.code in NOT_EXECUTABLE:
            raise _Silent(f"{command[0]}: {NO_COMMAND[0]}")
        if done.code and not done.out:
            raise _Silent(words(done.err) or f"{command[0]} exited with {done.code}")
        return done.out
