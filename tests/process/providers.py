"""Sources of apps that export a service and leave when they are drained, and of their registry."""

DIRECTORY = """
import asyncio, os, lifecycle

class Directory(lifecycle.Registry):
    name = "directory"

    async def register(self, instance):
        print("registered", flush=True)

    async def deregister(self, instance):
        await asyncio.sleep(float(os.environ.get("DEREGISTERING", 0)))
        print("deregistered", flush=True)

    async def keep(self, instance):
        await asyncio.Event().wait()

class Plugin:
    @lifecycle.hookimpl
    def lifecycle_registries(self):
        return Directory()
"""

PROVIDER = """
import asyncio, os, lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""

WAITING = """
import lifecycle

async def main(life):
    print("up", flush=True)
    await life.drained()

lifecycle.run(main)
"""
"""One that declares nothing, and waits for the end of the drain."""

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
