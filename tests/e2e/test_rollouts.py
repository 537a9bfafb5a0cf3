"""Rolling updates on a real cluster, under load: what is lost with pod-lifecycle and without."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from tests.cluster.fixtures import Target
from tests.e2e import deployments, kit
from tests.e2e.deployments import Manifests
from tests.e2e.kit import Space
from tests.e2e.rolling import assert_lossless, rolled
from tests.e2e.rollout import Fleet
from tests.e2e.rollout_table import ROWS, Rolled
from tests.e2e.test_pod import NEVER

ROLLOUTS: Final = int(os.environ.get("ROLLOUTS", "2"))
"""How many times each Deployment is rolled over."""

pytestmark = pytest.mark.timeout(240 + ROLLOUTS * 60)


def roll(name: str, space: Space, made: Manifests) -> Rolled:
    """Create a Deployment, and roll it over under load."""
    deployments.create(space, made)
    return rolled(name, space, deployments.NAME, ROLLOUTS)


@pytest.fixture(scope="module")
def ours(target: Target) -> Rolled:
    """What `lifecycle manifests` writes, rolled over."""
    with kit.namespace(target) as space:
        return roll("pod-lifecycle", space, deployments.generated(space.image))


def test_rolling_updates_lose_nothing(
    ours: Rolled, record_property: Callable[[str, object], None]
) -> None:
    """Whoever asks a Service while it is rolled over is answered, on new connections and kept."""
    record_property(ROWS, ours.rows())

    assert ours.lost == 0, ours.describe()
    assert len(ours.pods) == 2 * (1 + ROLLOUTS)
    for tally in ours.tallies.values():
        assert tally.requests > 20 * ROLLOUTS
        assert {kept for _, _, kept in tally.answers} == {False, True}
    assert max(tally.longest for tally in ours.tallies.values()) > 2, "no slow request was made"


def test_no_pod_of_the_rollouts_was_killed_or_complained_of(ours: Rolled) -> None:
    """Every container ends by itself, with 0; no hook fails, and liveness kills nobody."""
    assert {end for pod in ours.pods for end in pod.ends} == {(0, "Completed")}
    assert all(len(pod.ends) == 1 for pod in ours.pods)
    assert not NEVER & {reason for reason, _ in ours.events}
    assert not [text for _, text in ours.events if "failed liveness" in text]


def test_prestop_ran_in_every_pod_before_its_sigterm(ours: Rolled) -> None:
    """Each pod says that preStop began its drain, that SIGTERM came after, and that all is well."""
    for pod in ours.pods:
        pod.assert_drained_by_prestop()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("gunicorn, 2 workers, Django", deployments.GUNICORN),
        ("uvicorn, 2 workers", (*deployments.UVICORN, "--workers", "2")),
    ],
    ids=["gunicorn-django", "uvicorn"],
)
def test_a_server_with_several_workers_loses_nothing(
    space: Space, name: str, command: Sequence[str], record_property: Callable[[str, object], None]
) -> None:
    """The command that people have, behind `lifecycle run --`: nobody is lost, killed or late."""
    made = deployments.generated(space.image, command=(*deployments.WRAPPED, *command))
    result = roll(name, space, made)
    record_property(ROWS, result.rows())

    assert_lossless(result)


@pytest.mark.parametrize("how", ["exec", "http"])
def test_prestop_runs_as_it_was_generated(space: Space, how: str) -> None:
    """`lifecycle prestop` in the container, or a request with the token: both begin the drain."""
    short = ("--replicas=1", "--env=LIFECYCLE_SETTLE=1")
    deployments.create(space, deployments.generated(space.image, f"--prestop={how}", *short))
    fleet = Fleet(space, deployments.NAME)

    (pod,) = fleet.end()

    pod.assert_drained_by_prestop()
    assert pod.ends == {(0, "Completed")}
    assert not NEVER & {reason for reason, _ in space.events()}


@pytest.mark.parametrize(
    ("name", "hooks", "loses"),
    [("uvicorn", None, True), ("uvicorn, sleep 5", deployments.SLEEP, False)],
    ids=["alone", "sleep"],
)
def test_the_same_without_pod_lifecycle(
    space: Space,
    name: str,
    hooks: dict[str, Any] | None,
    loses: bool,
    record_property: Callable[[str, object], None],
) -> None:
    """The same image loses requests under uvicorn alone; how many, with a sleep too, is printed."""
    result = roll(name, space, deployments.without(deployments.generated(space.image), hooks))
    record_property(ROWS, result.rows())

    assert result.lost or not loses
