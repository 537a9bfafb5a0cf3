"""A signal is heard whatever the app does with handlers, plugins and threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM
from typing import Any

from tests.process.kit import QUICK, App, wait_for

Start = Callable[..., App]

SLACK = 4.0
"""Seconds beyond what is promised, for a busy machine."""


def test_after_the_app_has_removed_a_handler_of_its_own(start: Start) -> None:
    """asyncio takes the wakeup descriptor away with the last handler; SIGTERM comes at once."""
    app = start(
        """
import asyncio, os, signal
import lifecycle

async def main(life):
    await life.ready()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.remove_signal_handler(signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGTERM)
    await life.drained()

lifecycle.run(main)
""",
        env=QUICK,
    )

    assert app.wait(10) == 0


def test_while_a_plugin_is_being_imported(start: Start, tmp_path: Path) -> None:
    """An import that takes for ever is broken off, and nothing was ever run."""
    (tmp_path / "slow.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(600)\n"
    )
    (tmp_path / "shop.py").write_text("async def main(): ...\n")
    app = start(["-m", "lifecycle", "run", "shop:main", "-p", "slow"], env=QUICK)
    wait_for(lambda: "importing" in app.stdout, 10, lambda: app.stderr)

    app.stop(143, timeout=10)
    assert "Traceback" not in app.stderr, app.stderr


def test_though_a_registry_has_stopped_the_control_thread(start: Start) -> None:
    """A registry that blocks where it must not can keep nobody from leaving in time."""
    app = start(
        """
import time
import lifecycle

class Blocking(lifecycle.Registry):
    name = "blocking"
    async def register(self, instance):
        print("blocked", flush=True)
        time.sleep(600)
    async def deregister(self, instance): ...
    async def keep(self, instance): ...

class Plugin:
    @lifecycle.hookimpl
    def lifecycle_registries(self):
        return Blocking()

async def main(life):
    life.export("orders", port=8080)
    await life.ready()

lifecycle.run(main, plugins=[Plugin()])
""",
        env=QUICK,
    )
    wait_for(lambda: "blocked" in app.stdout, 10, lambda: app.stderr)

    app.signal(SIGTERM)

    assert app.wait(6 + SLACK) == 124


def test_main_returns_though_a_thread_of_an_executor_hangs(start: Start) -> None:
    """What nobody waits for any more cannot keep the process alive for ever."""
    app = start(
        """
import asyncio, time
import lifecycle

async def main(life):
    await life.ready()
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
    await asyncio.sleep(0.1)

lifecycle.run(main)
""",
        env=QUICK,
    )

    assert app.wait(6 + SLACK) == 124
    assert "killed" in app.stderr


def test_what_comes_after_run_has_all_the_time_it_wants(start: Start) -> None:
    """A script that goes on after run() is not killed at the end of a grace period."""
    app = start(
        """
import time
import lifecycle

async def main(life):
    await life.ready()

lifecycle.run(main)
time.sleep(4.5)
print("done", flush=True)
""",
        env=QUICK | {"LIFECYCLE_GRACE_PERIOD": "3.5"},
    )

    assert app.wait(15) == 0
    assert "done" in app.stdout


def _run(start: Start, body: str, **env: Any) -> App:
    source = f"import asyncio\nimport lifecycle\nfrom lifecycle.asgi import Middleware\n{body}"
    app = start(source, env=QUICK | {"LIFECYCLE_QOS_ENABLED": "false"} | env)
    assert app.wait(15) == 0, app.stderr
    return app


def test_a_cancelled_consumer_loses_no_item(start: Start) -> None:
    """The wait for the next item ends with the loop that asked for it."""
    app = _run(
        start,
        """
async def source(queue):
    while True:
        yield await queue.get()

async def consume(life, queue):
    async for _ in life.until_draining(source(queue)):
        pass

async def main():
    async with lifecycle.Lifecycle() as life:
        queue = asyncio.Queue()
        task = asyncio.create_task(consume(life, queue))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0)
        queue.put_nowait("order 1")
        await asyncio.sleep(0.1)
        print("kept", queue.qsize())

asyncio.run(main())
""",
    )

    assert "kept 1" in app.stdout


def test_a_middleware_counts_for_the_lifecycle_that_runs_now(start: Start) -> None:
    """One that was made with the module serves each lifecycle that comes."""
    app = _run(
        start,
        """
async def app(scope, receive, send):
    print("in flight", lifecycle.current().snapshot()["in_flight"])

wrapped = Middleware(app)
scope = {"type": "http", "http_version": "1.1", "path": "/", "headers": []}

async def message(*sent):
    return {"type": "http.request"}

async def main():
    for _ in range(2):
        async with lifecycle.Lifecycle():
            await wrapped(scope, message, message)

asyncio.run(main())
""",
    )

    assert app.stdout.split("\n")[:2] == ["in flight 1", "in flight 1"]


def test_a_middleware_stays_with_its_lifecycle(start: Start) -> None:
    """Another one beside it, and whatever is asked, does not take it away."""
    app = _run(
        start,
        """
async def app(scope, receive, send):
    print("in flight", first.snapshot()["in_flight"], second.snapshot()["in_flight"])

async def message(*sent):
    return {"type": "http.request"}

async def main():
    global first, second
    async with lifecycle.Lifecycle() as first:
        wrapped = Middleware(app)
        async with lifecycle.Lifecycle() as second:
            for version in ("2", "1.1"):
                scope = {"type": "http", "http_version": version, "path": "/", "headers": []}
                await wrapped(scope, message, message)

asyncio.run(main())
""",
    )

    assert app.stdout.split("\n")[:2] == ["in flight 1 0", "in flight 1 0"]


def test_one_services_refusal_is_not_anothers(start: Start) -> None:
    """`registered()` of a service that is registered returns."""
    app = _run(
        start,
        """
class Picky(lifecycle.Registry):
    name = "picky"
    async def register(self, instance):
        if instance.service == "billing":
            raise lifecycle.RegistrationRefused("no billing here")
    async def deregister(self, instance): ...
    async def keep(self, instance):
        await asyncio.Event().wait()

class Plugin:
    @lifecycle.hookimpl
    def lifecycle_registries(self):
        return Picky()

async def main():
    async with lifecycle.Lifecycle(plugins=[Plugin()]) as life:
        orders = life.export("orders")
        billing = life.export("billing")
        try:
            await life.ready()
        except lifecycle.RegistrationRefused as refused:
            print("refused:", refused)
        await asyncio.wait_for(orders.registered(), 5)
        print("orders is registered")

asyncio.run(main())
""",
    )

    assert "refused: no billing here" in app.stdout
    assert "orders is registered" in app.stdout


def test_a_kept_handler_that_dies_of_the_signal(start: Start) -> None:
    """The usual end of a hand-written handler is neither a second signal nor ignored."""
    app = start(
        """
import asyncio, os, signal
import lifecycle

def clean_up(number, _):
    print("cleaning up", flush=True)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

async def main(life):
    signal.signal(signal.SIGTERM, clean_up)
    await life.ready()
    await asyncio.sleep(60)

lifecycle.run(main)
""",
        env=QUICK,
    )
    app.wait_state("ready")

    app.stop(timeout=6)
    assert app.stdout == "cleaning up\n"
