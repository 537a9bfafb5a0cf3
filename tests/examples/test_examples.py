"""Every example is what people copy, so every one really runs, becomes ready, and leaves."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.process.kit import App, ask, free_port, wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"
QUICK = {"LIFECYCLE_SETTLE": "0.3", "LIFECYCLE_QUIET": "0.2"}

Start = Callable[..., App]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(*argv: str, **env: str) -> App:
            return stack.enter_context(App.start(argv, env=QUICK | env, cwd=tmp_path))

        yield start


def wait_ready(app: App) -> dict[str, Any]:
    status = app.wait_state("ready")
    assert app.get("/startup")[:2] == (200, "true")
    assert app.get("/ready")[:2] == (200, "true")
    return status


class TestServers:
    """The examples that answer on a port."""

    @pytest.mark.parametrize("name", ["streams", "unmodified_uvicorn", "aiohttp_app"])
    def test_leaves_with_0(self, start: Start, name: str) -> None:
        """It exports, answers, and SIGTERM ends it with 0 through every state."""
        app = start(str(EXAMPLES / f"{name}.py"))
        status = wait_ready(app)

        assert [(each["name"], each["port"]) for each in status["services"]] == [
            ("orders", app.port)
        ]
        assert ask(app.port) == (200, "ok\n")
        app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr

    def test_asgi_app(self, start: Start) -> None:
        """The command in its docstring serves it."""
        port = free_port()
        run = ("-m", "lifecycle", "run", "--app-dir", str(EXAMPLES), "--asgi", "asgi_app:app")
        app = start(*run, "--bind", f"127.0.0.1:{port}", "--service", "orders", PORT=str(port))
        wait_ready(app)

        assert ask(app.port) == (200, "ok\n")
        app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr
        assert [each["code"] for each in app.events("drain report")] == [0]

    def test_unmodified_by_the_command(self, start: Start) -> None:
        """The same main also runs by `lifecycle run`, its service named in the environment."""
        port = free_port()
        run = ("-m", "lifecycle", "run", "--app-dir", str(EXAMPLES), "unmodified_uvicorn:main")
        app = start(*run, PORT=str(port), LIFECYCLE_SERVICES=f"orders:{port}")
        wait_ready(app)

        assert ask(app.port) == (200, "ok\n")
        app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr


class TestProbePlugin:
    """The class plugin with an option and a drain hook."""

    def test_not_ready_while_too_much_waits(self, start: Start) -> None:
        """One order more than its option allows: not ready, and the reason says why."""
        app = start(str(EXAMPLES / "probe_plugin.py"), LIFECYCLE_BACKLOG_LIMIT="0")
        wait_ready(app)
        for _ in range(3):
            assert ask(app.port)[0] == 202

        wait_for(lambda: app.get("/ready")[0] == 503, 5, "not ready")
        assert re.search(
            r"\[-\] Backlog failed .*\d orders wait, limit 0", app.get("/ready?verbose")[1]
        )

    def test_drain_waits_for_the_backlog(self, start: Start) -> None:
        """SIGTERM ends it only once all that it has accepted is written."""
        app = start(str(EXAMPLES / "probe_plugin.py"))
        wait_ready(app)
        assert [ask(app.port)[0] for _ in range(2)] == [202, 202]

        app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr
        assert "all orders are written" in app.stdout

    def test_refuses_a_bad_option(self, start: Start) -> None:
        """An option out of range is an error that names its variable."""
        app = start(str(EXAMPLES / "probe_plugin.py"), LIFECYCLE_BACKLOG_LIMIT="-1")

        assert app.wait() == 2
        assert "LIFECYCLE_BACKLOG_LIMIT" in app.stderr


class TestQueueWorker:
    """The consumer."""

    def test_ends_between_two_jobs(self, start: Start) -> None:
        """SIGTERM ends the loop, and main's own last words are said."""
        app = start(str(EXAMPLES / "queue_worker.py"))
        wait_ready(app)

        app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr
        assert re.fullmatch(r"\d+ jobs done, \d+ handed back\n", app.stdout)


class TestBatchJob:
    """The job."""

    def test_complete(self, start: Start) -> None:
        """A job that came to its end exits with 0."""
        app = start(str(EXAMPLES / "batch_job.py"), ROWS="2")

        assert app.wait() == 0, app.stderr
        assert app.stdout == "checkpoint: 2 of 2 rows\n"

    def test_interrupted(self, start: Start) -> None:
        """A job that was interrupted exits with 143, and has saved how far it came."""
        app = start(str(EXAMPLES / "batch_job.py"), ROWS="100000")
        wait_ready(app)

        app.signal(signal.SIGTERM)
        assert app.wait() == 143, app.stderr
        assert re.fullmatch(r"checkpoint: \d+ of 100000 rows\n", app.stdout)
