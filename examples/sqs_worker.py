"""
A worker of an SQS queue: `QUEUE_URL=… python examples/sqs_worker.py`, with `pip install boto3`.

boto3 blocks, so each long poll runs in a thread. In a drain the worker finishes its message,
deletes it, and gives the others back. To try it without an AWS account, start
`moto_server -p 5000` and set `AWS_ENDPOINT_URL=http://localhost:5000`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import boto3

import lifecycle

QUEUE_URL = os.environ["QUEUE_URL"]
LONG_POLL = int(os.environ.get("LONG_POLL", "10"))  # seconds; a drain waits for its end
BATCH = 10  # messages of one long poll

Message = dict[str, Any]


async def messages(sqs: Any) -> AsyncIterator[Message]:
    """Yield one message after the other; give back the rest of a batch when the loop ends."""
    poll = partial(
        sqs.receive_message,
        QueueUrl=QUEUE_URL,
        MaxNumberOfMessages=BATCH,
        WaitTimeSeconds=LONG_POLL,
    )
    while True:
        polling = asyncio.ensure_future(asyncio.to_thread(poll))
        try:
            answer = await asyncio.shield(polling)
        except asyncio.CancelledError:
            # The drain has started, but nothing stops a thread. SQS may still give messages to
            # this long poll, and hides them from other workers. So wait for its answer.
            answer = await polling
            if "Messages" not in answer:
                raise
        batch = answer.get("Messages", [])
        try:
            while batch:
                yield batch.pop(0)
        finally:
            if batch:
                await asyncio.to_thread(give_back, sqs, batch)


def give_back(sqs: Any, batch: list[Message]) -> None:
    """Show messages to other workers at once, and not after the visibility timeout."""
    sqs.change_message_visibility_batch(
        QueueUrl=QUEUE_URL,
        Entries=[
            {"Id": str(at), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for at, message in enumerate(batch)
        ],
    )


async def work(message: Message) -> None:
    await asyncio.sleep(0.05)
    print("done", message["Body"], flush=True)


async def main(life: lifecycle.Lifecycle) -> None:
    sqs = boto3.client("sqs")
    await life.ready()
    async for message in life.until_draining(messages(sqs)):
        await work(message)
        await asyncio.to_thread(
            sqs.delete_message, QueueUrl=QUEUE_URL, ReceiptHandle=message["ReceiptHandle"]
        )
    print("no message is left here", flush=True)


if __name__ == "__main__":
    lifecycle.run(main)
