"""
A worker of a Kafka topic: `python examples/kafka_worker.py`, with `pip install aiokafka`.

Each message is committed after its work. In a drain the worker finishes its message, commits it,
and leaves the group, so that another worker gets its partitions at once. When the group changes,
the worker commits its message before it gives its partitions away.
"""

from __future__ import annotations

import asyncio
import os

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

import lifecycle

BROKERS = os.environ.get("KAFKA_BROKERS", "localhost:9092")


class CommitFirst(ConsumerRebalanceListener):
    """Holds up a rebalance until the message that is being worked on is committed."""

    def __init__(self, busy: asyncio.Lock) -> None:
        self.busy = busy

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:  # noqa: ARG002
        async with self.busy:
            pass

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        pass


async def work(record: ConsumerRecord) -> None:
    await asyncio.sleep(0.05)
    print("done", record.value.decode(), flush=True)


async def commit(consumer: AIOKafkaConsumer, record: ConsumerRecord) -> None:
    """Commit one message, unless its partition belongs to another worker now."""
    partition = TopicPartition(record.topic, record.partition)
    try:
        await consumer.commit({partition: record.offset + 1})
    except (CommitFailedError, IllegalStateError) as error:
        # The rebalance did not wait any longer. The other worker does this message again.
        print("not committed", record.value.decode(), error, flush=True)


async def main(life: lifecycle.Lifecycle) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=BROKERS,
        group_id="workers",
        enable_auto_commit=False,  # it would commit messages whose work has not ended
        auto_offset_reset="earliest",
    )
    busy = asyncio.Lock()
    consumer.subscribe(["orders"], listener=CommitFirst(busy))
    await consumer.start()
    try:
        await life.ready()
        async for record in life.until_draining(consumer):
            async with busy:
                await work(record)
                await commit(consumer, record)
    finally:
        await consumer.stop()  # leaves the group
    print("left the group", flush=True)


if __name__ == "__main__":
    lifecycle.run(main)
