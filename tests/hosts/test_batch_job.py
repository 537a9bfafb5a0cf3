"""A batch job under a kubelet: complete it has succeeded, interrupted it has failed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from lifecycle.testing import Container, Exec, HttpGet, PodSpec, Probe
from lifecycle.testing.blocking import BlockingKubelet

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "batch_job.py")
PRESTOP = Exec([sys.executable, "-m", "lifecycle", "prestop"])


def job(rows: int, folder: Path, prestop: Exec | None = None) -> PodSpec:
    """Make the pod of a Job: when it has failed the Job makes another one."""
    env = {
        "ROWS": str(rows),
        "LIFECYCLE_QOS_PORT": "$(PORT_QOS)",
        "LIFECYCLE_RUN_DIR": str(folder),
    }
    under_way = Probe(HttpGet("qos", "/ready"), period=0.1)
    container = Container(
        [sys.executable, EXAMPLE],
        env=env,
        ports={"qos": 0},
        readiness=under_way,
        pre_stop=prestop,
    )
    return PodSpec(container, restart_policy="Never")


def test_a_job_that_comes_to_its_end_is_complete(kubelet: BlockingKubelet, tmp_path: Path) -> None:
    """It did all its rows, and its pod has succeeded."""
    pod = kubelet.run(job(3, tmp_path))
    pod.until_finished()

    assert (pod.phase, pod.exit_codes) == ("Succeeded", [0]), pod.describe()
    assert "checkpoint: 3 of 3 rows" in pod.output


@pytest.mark.parametrize("prestop", [None, PRESTOP], ids=["SIGTERM", "preStop"])
def test_an_interrupted_job_is_not_taken_for_complete(
    kubelet: BlockingKubelet, tmp_path: Path, prestop: Exec | None
) -> None:
    """It has saved how far it came, its pod has failed, and another one does the rest."""
    pod = kubelet.run(job(100_000, tmp_path, prestop))
    pod.until_ready()
    deletion = pod.delete().wait()

    assert (pod.phase, deletion.exit_code, deletion.killed) == ("Failed", 143, False), pod.output
    assert not deletion.pre_stop_failed
    done = re.search(r"checkpoint: (\d+) of 100000 rows", pod.output)
    assert done is not None, pod.output
    assert "Traceback" not in pod.output

    again = kubelet.run(job(2, tmp_path))
    again.until_finished()
    assert again.phase == "Succeeded", again.describe()
