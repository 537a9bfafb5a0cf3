"""Agents around ours: each sitecustomize runs once, and what a worker starts is the app's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.instrumentation.interpreters import FOLDER, Parent

RAN = "import os; print({name!r}, end=' ', flush=True)\n"
HANDS_ON = """
import sys
at = sys.path.index({folder!r})
del sys.path[at]
mine = sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ImportError:
    sys.modules["sitecustomize"] = mine
sys.path.insert(at, {folder!r})
"""
"""As ddtrace-run's: the next one on the path is imported in its place."""
REWRITES = """
path = os.environ["PYTHONPATH"].split(os.pathsep)
if {folder!r} in path:
    path.remove({folder!r})
    os.environ["PYTHONPATH"] = os.pathsep.join([{folder!r}, *path])
"""
"""As opentelemetry-instrument's: first on the path, and nobody is handed on to."""
HOOKED = "import sys; print([type(each).__name__ for each in sys.meta_path].count('Finder'))"
LAUNCHES = """
import os, sys
os.environ["PYTHONPATH"] = os.pathsep.join([{folder!r}, os.environ["PYTHONPATH"]])
os.execl(sys.executable, sys.executable, "-c", {code!r})
"""
SPAWNS = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOOKED!r}], check=True)"
SERVES = "from lifecycle_worker.worker import worker; worker.serves('shop');"
LOADS = "from lifecycle_worker.worker import worker; worker.on_loading();"
BECOMES = f"import os, sys; os.execv(sys.executable, [sys.executable, '-c', {HOOKED!r}])"
FORKS = f"""
import os, sys
pid = os.fork()
if not pid:
    {BECOMES}
os.waitpid(pid, 0)
"""
POSIX_SPAWNS = f"""
import os, sys
command = [sys.executable, "-c", {HOOKED!r}]
os.waitpid(os.posix_spawn(sys.executable, command, env=dict(os.environ, PYTHONPATH="/nowhere")), 0)
"""
WITHOUT_A_BOARD = f"""
import os, sys
del os.environ["LIFECYCLE_BOARD"]
os.environ["PYTHONPATH"] = "/nowhere"
{BECOMES}
"""
WITH_BYTES = f"""
import os, sys
os.execve(sys.executable, [sys.executable, "-c", {HOOKED!r}], dict(os.environb))
"""


@pytest.fixture
def agent(tmp_path: Path):
    """Make the folder of an agent, with a sitecustomize that says that it runs."""

    def make(name: str, code: str = "") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        text = RAN.format(name=name) + code.format(folder=str(folder))
        (folder / "sitecustomize.py").write_text(text)
        return folder

    return make


@pytest.mark.parametrize(
    ("codes", "at", "said"),
    [
        ([""], 0, "a 1"),
        (["", ""], 0, "a 1"),
        ([HANDS_ON, ""], 0, "a b 1"),
        ([HANDS_ON], 1, "a 1"),
        ([HANDS_ON, ""], 1, "a b 1"),
        ([HANDS_ON, HANDS_ON], 2, "a b 1"),
        ([HANDS_ON, HANDS_ON, ""], 1, "a b c 1"),
        ([REWRITES], 0, "a 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_runs_once(command: Parent, agent, codes: list[str], at: int, said: str) -> None:
    """Agents before and behind ours run, as far as they hand on to each other; ours runs once."""
    path = [agent(name, code) for name, code in zip("abc", codes, strict=False)]
    path.insert(at, FOLDER)

    done = command.run(HOOKED, *path)

    assert (done.stdout, done.stderr) == (f"{said}\n", "")
    assert command.told() == ["hello"]


@pytest.mark.parametrize("code", [HANDS_ON, REWRITES])
@pytest.mark.parametrize(("last", "hellos"), [(HOOKED, 2), (SPAWNS, 3)])
def test_an_agent_that_starts_the_command(
    command: Parent, agent, code: str, last: str, hellos: int
) -> None:
    """`ddtrace-run …`, `opentelemetry-instrument …`: ours runs in the command, and in its workers."""
    folder = str(agent("a", code))

    done = command.run(LAUNCHES.format(folder=folder, code=last))

    ran = "a " * (hellos - 1)
    assert (done.stdout.split(), done.stderr) == ([*ran.split(), "1"], "")
    assert command.told() == ["hello"] * hellos


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (SPAWNS, 1),
        (POSIX_SPAWNS, 1),
        (SERVES + SPAWNS, 0),
        (SERVES + BECOMES, 1),
        (SERVES + FORKS, 0),
        (SERVES + POSIX_SPAWNS, 0),
        (LOADS + SPAWNS, 0),
        (LOADS + FORKS, 1),
        (LOADS + SERVES + FORKS, 0),
        (WITHOUT_A_BOARD, 0),
        (WITH_BYTES, 1),
    ],
    ids=[
        "a master spawns",
        "a master spawns by os",
        "a worker spawns",
        "a worker execs itself",
        "a worker forks and execs",
        "a worker spawns by os",
        "a master that has loaded the app spawns",
        "a master that has loaded the app forks and execs",
        "a worker that has loaded the app forks and execs",
        "without a board",
        "an environment of bytes",
    ],
)
def test_who_finds_us(command: Parent, code: str, found: int) -> None:
    """All that a command starts, until it serves; what a worker starts is the app's."""
    code = code.replace(SERVES, SERVES + "\n")
    done = command.run(code)

    assert (done.stdout, done.stderr) == (f"{found}\n", "")
    assert len(list(command.board.slots())) == (SERVES in code)


@pytest.mark.parametrize("more", ["", "/shop", "/shop:/more"])
def test_the_path_of_an_app_is_as_it_would_be(command: Parent, more: str) -> None:
    """Once it serves, PYTHONPATH has nothing of ours."""
    code = SERVES + "import os; print(os.environ.get('PYTHONPATH'))"
    path = [Path(each) for each in more.split(":") if each]

    done = command.run(code, FOLDER, *path)

    assert (done.stdout, done.stderr) == (f"{more or None}\n", "")


def test_a_worker_that_becomes_another_program_has_one_slot(command: Parent) -> None:
    """A reloader that execs is the same worker: what was in flight in it is no more."""
    again = f"{SERVES} print(worker.slot.in_flight)"
    code = (
        f"{SERVES} worker.begin(1); import os, sys;"
        f"os.execv(sys.executable, [sys.executable, '-c', {again!r}])"
    )

    done = command.run(code)

    assert (done.stdout, done.stderr) == ("0\n", "")
    assert len(list(command.board.slots())) == 1


def test_an_agent_that_fails(command: Parent, agent) -> None:
    """It is one warning that names its file, as it would be without us; the process goes on."""
    folder = agent("a", "raise ValueError('no key')")

    done = command.run(HOOKED, FOLDER, folder)

    assert done.stdout == "a 1\n"
    (line,) = done.stderr.splitlines()
    said = f"error in {folder}{os.sep}sitecustomize.py: ValueError: no key"
    assert line == f"lifecycle: {said}"


def test_an_agent_that_ends_the_process(command: Parent, agent) -> None:
    """It ends as without us."""
    folder = agent("a", "raise SystemExit(3)")

    done, without = [
        command.run("print('serves')", *path) for path in ((FOLDER, folder), (folder,))
    ]

    assert (done.returncode, done.stdout) == (without.returncode, "a ")
    assert without.stdout == "a "
