"""
A worker of a Kafka topic, restarted under messages: nothing lost, nothing done twice.

The broker is librdkafka's own mock. It speaks Kafka's protocol, groups and offsets included, but
has only one group member at a time right: so here one worker leaves before the next one comes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.process.kit import App, wait_for

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "kafka_worker.py")
MESSAGES = 60


@pytest.fixture
def producer() -> Iterator[Producer]:
    """A producer with a broker of its own."""
    producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 3})
    yield producer
    producer.flush(5)


def brokers_of(producer: Producer) -> str:
    """Return where the mock broker listens; its topic exists from then on."""
    known = producer.list_topics("orders", timeout=10).brokers.values()
    return ",".join(f"{broker.host}:{broker.port}" for broker in known)


def done_by(*apps: App) -> list[int]:
    lines = [line for app in apps for line in app.stdout.splitlines()]
    return sorted(int(line.removeprefix("done ")) for line in lines if line.startswith("done "))


def _all_done(apps: list[App]) -> bool:
    return len(done_by(*apps)) >= MESSAGES


def test_a_worker_is_restarted(start: Callable[..., App], producer: Producer) -> None:
    """Each message is done once, and each worker leaves the group for the next one."""
    brokers = brokers_of(producer)
    for number in range(MESSAGES):
        producer.produce("orders", str(number).encode())
    producer.flush(10)

    apps: list[App] = []
    while not _all_done(apps):
        app = start(EXAMPLE, KAFKA_BROKERS=brokers)
        apps.append(app)
        app.wait_state("ready", 20)
        wait_for(
            lambda app=app: len(done_by(app)) >= 25 or _all_done(apps), 20, "messages are done"
        )
        app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr
        assert app.stdout.endswith("left the group\n"), app.stderr

    assert len(apps) > 1
    assert done_by(*apps) == list(range(MESSAGES))
    assert all("not committed" not in app.stdout for app in apps)
