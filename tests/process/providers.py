"""Sources of apps that export a service and leave when they are drained."""

PROVIDER = """
import asyncio, os, lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""

BUSY = """
import asyncio, os, lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    async def work():
        with life.track():
            await asyncio.sleep(float(os.environ["WORK"]))
    task = asyncio.create_task(work())
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""
