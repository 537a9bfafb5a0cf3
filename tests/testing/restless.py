"""Starts guards and makes environments while a thread changes this process's own."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import threading

from lifecycle.config import core_variables
from lifecycle.environment_variables import unknown_variables
from lifecycle.testing import Container
from lifecycle.testing.environment import environment
from lifecycle.testing.guard import Guard

OTHERS = 200


def change(done: threading.Event) -> None:
    for number in itertools.count():
        if done.is_set():
            return
        os.environ[f"OTHER_{number % OTHERS}"] = "x" * (number % 50)
        os.environ.pop(f"OTHER_{(number + OTHERS // 2) % OTHERS}", None)


async def start_guards() -> None:
    for _ in range(30):
        await (await Guard.start()).close()


done = threading.Event()
thread = threading.Thread(target=change, args=(done,))
thread.start()
try:
    for _ in range(1000):
        assert environment(Container(["a"], env={"A": "1"}), {})["A"] == "1"
        assert not unknown_variables(os.environ, core_variables())
    asyncio.run(start_guards())
finally:
    done.set()
    thread.join(10)
sys.exit(thread.is_alive())
