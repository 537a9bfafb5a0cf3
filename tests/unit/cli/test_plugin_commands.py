"""Subcommands that plugins bring: found by their entry points, and loaded when they are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MODULES = {
    "greets.py": (
        "HELP = 'greet somebody'\n"
        "def add(parser):\n    parser.add_argument('--name', default='you')\n"
        "def run(options):\n    print('hello', options.name)\n    return 3\n"
    ),
    "half.py": "HELP = 'half a command'\n",
    "broken.py": "import nowhere_at_all\n",
    "lazy.py": (
        "HELP = 'greet 100% of all'\n"
        "def add(parser):\n    import nowhere_at_all\n"
        "def run(options):\n    return 0\n"
    ),
    "odd.py": "raise ImportError('no %s of %(this)s')\n",
}
POINTS = (
    "[lifecycle_commands]\ngreet = greets\nhalf = half\nbroken = broken\nstatus = greets\n"
    "lazy = lazy\nodd = odd\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an installed distribution, as pip would leave it."""
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    info = tmp_path / "greeting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    return tmp_path


def ran(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `lifecycle` where the distribution is installed."""
    source = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); sys.argv[1:] = {list(words)!r}\n"
        "from lifecycle.cli import main\nmain()"
    )
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_plugins_command_runs_with_its_arguments(folder: Path) -> None:
    """It is one like the built-in ones, with its own exit code."""
    done = ran(folder, "greet", "--name", "Ada")
    assert (done.returncode, done.stdout) == (3, "hello Ada\n")


def test_it_is_in_the_list_of_all(folder: Path) -> None:
    """With its help text; one that cannot be loaded is there too, and says why."""
    shown = " ".join(ran(folder, "--help").stdout.split())
    assert "greet greet somebody" in shown
    assert "half half a command" not in shown
    assert "'half' of a plugin (half) has no add, run" in shown
    assert "'broken' of a plugin (broken) cannot be imported: ModuleNotFoundError" in shown
    assert "lazy greet 100% of all" in shown
    assert "cannot be imported: ImportError: no %s of %(this)s" in shown


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("half", "lifecycle: the command 'half' of a plugin (half) has no add, run"),
        (
            "broken",
            "lifecycle: the command 'broken' of a plugin (broken) cannot be imported: "
            "ModuleNotFoundError: No module named 'nowhere_at_all'",
        ),
        (
            "lazy",
            "lifecycle: the command 'lazy' of a plugin (lazy) cannot declare its arguments: "
            "ModuleNotFoundError: No module named 'nowhere_at_all'",
        ),
    ],
)
def test_one_that_cannot_be_loaded_says_why(folder: Path, name: str, says: str) -> None:
    """Without a traceback, with the page about it."""
    done = ran(folder, name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == says
    assert "#command-of-a-plugin" in done.stderr.splitlines()[1]


def test_a_built_in_name_stays_built_in(folder: Path) -> None:
    """No plugin replaces `lifecycle status`."""
    assert "print JSON" in ran(folder, "status", "--help").stdout


def test_a_misspelt_option_has_the_nearest_one(folder: Path) -> None:
    """As with the built-in commands."""
    done = ran(folder, "greet", "--nam=x", "--nmae", "y")
    assert done.returncode == 2
    assert "Did you mean --name?" in done.stderr
