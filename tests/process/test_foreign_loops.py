"""`async with Lifecycle()` in a loop that somebody else runs, and `Managed` under a server."""

from __future__ import annotations

import signal
import time

import pytest

from tests.process.kit import LATEST, RECORDED, ask, assert_left, free_port, wait_for

SIGTERM, SIGINT = signal.SIGTERM, signal.SIGINT

BLOCK = """
import asyncio, os, lifecycle

async def main():
    async with lifecycle.Lifecycle() as life:
        life.export("orders", port=int(os.environ["PORT"]))
        await life.ready()
        print("up", life.state, lifecycle.current() is life, flush=True)
{body}
    print("out", life.state, flush=True)

asyncio.run(main())
"""


def block(*lines):
    return BLOCK.format(body="\n".join(f"        {line}" for line in lines))


class TestBlock:
    def test_ends(self, start):
        """The end of the block goes through DRAINING to STOPPED, and deregisters."""
        app = start(block("pass"), env=RECORDED)

        assert_left(app, 0)

        assert app.stdout.splitlines() == ["up ready True", "out stopped"]
        assert app.record("deregister")

    def test_raises(self, start):
        """An exception in the block ends in FAILED, and is raised on."""
        app = start(block("raise ValueError('no luck')"), env=RECORDED)

        code = app.wait()

        assert code == 1
        assert app.afters()[-2:] == ["draining", "failed"]
        assert "ValueError: no luck" in app.stderr
        assert app.record("deregister")

    def test_prestop(self, start):
        """QOS is up; preStop drains, and is answered; the block decides when it ends."""
        app = start(block("await life.drained()"), env=RECORDED)
        app.wait_state("ready")
        assert app.get("/ready")[:2] == (200, "true")

        at = time.monotonic()
        assert app.cli("prestop").returncode == 0
        assert time.monotonic() - at >= 0.3
        assert_left(app, 0)

    def test_takes_no_signals(self, start):
        """SIGTERM is not ours there: it does what it always does."""
        app = start(block("await asyncio.sleep(60)"), env=RECORDED)
        app.wait_state("ready")

        app.signal(SIGTERM)

        assert app.wait() == -SIGTERM

    def test_cancelled(self, start):
        """Ctrl-C under `asyncio.run` cancels the block: STOPPED, deregistered."""
        app = start(block("await asyncio.sleep(60)"), env=RECORDED)
        app.wait_state("ready")

        app.signal(SIGINT)

        assert app.wait() in (130, -SIGINT)
        assert app.afters()[-2:] == ["draining", "stopped"]
        assert app.record("deregister")

    def test_one_after_the_other(self, start):
        """Two lifecycles in one process, one after the other, on the same port."""
        app = start(
            """
import asyncio, lifecycle

async def main():
    for _ in range(2):
        async with lifecycle.Lifecycle() as life:
            await life.ready()
            print(life.qos_url, flush=True)

asyncio.run(main())
""",
            env=RECORDED,
        )

        assert app.wait() == 0
        assert app.stdout.split() == [f"http://127.0.0.1:{app.qos}"] * 2

    def test_not_on_the_main_thread(self, start):
        """A lifecycle may run on the loop of any thread."""
        app = start(
            block("pass").replace(
                "asyncio.run(main())",
                "import threading\n"
                "thread = threading.Thread(target=lambda: asyncio.run(main()))\n"
                "thread.start(); thread.join()",
            ),
            env=RECORDED,
        )

        assert_left(app, 0)


MANAGED = """
import asyncio, os
from lifecycle.asgi import Managed

async def inner(scope, receive, send):
    if scope["type"] == "lifespan":
        if os.environ.get("NO_LIFESPAN"):
            raise RuntimeError("no lifespan here")
        while True:
            message = await receive()
            print(message["type"], flush=True)
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        print("slow", flush=True)
        await asyncio.sleep(1.0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

app = Managed(inner, service="orders", port=int(os.environ["PORT"]), recycle_timeout=0.5)
"""


class TestManaged:
    @pytest.fixture
    def managed(self, start, tmp_path):
        (tmp_path / "managed.py").write_text(MANAGED)

        def managed(*more, **env):
            port = str(free_port())
            argv = ["-m", "uvicorn", "managed:app", "--port", port, *more]
            return start(argv, env=RECORDED | {"PORT": port} | env)

        return managed

    def test_life(self, managed):
        """Ready when the port is open; preStop drains; SIGTERM is then the server's."""
        app = managed(KUBERNETES_SERVICE_HOST="10.96.0.1")
        app.wait_state("ready")
        assert ask(app.port) == (200, "hello")
        assert app.get("/ready")[0] == 200
        assert app.cli("prestop").returncode == 0
        assert ask(app.port) == (200, "hello")
        assert app.get("/ready")[0] == 503
        app.signal(SIGTERM)
        code = app.wait()

        assert code in (0, -SIGTERM)  # uvicorn raises it again when it has stopped
        assert app.afters()[-2:] == ["draining", "stopped"]
        assert "lifespan.shutdown" in app.stdout
        assert app.record("deregister")
        assert "Traceback" not in app.stderr, app.stderr
        assert not [each for each in app.events() if "server" in each["event"]]

    @pytest.mark.parametrize("pod", [{}, {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}])
    def test_sigterm_alone(self, managed, pod):
        """Without preStop the server stops at once, and what was registered is deregistered."""
        app = managed(**pod)
        app.wait_state("ready")

        at = app.signal(SIGTERM)
        app.wait()

        assert time.monotonic() - at < LATEST
        assert app.afters()[-2:] == ["draining", "stopped"]
        assert app.record("deregister")
        warnings = app.events("the server stopped before the drain")
        assert len(warnings) == len(pod)  # on a laptop that is Ctrl-C
        assert all("preStop" in each["hint"] for each in warnings)

    def test_without_a_lifespan_of_its_own(self, managed):
        """An app that knows no lifespan is managed all the same."""
        app = managed(NO_LIFESPAN="1")
        app.wait_state("ready")
        assert ask(app.port) == (200, "hello")

        app.signal(SIGTERM)
        app.wait()

        assert "Traceback" not in app.stderr, app.stderr
        assert app.record("deregister")

    def test_a_second_worker(self, managed):
        """A forking server's second worker is told that there is one process a pod."""
        app = managed("--workers", "2")

        wait_for(lambda: "is in use" in app.stderr, 15, "the refusal")
        app.signal(SIGTERM)
        app.wait()

        assert "one process per pod" in app.stderr
