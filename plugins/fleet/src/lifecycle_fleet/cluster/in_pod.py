"""Runs `lifecycle` in the container of a pod, and explains each failure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from lifecycle_fleet.cluster.api import Api, Object, Ran
from lifecycle_fleet.cluster.failures import FORBIDDEN, NOT_FOUND
from lifecycle_fleet.errors import ApiServerError, InPodError
from lifecycle_fleet.view.container import command_of, container_for_commands, containers
from lifecycle_fleet.view.pod import containers as statuses
from lifecycle_fleet.view.told import one_line, read

NOT_EXECUTABLE: Final = (126, 127)
"""The exit codes of a runtime that cannot start a command."""
UNKNOWN_ARGUMENTS: Final = ("invalid choice", "unrecognized arguments")
"""Parts of the error of `lifecycle` about a subcommand or an option of a newer version."""
DEEPEST: Final = 50
"""Levels of the JSON of a command, which has fewer than 10."""
NO_COMMAND: Final = ("executable file not found", "no such file or directory", "not found in $PATH")


class Place(NamedTuple):
    """
    Where `lifecycle` is run.

    Attributes:
        namespace: The namespace.
        pod: The name of the pod.
        container: The name of the container.
        command: The words that call `lifecycle` there.
        version: The version of pod-lifecycle there, or empty.
    """

    namespace: str
    pod: str
    container: str
    command: tuple[str, ...]
    version: str = ""

    def __str__(self) -> str:
        return f"pod/{self.pod}"


def place_of(pod: Object, container: str = "") -> Place:
    """
    Return where to run `lifecycle` in a pod.

    Args:
        pod: The pod.
        container: The container that a person names, or empty to find it.

    Raises:
        InPodError: There is no such container, or it does not run.
    """
    metadata = pod["metadata"]
    told = read(metadata)
    names = [str(each["name"]) for each in containers(pod)]
    if container and container not in names:
        near = get_close_matches(container, names, 1, 0.6)
        hint = f"Did you mean {near[0]}?" if near else f"Its containers are {', '.join(names)}"
        raise InPodError(f"pod/{metadata['name']} has no container {one_line(container)!r}. {hint}")
    name = container or container_for_commands(pod, told.qos_port if told else None)
    _check_running(pod, name)
    return Place(
        str(metadata["namespace"]),
        str(metadata["name"]),
        name,
        tuple(command_of(pod, name)),
        told.version if told else "",
    )


def _check_running(pod: Object, container: str) -> None:
    status = pod.get("status") or {}
    found = next((each for each in statuses(status) if each.get("name") == container), {})
    state = found.get("state") or {}
    if "running" in state:
        return
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason = waiting.get("reason") or ended.get("reason") or status.get("phase") or "unknown"
    name = pod["metadata"]["name"]
    raise InPodError(
        f"the container {container} of pod/{name} does not run ({one_line(str(reason))}). "
        f"To see why, run: lifecycle fleet why {name}"
    )


async def run_lifecycle(api: Api, place: Place, words: Sequence[str], timeout: float) -> Ran:
    """
    Run `lifecycle` with some words in a container.

    Args:
        api: The API server.
        place: Where.
        words: The words after `lifecycle`.
        timeout: Seconds for everything.

    Raises:
        InPodError: The command cannot be run there, or does not answer.
        ApiServerError: The API server does not answer.
    """
    command = [*place.command, *words]
    try:
        ran = await api.execute(place.namespace, place.pod, place.container, command, timeout)
    except ApiServerError as error:
        raise _explained(error, place, words, timeout) from None
    if ran.code in NOT_EXECUTABLE:
        raise _no_command(place, f"exit code {ran.code}")
    if ran.code == 2 and any(each in ran.err for each in UNKNOWN_ARGUMENTS):
        version = f" ({place.version})" if place.version else ""
        raise InPodError(
            f"pod-lifecycle in {place}{version} is too old for this command. It has no "
            f"lifecycle {' '.join(words)}. Update pod-lifecycle in the image"
        )
    return ran


def _explained(
    error: ApiServerError, place: Place, words: Sequence[str], timeout: float
) -> InPodError | ApiServerError:
    text = str(error)
    if error.state == FORBIDDEN:
        return InPodError(
            f"you may not run commands in pods of the namespace {place.namespace}. Your role needs "
            f"the verbs get and create for pods/exec. {text}"
        )
    if error.state == NOT_FOUND:
        return InPodError(f"{place} is not there any more. {text}")
    if error.state == "slow":
        return InPodError(
            f"lifecycle {words[0]} in {place} has not ended after {timeout:g} s. The pod may be "
            f"out of CPU, or its node may be unavailable. To see why, run: lifecycle fleet why {place.pod}"
        )
    if any(each in text for each in NO_COMMAND):
        return _no_command(place, text)
    return error


def _no_command(place: Place, reason: str) -> InPodError:
    return InPodError(
        f"the container {place.container} of {place} has no command {place.command[0]!r}. Install "
        f"pod-lifecycle in its image, or name another container with -c. {reason}"
    )


def as_json(ran: Ran, place: Place, word: str, needed: Sequence[str]) -> dict[str, Any]:
    """
    Return the JSON that a command has written.

    Args:
        ran: The command.
        place: Where it ran.
        word: The subcommand, for the message.
        needed: The fields that the answer must have.

    Raises:
        InPodError: The command has failed, or its output is something else.
    """
    if ran.code:
        raise failed(ran, place, word)
    try:
        found = json.loads(ran.out)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found.keys() >= {*needed} or not _is_flat(found):
        start = one_line(ran.out.strip()[:80]) or "nothing"
        raise InPodError(
            f"lifecycle {word} --json in {place} has answered {start!r}, which is not its JSON. "
            "Check whether another program has the name lifecycle in this image"
        )
    return found


def _is_flat(found: Any, levels: int = DEEPEST) -> bool:
    """Tell whether JSON can be printed again, which needs a call for each level."""
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return levels > 0 and all(_is_flat(each, levels - 1) for each in inner)


def failed(ran: Ran, place: Place, word: str) -> InPodError:
    """Return the error of a command that has failed, with the first line of its output."""
    lines = (ran.err or ran.out).strip().splitlines()
    reason = (
        one_line(lines[0].removeprefix("lifecycle: ")) if lines else "the command printed no reason"
    )
    return InPodError(f"lifecycle {word} in {place} has failed with exit code {ran.code}: {reason}")
