"""Each rule can be broken, and then says where: the tests build a small package with a fault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.architecture import __main__ as architecture
from tests.architecture.sizes import LONGEST, MEDIAN

FACADE = '__all__ = ["run"]\n'
SOUND = {
    "lifecycle/__init__.py": FACADE,
    "lifecycle/config.py": "class Config:\n    def __init__(self):\n        self._read = 1\n",
    "lifecycle/drain/__init__.py": '"""The drain."""\n',
    "lifecycle/drain/timetable.py": "_SHARE = 1\n\n\nclass Timetable:\n    _cut = 1\n\n",
    "lifecycle/drain/report.py": (
        "from lifecycle.drain import timetable\n\n\ndef end(table):\n    return table._cut\n"
    ),
    "plugins/own/src/lifecycle_own/__init__.py": (
        "import lifecycle\nfrom lifecycle.asgi import Managed\n\nlifecycle.run(Managed)\n"
    ),
}
"""Nothing is wrong here: `report` knows what is private in its own room."""


def build(root: Path, files: Mapping[str, str]) -> None:
    """Write the files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_sound_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How large the modules are is printed, and nothing else; a folder's empty file is not counted."""
    build(tmp_path, SOUND)
    assert architecture.main(tmp_path) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("the core: 4 modules, half of them below 4 lines; ")
    assert "the longest is lifecycle.drain.timetable with 6" in said.out
    assert "the plugins: 1 modules" in said.out


def lines(number: int) -> str:
    """Return so many lines of code."""
    return "pass\n" * number


FAULTS = {
    "a module is too long": (
        {"lifecycle/drain/in_flight.py": lines(LONGEST + 1)},
        f"lifecycle/drain/in_flight.py: {LONGEST + 1} lines, and {LONGEST} are allowed",
    ),
    "most modules are long": (
        {f"lifecycle/drain/m{number}.py": lines(MEDIAN) for number in range(5)},
        f"half of the modules have {MEDIAN} lines or more",
    ),
    "a circle": (
        {
            "lifecycle/qos/port.py": "import lifecycle.qos.routes\n",
            "lifecycle/qos/routes.py": "from lifecycle.qos.port import Port\n",
        },
        "a circle of imports: lifecycle.qos.",
    ),
    "a circle of types": (
        {
            "lifecycle/qos/port.py": (
                "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from lifecycle.qos import routes\n"
            ),
            "lifecycle/qos/routes.py": "def of():\n    from lifecycle.qos import port\n",
        },
        "lifecycle.qos.port -> lifecycle.qos.routes",
    ),
    "a circle by way of the folder's own file": (
        {
            "lifecycle/qos/__init__.py": "from lifecycle.qos.port import Port\n",
            "lifecycle/qos/port.py": "import lifecycle.qos\n",
        },
        "a circle of imports: lifecycle.qos",
    ),
    "an attribute of another room": (
        {"lifecycle/qos/port.py": "def open(table):\n    table._cut = 2\n"},
        "lifecycle/qos/port.py:2: _cut is private to lifecycle.drain",
    ),
    "an inherited attribute of another room": (
        {
            "lifecycle/runtime.py": (
                "from lifecycle.config import Config\n\n\n"
                "class Own(Config):\n    def shown(self):\n        return self._read\n"
            )
        },
        "lifecycle/runtime.py:6: _read is private to lifecycle.config",
    ),
    "a name in a string": (
        {"lifecycle/qos/port.py": 'def open(table):\n    return getattr(table, "_cut", None)\n'},
        "lifecycle/qos/port.py:2: _cut is private to lifecycle.drain",
    ),
    "a constant of another room": (
        {"lifecycle/qos/port.py": "from lifecycle.drain import timetable\nX = timetable._SHARE\n"},
        "lifecycle/qos/port.py:2: _SHARE is private to lifecycle.drain",
    ),
    "an import of a private name": (
        {"lifecycle/qos/port.py": "from lifecycle.drain.timetable import _SHARE as SHARE\n"},
        "lifecycle/qos/port.py:1: lifecycle.drain.timetable._SHARE is private, and is imported",
    ),
    "an import of a private module": (
        {"lifecycle/qos/port.py": "import lifecycle.drain._tables\n"},
        "lifecycle/qos/port.py:1: lifecycle.drain._tables is private, and is imported",
    ),
    "a plugin reaches into the core": (
        {"plugins/own/src/lifecycle_own/drain.py": "def end(life):\n    return life._cut\n"},
        "plugins/own/src/lifecycle_own/drain.py:2: _cut is private to lifecycle.drain",
    ),
    "a plugin imports what is not public": (
        {
            "plugins/own/src/lifecycle_own/drain.py": "from lifecycle.drain.timetable import Timetable\n"
        },
        "plugins/own/src/lifecycle_own/drain.py:1: lifecycle.drain.timetable.Timetable is not public",
    ),
    "a plugin imports a room": (
        {"plugins/own/src/lifecycle_own/drain.py": "from lifecycle import drain\n"},
        "plugins/own/src/lifecycle_own/drain.py:1: lifecycle.drain is not public",
    ),
    "a plugin uses what the facade does not have": (
        {"plugins/own/src/lifecycle_own/drain.py": "import lifecycle\n\nX = lifecycle.config\n"},
        "plugins/own/src/lifecycle_own/drain.py:3: lifecycle.config is not public",
    ),
    "a linter silenced without a reason": (
        {"lifecycle/qos/port.py": "def open(one):\n    one._own()  # noqa: SLF001\n"},
        "lifecycle/qos/port.py:2: say why",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_package_with_a_fault(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not accepted, and what is wrong is named, with the place."""
    files, said = FAULTS[fault]
    build(tmp_path, SOUND | files)
    assert architecture.main(tmp_path) == 1
    assert said in capsys.readouterr().err


FINE = {
    "a library's private name": "import os\n\n\ndef out():\n    os._cut(1)\n",
    "a name of one's own": "class Port:\n    def __init__(self):\n        self._cut = 1\n",
    "a name from a library that nobody here has": "def out(one):\n    return one._waiters\n",
    "a linter silenced with a reason": "X = 1  # noqa: SLF001 - asyncio tells it nowhere else\n",
    "a name that Python gives": "def out(one):\n    return one.__class__\n",
    "a slot of one's own": 'class Port:\n    __slots__ = ("_cut",)\n\n\ndef out(one):\n    one._cut\n',
}


@pytest.mark.parametrize("what", FINE)
def test_what_is_allowed(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like a fault and is none is accepted."""
    build(tmp_path, SOUND | {"lifecycle/qos/port.py": FINE[what]})
    assert architecture.main(tmp_path) == 0, capsys.readouterr().err
