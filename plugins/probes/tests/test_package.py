"""The distribution as it is installed: found by its entry points, in a real process."""

from __future__ import annotations

import pkgutil
import signal
import socket
import subprocess
import sys
from importlib import metadata

import lifecycle_probes
import pytest
from packaging.requirements import Requirement

from tests.public_api import beyond_the_public_api

APP = """
import lifecycle

async def main(life):
    await life.ready()
    print(life.qos_url, flush=True)
    await life.drained()

lifecycle.run(main)
"""
MODULES = [each.name for each in pkgutil.iter_modules(lifecycle_probes.__path__)]


@pytest.fixture
def app(lifecycle_env):
    """Run an app that knows nothing of the plugins: `app(**variables)` returns its QOS URL."""
    processes = []

    def start(**variables):
        for name, value in variables.items():
            lifecycle_env.setenv(f"LIFECYCLE_{name}", value)
        process = subprocess.Popen(
            [sys.executable, "-c", APP], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process.stdout.readline().strip()

    yield start
    for process in processes:
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 0, stderr


def test_an_app_gets_its_probe_from_a_variable_alone(app, get, until):
    """Nothing in its code: the verdict has the plugin's name and reason, and follows the target."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        url = app(TCP_TARGETS=f"postgres=127.0.0.1:{port}") + "/ready?verbose"
        ready = get(url)

        assert "[+] tcp.postgres ok (" in ready
        assert f"127.0.0.1 port {port}: connected in " in ready
        assert ready.endswith("readiness passed\n")

    away = until(lambda: get(url), lambda said: said.endswith("readiness failed\n"))
    assert "[-] tcp.postgres failed (" in away
    assert "nothing listens on the port" in away


def test_unconfigured_the_probes_are_left_out(app, get):
    """All four are installed; none is asked, and none is shown as if it had looked."""
    said = get(app() + "/ready?verbose")

    assert said.endswith("readiness passed\n")
    assert not [name for name in ("tcp", "http", "disk", "memory") if f"] {name} " in said]


def test_a_bad_option_ends_the_start_with_the_variables_name(lifecycle_env, tmp_path):
    """One line that names the variable, and the exit code of a usage error."""
    lifecycle_env.setenv("LIFECYCLE_DISK_PATHS", "data")
    (tmp_path / "shop.py").write_text("async def main(): ...\n")

    done = subprocess.run(
        [sys.executable, "-m", "lifecycle", "run", "shop:main"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 2
    assert (
        "lifecycle: paths: 'data' must be absolute (from LIFECYCLE_DISK_PATHS)"
        in done.stderr.splitlines()
    )


def test_the_entry_points_are_the_plugins_names():
    """`tcp` reads LIFECYCLE_TCP_*, and so on."""
    mine = metadata.distribution("lifecycle-probes").entry_points.select(group="lifecycle")

    assert {point.name for point in mine} == {"disk", "http", "memory", "tcp"}


def test_it_needs_nothing_but_pod_lifecycle():
    """A probe must not bring a client library into everybody's image."""
    needed = [Requirement(each).name for each in metadata.requires("lifecycle-probes")]

    assert needed == ["pod-lifecycle"]


@pytest.mark.parametrize("name", MODULES)
def test_only_the_public_api_is_used(name):
    """A third party can copy any of it: `import lifecycle`, and the names it gives."""
    assert beyond_the_public_api(f"lifecycle_probes.{name}") == set()


def test_unconfigured_nothing_heavy_is_imported():
    """What only a configured probe needs is loaded when it is configured."""
    code = (
        "import sys\n"
        "from importlib.metadata import entry_points\n"
        "[point.load() for point in entry_points(group='lifecycle')]\n"
        "print(*sorted({'http.client', 'lifecycle_probes.cgroup'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )

    assert done.stdout.strip() == ""
