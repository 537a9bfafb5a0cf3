"""Which signals end a process: what platforms, images and terminals send."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.process.kit import LATEST, RECORDED, assert_left, cli
from tests.process.providers import PROVIDER

LAST = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"]
ORDINARY = "signal.signal(signal.SIGHUP, signal.SIG_DFL); signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Whoever runs the tests may have them ignored."""
APP = f"import signal\n{ORDINARY}\n{PROVIDER}"
IN_BACKGROUND = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{PROVIDER}"


@pytest.mark.parametrize("name", LAST)
def test_first(start, name):
    """In READY, without a terminal: deregistered at once, settle and quiet waited for, 0."""
    app = start(APP, env=RECORDED | {"LIFECYCLE_SETTLE": "1"})
    app.wait_state("ready")

    at = app.signal(signal.Signals[name])
    assert_left(app, 0)

    assert 1.0 <= time.monotonic() - at < LATEST
    assert app.afters() == ["exporting", "registered", "ready", "draining", "stopped"]
    assert app.record("deregister")[0]["at"] - at < 3.0
    assert app.record("transition")[-2]["cause"] == name


def test_sigint_in_a_pod_with_a_terminal(start):
    """A terminal in a pod is no person: SIGINT, as an image's STOPSIGNAL, waits for settle."""
    env = RECORDED | {"LIFECYCLE_SETTLE": "1", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    app = start(APP, env=env, tty=True)
    app.wait_state("ready")

    at = time.monotonic()
    os.write(app.terminal, b"\x03")
    assert_left(app, 0)

    assert time.monotonic() - at >= 1.0


def test_ignored_in_the_background(start):
    """SIGINT that was ignored from the start (`nohup … &`) stays so; SIGTERM ends it."""
    app = start(IN_BACKGROUND, env=RECORDED)
    app.wait_state("ready")

    app.signal(signal.SIGINT)
    assert app.cli("offline").returncode == 0
    assert app.status()["state"] == "ready"
    app.signal(signal.SIGTERM)
    assert_left(app, 0)


def test_a_stop_signal_that_does_not_drain(tmp_path):
    """`lifecycle check` refuses a container that is stopped with another one."""
    pod = tmp_path / "pod.yaml"
    pod.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: shop}\nspec:\n  containers:\n"
        "  - {name: shop, image: shop, command: [lifecycle, run, 'shop:main'],\n"
        "     lifecycle: {stopSignal: SIGUSR1}}\n"
    )

    found = cli("check", str(pod), env=dict(os.environ))

    assert found.returncode == 1
    assert "stopSignal SIGUSR1 does not start a drain" in " ".join(found.stdout.split())
