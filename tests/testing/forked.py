"""Starts a process under a guard, and is killed before it can know which one."""

import asyncio
import os
import signal

from lifecycle.testing.guard import Guard


async def main() -> None:
    guard = await Guard.start()
    task = asyncio.create_task(guard.spawn(["sleep", "300"], dict(os.environ), None, 2))
    await asyncio.sleep(0)
    assert not task.done()
    os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main())
