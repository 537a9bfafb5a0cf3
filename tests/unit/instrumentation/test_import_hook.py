"""Servers are changed as they are imported, and an app never notices."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from lifecycle.instrumentation.lifecycle_worker.import_hook import Finder
from tests.unit.instrumentation.interpreters import FOLDER, Parent

HOOKED = """
import sys
from lifecycle_worker import import_hook, servers
servers.made_up = sys.modules["made_up"] = type(sys)("made_up")
from lifecycle_worker.seams import needs, seam, wrap
exec(open({patch!r}).read(), vars(servers.made_up))
{before}
import_hook.install({{"shop_server": ("made_up", "patch_server", "shop")}})
"""
WHOLE = """
from lifecycle_worker.seams import needs, wrap
def patch_server(module):
    needs(module.Server.__init__, "connections")
    wrap(module, "Server.run", lambda was: lambda self: "wrapped " + was(self))
"""
SERVER = """
class Server:
    def __init__(self): self.connections = set()
    def run(self): return "ran"
"""
OTHER = """
class Server:
    def __init__(self): self.links = set()
    def run(self): return "ran"
"""

STARTED_AT = re.compile('File "<string>", line [0-9]+')


@pytest.fixture
def shop(command: Parent, tmp_path: Path):
    def run(code: str, *, server: str = SERVER, patch: str = WHOLE, before: str = ""):
        (tmp_path / "shop_server.py").write_text(server)
        (tmp_path / "patch.py").write_text(patch)
        head = HOOKED.format(patch=str(tmp_path / "patch.py"), before=before)
        return command.run(head + code, FOLDER, tmp_path)

    return run


@pytest.mark.parametrize("before", ["", "import shop_server"])
def test_a_server_is_changed(command: Parent, shop, before: str) -> None:
    """As it is imported, or at once if it is; and the parent is told to wait for its word."""
    done = shop("import shop_server; print(shop_server.Server().run())", before=before)

    assert (done.stdout, done.stderr) == ("wrapped ran\n", "")
    assert command.told() == ["hello", "expects shop"]


@pytest.mark.parametrize(
    ("server", "patch", "why"),
    [
        (OTHER, WHOLE, "Moved: no connections in Server.__init__"),
        (SERVER.replace("run", "start"), WHOLE, "Moved: no Server.run"),
        ("", WHOLE, "AttributeError"),
        (SERVER, "def patch_server(module): 1 / 0", "ZeroDivisionError"),
        (SERVER, "", "AttributeError"),
    ],
    ids=["attribute", "function", "class", "our own mistake", "no patch"],
)
def test_a_seam_that_has_moved(command: Parent, shop, server: str, patch: str, why: str) -> None:
    """It is one warning that says what to do, however often it is imported; the import works."""
    done = shop(
        "import shop_server, importlib; importlib.reload(shop_server); print('serves')",
        server=server,
        patch=patch,
    )

    assert done.stdout == "serves\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"lifecycle: shop_server is not supported in this version ({why}")
    assert "Please report" in line
    assert set(command.told()) == {"hello", "fails shop"}


@pytest.mark.parametrize("server", ["import nothing_of_this_name", "1 / 0", "1 +", "raise OSError"])
def test_the_apps_own_errors_are_the_apps(command: Parent, shop, tmp_path, server: str) -> None:
    """A server that cannot be imported fails as it would without us, to the letter."""
    done = shop("import shop_server", server=server)

    bare = command.run("import shop_server", tmp_path, board=False)
    said, expected = (STARTED_AT.sub("", each.stderr) for each in (done, bare))
    assert said == expected
    assert (done.returncode, done.stdout) == (bare.returncode, "")


def test_the_real_loader_is_back(shop) -> None:
    """Reloaders, pickling and `inspect` find what they would without us."""
    done = shop(
        "import inspect, importlib.util, shop_server as s\n"
        "print(type(s.__loader__).__name__, type(s.__spec__.loader).__name__)\n"
        "print(inspect.getsource(s.Server).strip().splitlines()[0], s.Server.run.__name__)\n"
        "found = importlib.util.find_spec('shop_server')\n"
        "print(type(found.loader).__name__)\n"
        "importlib.reload(s)\n"
        "print(s.Server().run())"
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "SourceFileLoader SourceFileLoader",
        "class Server: run",
        "SourceFileLoader",
        "wrapped ran",
    ]


def test_what_is_not_in_the_table_is_passed_over() -> None:
    """It costs one look into the table."""
    finder = Finder({"shop_server": ("made_up", "patch_server", "shop")})

    assert finder.find_spec("json") is None
    assert finder.find_spec("shop_server") is None
    assert "shop_server" not in sys.modules
