"""A Deployment that is there is rolled over, while clients ask its Service."""

from __future__ import annotations

from tests.e2e.kit import Space
from tests.e2e.rollout import Fleet
from tests.e2e.rollout_table import Rolled
from tests.e2e.service_load import ServiceLoad
from tests.e2e.test_pod import NEVER


def rolled(name: str, space: Space, deployment: str, times: int) -> Rolled:
    """Roll a Deployment over under load, so many times, and delete it; `name` is for the table."""
    fleet = Fleet(space, deployment)
    seconds = []
    with ServiceLoad(space, deployment) as load:
        for _ in range(times):
            seconds.append(fleet.roll())
            load.check()
        tallies = load.end()
    return Rolled(name, seconds, tallies, fleet.end(), space.events())


def assert_lossless(rolled: Rolled) -> None:
    """No request is lost, and each pod has been drained by preStop and ended by itself, with 0."""
    assert rolled.lost == 0, rolled.describe()
    assert {end for pod in rolled.pods for end in pod.ends} == {(0, "Completed")}
    assert not NEVER & {reason for reason, _ in rolled.events}
    for pod in rolled.pods:
        pod.assert_drained_by_prestop()
