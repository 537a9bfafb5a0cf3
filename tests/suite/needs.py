"""The programs that tests start, and how they are installed where they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 300.0
"""Seconds that apt-get may take."""


@dataclass(frozen=True)
class Need:
    """
    A program that is not in the environment that pip makes.

    Attributes:
        program: Its name.
        package: Debian's package.
        tests: The files whose tests cannot be run without it.
    """

    program: str
    package: str
    tests: tuple[str, ...]

    @property
    def met(self) -> bool:
        """True if it is there."""
        return shutil.which(self.program) is not None


NEEDS: Final = (
    Need("redis-server", "redis-server", ("tests/hosts/test_redis_worker.py",)),
    Need("redis-server", "redis-server", ("tests/hosts/test_faststream_worker.py",)),
    Need("curl", "curl", ("tests/docs/test_docs.py", "tests/process/test_exec_hooks.py")),
    Need("wget", "wget", ("tests/process/test_exec_hooks.py",)),
    Need("busybox", "busybox", ("tests/process/test_exec_hooks.py",)),
    Need("go", "golang-go", ("tests/hosts/test_go.py",)),
    Need("go", "golang-go", ("plugins/opentelemetry/tests/test_collector.py",)),
    Need("ps", "procps", ("tests/examples/test_demo.py",)),
    Need("dumb-init", "dumb-init", ("tests/process/test_command_surroundings.py",)),
    Need("tini", "tini", ("tests/process/test_command_surroundings.py",)),
    Need("openssl", "openssl", ("plugins/kubernetes/tests/test_outages.py",)),
    Need(
        "openssl",
        "openssl",
        ("plugins/fleet/tests/test_access.py", "plugins/fleet/tests/test_credential_plugin.py"),
    ),
    Need("chromium", "chromium", ("tests/page/test_browser.py", "tests/page/test_real_app.py")),
    Need(
        "chromium",
        "chromium",
        (
            "plugins/fleet/tests/test_rollout_page.py",
            "plugins/fleet/tests/test_serve_page.py",
            "plugins/fleet/tests/test_serve_page_access.py",
        ),
    ),
    Need(
        "prometheus",
        "prometheus",
        ("plugins/prometheus/tests/test_prometheus.py", "tests/docs/test_metrics.py"),
    ),
)


def install(needs: Iterable[Need]) -> str:
    """Install what is missing, where that is possible; returns why it was not, or nothing."""
    if not (packages := sorted({need.package for need in needs if not need.met})):
        return ""
    if shutil.which("apt-get") is None:
        return "there is no apt-get on this machine"
    if os.geteuid() != 0:
        return "only root may install packages"
    print("installing", *packages, flush=True)
    # RUNLEVEL=1: Debian's scripts start no service then; the tests start their own.
    env = os.environ | {"RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--no-install-recommends", *packages]):
        try:
            done = subprocess.run(
                ["apt-get", "-qq", *words],
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"apt-get {words[0]} failed: {error}"
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["without a word"]
            return f"apt-get {words[0]} failed: {said[-1]}"
    return ""
