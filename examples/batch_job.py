"""
A job that ends by itself: `python examples/batch_job.py`.

When the job is complete, its exit code is 0. If it is interrupted, the exit code is 143, so that a
Kubernetes Job runs it again. `finally` saves the progress. A job has no clients to wait for, so
`settle` and `quiet` are 0.
"""

from __future__ import annotations

import asyncio
import os

import lifecycle

ROWS = int(os.environ.get("ROWS", "100"))


async def main() -> None:
    row = 0
    try:
        while row < ROWS:
            await asyncio.sleep(0.05)  # the work
            row += 1
    finally:
        print(f"checkpoint: {row} of {ROWS} rows", flush=True)


if __name__ == "__main__":
    lifecycle.run(main, config=lifecycle.Config(settle=0, quiet=0))
