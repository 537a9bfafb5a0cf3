"""A worker of an SQS queue, rolled against moto's SQS: nothing lost, nothing done twice."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from lifecycle.testing.environment import handed_on
from tests.process.kit import App, free_port, wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = str(EXAMPLES / "sqs_worker.py")
ROLLOUTS = max(3, int(os.environ.get("ROLLOUTS", "3")))
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


class Queue:
    """A queue whose messages stay hidden for longer than a test takes, once somebody has them."""

    def __init__(self, endpoint: str, name: str) -> None:
        self._sqs = boto3.client(
            "sqs",
            endpoint_url=endpoint,
            region_name=ACCOUNT["AWS_DEFAULT_REGION"],
            aws_access_key_id="moto",
            aws_secret_access_key="moto",
        )
        attributes = {"VisibilityTimeout": "600"}
        self.url = self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.env = ACCOUNT | {"AWS_ENDPOINT_URL": endpoint, "QUEUE_URL": self.url}

    def send(self, *bodies: object) -> None:
        for body in bodies:
            self._sqs.send_message(QueueUrl=self.url, MessageBody=str(body))

    def left(self) -> tuple[int, int]:
        """Return how many messages wait, and how many are with a worker, or were with one."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer: dict[str, Any] = self._sqs.get_queue_attributes(
            QueueUrl=self.url, AttributeNames=names
        )
        waiting, hidden = (int(answer["Attributes"][name]) for name in names)
        return waiting, hidden


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of these tests' own."""
    folder = tmp_path_factory.mktemp("moto")
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    try:
        wait_for(
            lambda: _is_open(port), 50, lambda: f"moto listens:\n{(folder / 'log').read_text()}"
        )
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def queue(endpoint: str, tmp_path: Path) -> Queue:
    """A queue of the test's own."""
    return Queue(endpoint, tmp_path.name)


def _is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def done_by(*apps: App) -> list[int]:
    lines = [line for app in apps for line in app.stdout.splitlines()]
    return sorted(int(line.removeprefix("done ")) for line in lines if line.startswith("done "))


@pytest.mark.timeout(60 + 20 * ROLLOUTS)
def test_a_worker_is_rolled(start: Callable[..., App], queue: Queue) -> None:
    """In the middle of a batch: what is left of it is given back, and another worker does it."""
    queue.send(*range(100))
    env = queue.env | {"LONG_POLL": "1"}
    running = start(EXAMPLE, **env)
    apps = [running]
    for _ in range(ROLLOUTS):
        running.wait_state("ready", 20)
        wait_for(lambda app=running: len(done_by(app)) >= 3, 20, "three messages")
        fresh = start(EXAMPLE, **env)
        fresh.wait_state("ready", 20)
        running.signal(signal.SIGTERM)
        assert running.wait() == 0, running.stderr
        assert running.stdout.endswith("no message is left here\n"), running.stderr
        running = fresh
        apps.append(fresh)
    wait_for(lambda: len(done_by(*apps)) >= 100, 30, lambda: f"all are done: {queue.left()}")
    running.signal(signal.SIGTERM)
    assert running.wait(30) == 0, running.stderr

    assert done_by(*apps) == list(range(100))
    assert queue.left() == (0, 0)


def test_what_the_last_long_poll_brings_is_done(start: Callable[..., App], queue: Queue) -> None:
    """A message that comes after SIGTERM, and is given to the poll that still runs, is done too."""
    app = start(EXAMPLE, **queue.env)
    app.wait_state("ready", 20)
    time.sleep(1)  # its long poll is on its way: nobody tells

    app.signal(signal.SIGTERM)
    wait_for(lambda: app.get("/ready")[0] == 503, 5, "it drains")
    queue.send(1)

    assert app.wait(20) == 0, app.stderr
    assert app.stdout == "done 1\nno message is left here\n"
    assert queue.left() == (0, 0)


@pytest.mark.timeout(150)
def test_the_test_to_copy_passes(tmp_path: Path) -> None:
    """The test beside the example, which docs/queue-workers.md shows, runs for whoever copies both."""
    for name in ("sqs_worker.py", "test_sqs_worker.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path],
        cwd=tmp_path,
        env=handed_on() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
