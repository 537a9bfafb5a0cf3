"""
Real processes for tests: start one, ask it, signal it, wait for its end.

Rules of this file:

1. Every wait has a deadline, and says what it waited for.
2. What was started is ended and reaped by its pid, whatever the test did.
"""

from __future__ import annotations

import http.client
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from lifecycle.testing import free_port as free_port
from lifecycle.testing.environment import handed_on
from tests.process.asking import UnixConnection, asked
from tests.process.log_lines import events
from tests.process.waiting import wait_for as wait_for

T = TypeVar("T")

HERE = Path(__file__).parent

RECORDED = {
    "LIFECYCLE_GRACE_PERIOD": "4",
    "LIFECYCLE_SETTLE": "0.3",
    "LIFECYCLE_QUIET": "0.2",
    "LIFECYCLE_STOP_TIMEOUT": "0.5",
    "LIFECYCLE_PLUGINS": "recorder",
    "PYTHONPATH": str(HERE),
}
"""Short times that are valid, and `recorder.py` as a plugin."""
QUICK = {
    "LIFECYCLE_SETTLE": "0",
    "LIFECYCLE_QUIET": "0",
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "6",
}
"""No settle and no quiet, for what comes after them."""
GRACE = 4.0
LATEST = GRACE + 3.0
"""Seconds until an app must be seen to be gone: the grace period, and a busy machine's delay."""

PRESS = 0.3
"""Seconds after which a signal is another one, and not the same press of a key."""

_LAUNCHER = """
import fcntl, os, resource, sys, termios
nofile, tty, *argv = sys.argv[1:]
if int(nofile):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(nofile), int(nofile)))
if int(tty):
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(argv[0], argv)
"""


