"""Commands in containers, over a real WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from lifecycle_fleet.cluster.api import Api, Ran, connected
from lifecycle_fleet.errors import ApiServerError

from plugins.fleet.tests.api_exec import Call, Dropped, Hangs, NotStarted
from plugins.fleet.tests.api_server import LATEST, ApiServer

POD = {
    "metadata": {"namespace": "shop", "name": "one"},
    "spec": {"containers": [{"name": "app"}]},
}


def run(
    kubeconfig: Path,
    words: Sequence[str] = ("true",),
    *,
    pod: str = "one",
    container: str = "app",
    timeout: float = LATEST,
) -> Ran:
    async def scenario() -> Ran:
        async with connected(str(kubeconfig), "") as client:
            return await client.execute("shop", pod, container, words, timeout)

    return asyncio.run(scenario())


@pytest.fixture(autouse=True)
def _pod(api: ApiServer) -> None:
    api.put("pods", POD)


def test_words_output_and_exit_code_are_those_of_the_command(
    api: ApiServer, kubeconfig: Path
) -> None:
    """Words with blanks and letters of any kind arrive as they are."""
    api.execute = lambda call: call.real(
        "sh", "-c", 'echo "$0|$1"; echo no >&2; exit 3', *call.words
    )

    assert run(kubeconfig, ["a b", "ü&x=1"]) == (3, "a b|ü&x=1\n", "no\n")


def test_a_letter_may_be_cut_in_two(api: ApiServer, kubeconfig: Path) -> None:
    """Output is put together before it is read as text, and what is no text is replaced."""

    def execute(call: Call) -> int:
        for each in ("ü".encode()[:1], "ü".encode()[1:], b"\xff"):
            call.out(each)
        return 0

    api.execute = execute

    assert run(kubeconfig).out == "ü�"


def test_two_commands_share_a_client(api: ApiServer, kubeconfig: Path) -> None:
    """A second command runs after the first one, and side by side with others."""
    api.execute = lambda call: call.real("echo", *call.words)

    async def scenario(client: Api) -> list[str]:
        one = await client.execute("shop", "one", "app", ["0"], LATEST)
        async with asyncio.TaskGroup() as group:
            more = [
                group.create_task(client.execute("shop", "one", "app", [str(n)], LATEST))
                for n in (1, 2, 3)
            ]
        return [one.out, *(each.result().out for each in more)]

    async def connect() -> list[str]:
        async with connected(str(kubeconfig), "") as client:
            return await scenario(client)

    assert asyncio.run(connect()) == ["0\n", "1\n", "2\n", "3\n"]


def raises(error: Exception) -> Callable[[Call], int]:
    def execute(call: Call) -> int:
        call.out("partial")
        raise error

    return execute


@pytest.mark.parametrize(
    ("execute", "state", "reason"),
    [
        (raises(NotStarted('exec: "x": not found')), "broken", 'exec: "x": not found'),
        (raises(Dropped()), "connection lost", "the answer of the container cannot be read"),
        (lambda call: call.out(b"x" * 9_000_000) or 0, "connection lost", "cannot be read"),
    ],
)
def test_a_command_whose_end_is_not_known(
    api: ApiServer, kubeconfig: Path, execute: Callable[[Call], int], state: str, reason: str
) -> None:
    """A command that cannot start, a connection that is lost, and too much output are errors."""
    api.execute = execute

    with pytest.raises(ApiServerError) as raised:
        run(kubeconfig)

    assert raised.value.state == state
    assert reason in str(raised.value)


def test_too_much_output_in_small_pieces(api: ApiServer, kubeconfig: Path) -> None:
    """A command cannot fill the memory."""

    def execute(call: Call) -> int:
        for _ in range(200):
            call.out(b"x" * 60_000)
        return 0

    api.execute = execute

    with pytest.raises(ApiServerError, match="the command has written more than 8388608 bytes"):
        run(kubeconfig)


def test_a_command_that_hangs(api: ApiServer, kubeconfig: Path) -> None:
    """The time is up, and the connection is closed."""
    gone = []

    def execute(call: Call) -> int:
        gone.append(call.gone)
        raise Hangs

    api.execute = execute

    with pytest.raises(ApiServerError, match=r"slow: the command has not ended after 0\.3 s"):
        run(kubeconfig, timeout=0.3)
    assert gone[0].wait(LATEST)


@pytest.mark.parametrize(
    ("given", "code", "problem"),
    [
        ({"pod": "two"}, 0, 'not found: pods "two" not found'),
        ({"container": "b"}, 0, r"refused \(400\): container b is not valid for pod one"),
        ({}, 403, 'forbidden: .* cannot get resource "pods/exec"'),
        ({}, 500, "broken: the InternalError of a test"),
    ],
)
def test_a_refusal_has_the_reason_of_the_server(
    api: ApiServer, kubeconfig: Path, given: dict[str, str], code: int, problem: str
) -> None:
    """The answer to a WebSocket that is refused is read."""
    api.forced["exec"] = code

    with pytest.raises(ApiServerError, match=problem):
        run(kubeconfig, **given)