def ask(port: int, path: str = "/") -> tuple[int, str]:
    """Ask an app on its own port, on a connection of its own: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    return asked(connection, "GET", path, None)[:2]


def cli(
    *words: str,
    env: Mapping[str, str],
    cwd: Path | None = None,
    python: str = sys.executable,
    redirected: str = "",
    timeout: float = 50.0,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m lifecycle WORDS`; `redirected`: a shell leads its output away, `>&-`."""
    argv = [python, "-m", "lifecycle", *words]
    if redirected:
        argv = ["/bin/sh", "-c", f'exec "$@" {redirected}', "-", *argv]
    return subprocess.run(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def background(function: Callable[[], T]) -> Future[T]:
    """Run a call that blocks (a preStop) in a daemon thread."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it belongs to who asks the future
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


class App:
    """One real process; a context manager that ends it. Made by `App.start`."""

    def __init__(self, process: subprocess.Popen[bytes], env: dict[str, str], cwd: Path) -> None:
        self.process = process
        self.env = env
        self.cwd = cwd
        self.qos = int(env["LIFECYCLE_QOS_PORT"])
        self.port = int(env["PORT"])
        self.terminal = -1
        self.started_at = time.monotonic()
        self._stdout = cwd / f"{self.qos}.stdout"
        self._stderr = cwd / f"{self.qos}.stderr"

    @classmethod
    def start(
        cls,
        source_or_argv: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path,
        python: str = sys.executable,
        nofile: int | None = None,
        tty: bool = False,
    ) -> Self:
        """
        Start a process.

        Args:
            source_or_argv: Python source, which is written to a file and run; or what
                follows `python` on the command line.
            env: Added to this process's environment, of which no `LIFECYCLE_*` is handed on.
            cwd: Where it runs, and where its output goes.
            python: The interpreter.
            nofile: Its limit of descriptors.
            tty: Give it a terminal of its own (`terminal` is our end); stdout and stderr
                are then the same text.
        """
        full = handed_on()
        full |= {"LIFECYCLE_RUN_DIR": str(cwd), "PYTHONUNBUFFERED": "1"}
        full |= env or {}
        full.setdefault("LIFECYCLE_QOS_PORT", str(free_port()))
        full.setdefault("PORT", str(free_port()))
        full["RECORD"] = str(cwd / f"{full['LIFECYCLE_QOS_PORT']}.record")
        if isinstance(source_or_argv, str):
            path = cwd / f"app_{full['LIFECYCLE_QOS_PORT']}.py"
            path.write_text(source_or_argv)
            arguments = [str(path)]
        else:
            arguments = list(source_or_argv)
        argv = [python, *arguments]
        if nofile or tty:
            argv = [python, "-c", _LAUNCHER, str(nofile or 0), str(int(tty)), *argv]
        out = cwd / f"{full['LIFECYCLE_QOS_PORT']}.stdout"
        err = cwd / f"{full['LIFECYCLE_QOS_PORT']}.stderr"
        if tty:
            ours, theirs = pty.openpty()
            process = subprocess.Popen(
                argv, cwd=cwd, env=full, stdin=theirs, stdout=theirs, stderr=theirs
            )
            os.close(theirs)
            app = cls(process, full, cwd)
            app.terminal = ours
            app._stderr = app._stdout
            threading.Thread(target=_copy, args=(ours, out), daemon=True).start()
            return app
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                argv, cwd=cwd, env=full, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
        return cls(process, full, cwd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if self.terminal != -1:
            os.close(self.terminal)
            self.terminal = -1

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def stdout(self) -> str:
        """What it has written to stdout so far: whole lines, while it runs."""
        ended = not self.running
        said = self._stdout.read_text(errors="replace") if self._stdout.exists() else ""
        return said if ended else said[: said.rfind("\n") + 1]

    @property
    def stderr(self) -> str:
        """What it has written to stderr so far."""
        return self._stderr.read_text(errors="replace") if self._stderr.exists() else ""

    @property
    def running(self) -> bool:
        """True until it has ended."""
        return self.process.poll() is None

    def events(self, event: str = "") -> list[dict[str, Any]]:
        """Return its log's lines (JSON or logfmt) as dictionaries; `event`: only those."""
        return events(self.stderr, event)

    def record(self, *whats: str) -> list[dict[str, Any]]:
        """Return what `recorder.py` has written down; `whats`: only those lines."""
        path = Path(self.env["RECORD"])
        lines = path.read_text().splitlines() if path.exists() else []
        return [each for each in map(json.loads, lines) if not whats or each["what"] in whats]

    def afters(self) -> list[str]:
        """Return the states that `recorder.py` was told of, in order."""
        return [each["after"] for each in self.record("transition")]

    def get(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> tuple[int, str, float]:
        """Ask the QOS port over TCP, as an operator: status, body, seconds."""
        meant = {"X-Lifecycle": "1"} if method == "POST" else {}
        return asked(
            http.client.HTTPConnection("127.0.0.1", self.qos, timeout=timeout),
            method,
            path,
            meant | dict(headers or {}),
        )

    def control(self, method: str, path: str, timeout: float = 30.0) -> tuple[int, str, float]:
        """Ask over the control socket: status, body, seconds."""
        where = f"{self.env['LIFECYCLE_RUN_DIR']}/lifecycle-{self.qos}.sock"
        return asked(UnixConnection(where, timeout), method, path, None)

    def prestop(self) -> Future[tuple[int, str, float]]:
        """Begin a preStop over the control socket, which answers when it is over."""
        return background(lambda: self.control("POST", "/prestop"))

    def cli(self, *words: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run `python -m lifecycle WORDS` in the same environment."""
        python: str = self.process.args[0]  # type: ignore[index, assignment]
        return cli(*words, env=self.env, cwd=self.cwd, python=python, timeout=timeout)

    def beside(self, start: Callable[..., App], *words: str, tty: bool = False) -> App:
        """Start `lifecycle WORDS` in the same pod, and go on; its output is its own."""
        folder = self.cwd / f"beside-{words[0]}"
        folder.mkdir()
        env = {name: self.env[name] for name in ("LIFECYCLE_QOS_PORT", "LIFECYCLE_RUN_DIR")}
        return start(["-m", "lifecycle", *words], env=env, cwd=folder, tty=tty)

    def status(self) -> dict[str, Any] | None:
        """Return `/status` as the control socket gives it; None if nobody answers."""
        try:
            status, body, _ = self.control("GET", "/status", timeout=5.0)
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(body) if status == 200 else None

    def wait_state(self, state: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until it is, or has been, in a state; return `/status` as it was then."""

        def seen() -> dict[str, Any] | None:
            status = self.status()
            if status is None:
                if not self.running:
                    raise AssertionError(
                        f"exit code {self.process.returncode} before {state!r}:\n{self.stderr}"
                    )
                return None
            states = {status["state"], *(each["to"] for each in status["transitions"])}
            return status if state in states else None

        return wait_for(seen, timeout, lambda: f"the state {state!r}:\n{self.stderr}")  # type: ignore[return-value]

    def signal(self, number: signal.Signals) -> float:
        """Send a signal, and return when."""
        at = time.monotonic()
        os.kill(self.pid, number)
        return at

    def signal_again(self, number: signal.Signals) -> float:
        """Send one that counts as another than the one that has begun the drain, and return when."""
        self.wait_state("draining")
        noted = time.monotonic()  # two count as one by when they are noted
        wait_for(lambda: time.monotonic() - noted > PRESS, 1, "more than one press")
        return self.signal(number)

    def stop(self, code: int = 0, timeout: float = 30.0) -> float:
        """Send SIGTERM, wait for its end with that exit code, and return the seconds it took."""
        at = self.signal(signal.SIGTERM)
        assert self.wait(timeout) == code, self.stderr
        return time.monotonic() - at

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end and return its exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {timeout:g} s:\n{self.stderr}") from None


@contextmanager
def side_by_side(
    folder: Callable[[str], Path], sources: Mapping[str, str], env: Mapping[str, str]
) -> Iterator[dict[str, App]]:
    """Start one app a source; `folder` makes one for each, as pytest's `mktemp` does."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(App.start(source, env=env, cwd=folder("apps")))
            for name, source in sources.items()
        }


def serve_asgi(
    start: Callable[..., App], folder: Path, source: str, *words: str, **env: str
) -> App:
    """
    Serve an ASGI app by `lifecycle run --asgi` on a port of its own.

    Args:
        start: `App.start`, or the fixture.
        folder: Where its source is written to.
        source: That defines `app`.
        words: What else is said on the command line.
        env: Its settings.
    """
    (folder / "web.py").write_text(source)
    port = str(free_port())
    argv = ["-m", "lifecycle", "run", "--asgi", "--bind", f"127.0.0.1:{port}", *words, "web:app"]
    return start(argv, cwd=folder, env={"PORT": port, **env})


def assert_left(app: App, code: int, final: str = "stopped", timeout: float = 30.0) -> None:
    """Wait for an app's end: through DRAINING, everything deregistered, nothing odd said."""
    got = app.wait(timeout)
    assert got == code, app.stderr
    afters = app.afters()
    assert ["draining", final] == afters[-2:], app.stderr
    assert afters.count("draining") == 1
    dealings = app.record("register", "deregister")
    assert not dealings or dealings[-1]["what"] == "deregister", dealings
    frames = [line for line in app.stderr.splitlines() if line.lstrip().startswith('File "')]
    assert not [line for line in frames if "/lifecycle/" in line], app.stderr
    assert "never awaited" not in app.stderr
    assert "Task was destroyed" not in app.stderr


def _copy(terminal: int, path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        while True:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:  # how a terminal says that nobody is left on the other side
                return
            if not chunk:
                return
            file.write(chunk)
