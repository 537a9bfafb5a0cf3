"""Bad input: a clear error that says what to do, the right exit code, no trace of ours."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.process.kit import App, wait_for

Start = Callable[..., App]

MAIN = """
async def main(life):
    await life.ready()
    await life.drained()
"""
ASGI = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

def wsgi(environ, start_response):
    return []
"""
RUN = """
import lifecycle

async def main(life):
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Write a main and an ASGI app to be run by name."""
    (tmp_path / "shop.py").write_text(MAIN)
    (tmp_path / "web.py").write_text(ASGI)
    return tmp_path


Refused = Callable[[str, int], App]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refused]:
    """Start everything that is to be refused, a few side by side; give what has ended."""

    def run(words: list[str], env: dict[str, str], plugin: str = "") -> App:
        folder = tmp_path_factory.mktemp("refused")
        (folder / "shop.py").write_text(MAIN)
        (folder / "web.py").write_text(ASGI)
        marked = re.sub(r"^(async )?def (?=lifecycle)", r"@lifecycle.hookimpl\n\g<0>", plugin)
        (folder / "mine.py").write_text(f"import lifecycle\n{marked}\n")
        with App.start(["-m", "lifecycle", "run", *words], cwd=folder, env=env) as app:
            app.wait(20)
        return app

    with ThreadPoolExecutor(3) as pool:
        cases = {
            **{("value", n): (["shop:main"], env) for n, (env, _) in enumerate(BAD_VALUES)},
            **{("line", n): (words, {}) for n, (words, _) in enumerate(BAD_LINES)},
            **{
                ("plugin", n): (["-p", "mine", "shop:main"], {}, text)
                for n, (text, _) in enumerate(PLUGINS.values())
            },
        }
        ended = {key: pool.submit(run, *case) for key, case in cases.items()}
        yield lambda group, number: ended[group, number].result(50)


def command(start: Start, *words: str, **env: str) -> App:
    """Start `lifecycle run`."""
    return start(["-m", "lifecycle", "run", *words], env=env)


def complaint(app: App, code: int = 2) -> str:
    """Return the one sentence that an app which does not start says, once it has ended."""
    assert app.wait() == code, app.stderr
    assert "Traceback" not in app.stderr, app.stderr
    lines = [line for line in app.stderr.splitlines() if line.startswith("lifecycle: ")]
    assert len(lines) == 1, app.stderr
    assert not list(app.cwd.glob("*.sock"))
    return lines[0]


@pytest.mark.parametrize("way", ["run()", "command"])
def test_the_qos_port_is_in_use(start: Start, modules: Path, way: str) -> None:
    """A QOS port in use says so, who may have it, and how to choose another; exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        if way == "run()":
            app = start(RUN, env={"LIFECYCLE_QOS_PORT": port})
        else:
            app = command(start, "shop:main", LIFECYCLE_QOS_PORT=port)
        said = complaint(app)

    assert f"{port} is in use" in said
    assert "one process per pod" in said
    assert "LIFECYCLE_QOS_PORT" in said


def test_a_second_worker(start: Start) -> None:
    """A second process with the same port refuses to start, and takes nothing from the first."""
    first = start(RUN)
    first.wait_state("ready")
    second = start(RUN, env={"LIFECYCLE_QOS_PORT": str(first.qos), "PORT": "1"})

    assert second.wait() == 2
    assert first.control("GET", "/ready")[:2] == (200, "true")


BAD_VALUES: list[tuple[dict[str, str], list[str]]] = [
    ({"LIFECYCLE_QOS_PORT": "99999"}, ["qos_port=99999", "0 (any) to 65535"]),
    ({"LIFECYCLE_STOP_TIMEOUT": ""}, ["LIFECYCLE_STOP_TIMEOUT=''", "a number"]),
    ({"LIFECYCLE_QOS_HOST": "nosuch.invalid"}, ["nosuch.invalid", "QOS port"]),
    ({"LIFECYCLE_QOS_HOST": "198.51.100.77"}, ["198.51.100.77"]),
    ({"LIFECYCLE_QOS_HOST": ".."}, ["qos_host='..'", "host name", "LIFECYCLE_QOS_HOST"]),
    ({"LIFECYCLE_QOS_HOST": "a" * 64}, ["qos_host='aaa", "host name"]),
    ({"LIFECYCLE_SETTLE": "\uff13"}, ["LIFECYCLE_SETTLE=", "a number"]),
    ({"LIFECYCLE_SERVICES": "a:\uff18\uff10"}, ["services", "NAME:PORT"]),
    ({"LIFECYCLE_SERVICES": "a:80,b,a:90"}, ["one port per name", "'a' has 80 and 90"]),
    ({"LIFECYCLE_SERVICES": "a:80,a"}, ["one port per name", "'a' has 80 and none"]),
    ({"LIFECYCLE_QOS_ALLOW": "10.0.0.0/33"}, ["qos_allow", "10.0.0.0/33"]),
    ({"LIFECYCLE_SETTLE": "soon"}, ["LIFECYCLE_SETTLE='soon'", "a number"]),
    ({"LIFECYCLE_SETTLE": "nan"}, ["settle=nan", "from 0 to"]),
    ({"LIFECYCLE_SETTLE": "-1"}, ["settle=-1", "from 0 to"]),
    ({"LIFECYCLE_GRACE_PERIOD": "5"}, ["grace_period=5", "settle 5", "terminationGrace"]),
    ({"LIFECYCLE_PROBE_TIMEOUT": "0"}, ["probe_timeout=0", "from "]),
    ({"LIFECYCLE_QOS_ENABLED": "maybe"}, ["LIFECYCLE_QOS_ENABLED='maybe'", "true or false"]),
    ({"LIFECYCLE_SERVICES": "a b"}, ["services", "NAME:PORT", "'a b'"]),
    ({"LIFECYCLE_SERVICES": "orders:0"}, ["services", "orders:0"]),
    ({"LIFECYCLE_PLUGINS": "nosuch_plugin"}, ["'nosuch_plugin'", "ModuleNotFoundError"]),
]


@pytest.mark.parametrize("number", range(len(BAD_VALUES)), ids=lambda n: str(BAD_VALUES[n][0]))
def test_a_bad_value(refused: Refused, number: int) -> None:
    """A bad value names the field, the value and the range; exit code 2."""
    said = complaint(refused("value", number))

    assert all(each in said for each in BAD_VALUES[number][1]), said


def test_a_bad_secret(start: Start, modules: Path) -> None:
    """The error about a bad token does not show it."""
    app = command(start, "shop:main", LIFECYCLE_PRESTOP_TOKEN="hunter2")
    said = complaint(app)

    assert "prestop_token=<redacted>" in said
    assert "hunter2" not in app.stderr + app.stdout


BAD_LINES: list[tuple[list[str], list[str]]] = [
    (["--asgi", "--service", "orders:99999", "web:app"], ["orders:99999", "NAME:PORT"]),
    (["--asgi", "--service", "", "web:app"], ["services", "''"]),
    (["--asgi", "--bind", "localhost", "web:app"], ["--bind localhost", "HOST:PORT"]),
    (["--asgi", "--bind", "127.0.0.1:70000", "web:app"], ["--bind 127.0.0.1:70000", "65535"]),
    (["--asgi", "--bind", "198.51.100.77:0", "web:app"], ["198.51.100.77", "assign"]),
    (["--asgi", "--bind", "unix:/nosuch/x.sock", "web:app"], ["/nosuch/x.sock", "No such"]),
    (["--asgi", "--bind", "unix:", "web:app"], ["--bind unix:", "unix:PATH"]),
    (["--asgi", "--bind", "..:80", "web:app"], ["--bind ..:80", "'..'", "name of a host"]),
    (["--asgi", "--bind", ":\uff18\uff10", "web:app"], ["--bind :\uff18\uff10", "HOST:PORT"]),
    (["--asgi", "--bind", ":\u00b2", "web:app"], ["--bind :\u00b2", "HOST:PORT"]),
    (["--asgi", "--bind", ":" + "9" * 5000, "web:app"], ["--bind :999", "HOST:PORT"]),
    (["--asgi", "--service", "a:80", "--service", "a:90", "web:app"], ["'a' has 80 and 90"]),
    (["--server", "uvicorn", "web:app"], ["--server is only for an ASGI app", "--asgi"]),
    (["--access-log", "web:app"], ["--access-log is only for an ASGI app", "--asgi"]),
    (["web:app"], ["(scope, receive, send)", "lifecycle run --asgi web:app"]),
    (["web:wsgi"], ["'web:wsgi' is a WSGI app", "-- gunicorn --bind 0.0.0.0:8080 web:wsgi"]),
    (["builtins:dict"], ["async function", "'dict'"]),
    (["--asgi", "--bind", ":0", "--certfile", "nosuch.pem", "web:app"], ["nosuch.pem"]),
    (["--asgi", "--bind", ":0", "shop:__name__"], ["'shop:__name__' is not an ASGI app"]),
    (["--asgi", "--bind", ":0", "web:wsgi"], ["'web:wsgi' is a WSGI app", "gunicorn --bind"]),
    (["--asgi", "--bind", ":0", "shop:main"], ["'shop:main' is not an ASGI app", "async main"]),
    (["shop"], ["'shop'", "MODULE:NAME"]),
    (["shop:"], ["'shop:'", "MODULE:NAME"]),
    ([".shop:main"], ["'.shop:main'", "MODULE:NAME"]),
    (["nosuch:main"], ["no module named 'nosuch'", "--app-dir"]),
    (["shop.nosuch:main"], ["'shop.nosuch'"]),
    (["shop/main.py:main"], ["'shop/main'"]),
    (["shop:nosuch"], ["'shop:nosuch'", "has no 'nosuch'"]),
    (["shop:main.nosuch"], ["has no 'nosuch'"]),
    (["shop:__name__"], ["async function", "'shop'"]),
    (["-p", "nosuch_plugin", "shop:main"], ["'nosuch_plugin'", "cannot be imported"]),
]
LINE_IDS = [" ".join(words)[:60] for words, _ in BAD_LINES]


@pytest.mark.parametrize("number", range(len(BAD_LINES)), ids=LINE_IDS)
def test_a_bad_command_line(refused: Refused, number: int) -> None:
    """What cannot be run says what it should have been; exit code 2."""
    said = complaint(refused("line", number))

    assert all(each in said for each in BAD_LINES[number][1]), said


def test_the_apps_port_is_in_use(start: Start, modules: Path) -> None:
    """The app's port in use is an error before anything is served or registered."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        app = command(start, "--asgi", "--bind", f"127.0.0.1:{port}", "--service", "a", "web:app")
        said = complaint(app)

    assert f"--bind 127.0.0.1:{port}: the address is in use" in said
    assert "ready" not in [each["event"] for each in app.events()]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("import nosuch_dependency\n", "ModuleNotFoundError: No module named 'nosuch_dependency'"),
        ("from os import nosuch\n", "ImportError: cannot import name 'nosuch' from 'os'"),
        ("def main(:\n", "SyntaxError"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import helper\n", "RuntimeError: from the helper"),
        ("import shop.nosuch\n", "ModuleNotFoundError: No module named 'shop.nosuch'"),
    ],
)
def test_an_import_that_fails_inside(start: Start, tmp_path: Path, text: str, last: str) -> None:
    """What the app's own import raises is shown as its own, without a frame of ours; code 1."""
    (tmp_path / "shop.py").write_text(text)
    (tmp_path / "helper.py").write_text("raise RuntimeError('from the helper')\n")
    app = command(start, "shop:main")

    assert app.wait() == 1
    trace = "\n".join(line for line in app.stderr.splitlines() if not line.startswith("{"))
    assert last in trace
    assert "importlib" not in trace
    assert "/lifecycle/" not in trace
    assert "During handling" not in trace
    assert "shop.py" in trace
    assert app.events("failed")


@pytest.mark.parametrize(
    ("text", "code"), [("import sys; sys.exit(3)", 3), ("raise SystemExit", 0), ("exit('bye')", 1)]
)
def test_an_app_that_leaves_at_import(start: Start, tmp_path: Path, text: str, code: int) -> None:
    """An app that exits while it is imported goes the way out, with its own code."""
    (tmp_path / "shop.py").write_text(text)
    app = command(start, "shop:main")

    assert app.wait() == code
    assert "Traceback" not in app.stderr, app.stderr
    assert ("bye" in app.stderr) is (code == 1)
    assert app.events("draining")
    assert not list(tmp_path.glob("*.sock"))


PLUGINS = {
    "misspelt": (
        "def lifecycle_readyness(): return True",
        ["'lifecycle_readyness', which does not exist", "Did you mean 'lifecycle_readiness'?"],
    ),
    "coroutine commands": ("async def lifecycle_commands(): return []", ["'mine'", "async"]),
    "no commands": ("def lifecycle_commands(): return 5", ["'mine'", "Command"]),
    "strange commands": ("def lifecycle_commands(): return ['x']", ["'mine'", "not a Command"]),
    "taken command": (
        "def lifecycle_commands(): return lifecycle.Command('status', print)",
        ["'mine'", "'status'"],
    ),
    "taken path": (
        "def lifecycle_commands(): return lifecycle.Command('ready', print)",
        ["'mine'", "'ready'"],
    ),
    "bad command name": (
        "def lifecycle_commands(): return lifecycle.Command('a/b', print)",
        ["'mine'", "'a/b'"],
    ),
    "failing options": ("def lifecycle_options(): return 1 / 0", ["'mine'", "ZeroDivisionError"]),
    "strange registries": ("def lifecycle_registries(): return [1]", ["'mine'", "not a Registry"]),
    "does not import": ("import nosuch_client\ndef x(): pass", ["'mine'", "nosuch_client"]),
}


NAMES = list(PLUGINS)


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_a_plugin_that_is_written_wrongly(refused: Refused, number: int) -> None:
    """A plugin that cannot work as it is written is an error at start, with its name."""
    said = complaint(refused("plugin", number))

    assert all(each in said for each in PLUGINS[NAMES[number]][1]), said


def test_an_unknown_variable(start: Start, modules: Path) -> None:
    """An unknown variable is a warning with the nearest name, and an error for `config`."""
    app = command(start, "shop:main", LIFECYCLE_SETTEL="3")
    app.wait_state("ready")
    said = wait_for(lambda: app.events("config"), 20, lambda: app.stderr)
    assert said[0]["problem"] == "LIFECYCLE_SETTEL is not a setting. Did you mean LIFECYCLE_SETTLE?"

    done = app.cli("config")
    assert done.returncode == 2
    assert "LIFECYCLE_SETTEL is not a setting. Did you mean LIFECYCLE_SETTLE?" in done.stderr


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        (
            "LIFECYCLE_NACOS_URL",
            "is set, but the plugin 'nacos' is not installed. Run `pip install",
        ),
        ("LIFECYCLE_NACO_URL", "is not a setting. Use LIFECYCLE_NACOS_URL after `pip install"),
    ],
)
def test_a_registry_that_is_not_installed(
    start: Start, modules: Path, name: str, hint: str
) -> None:
    """The app would be ready, and nobody would find it: it does not start, and `config` fails."""
    app = command(start, "shop:main", **{name: "nacos://nacos:8848"})
    assert app.wait() == 2
    assert f"{name} {hint} lifecycle-nacos`" in app.stderr
    assert "Traceback" not in app.stderr

    done = app.cli("config")
    assert done.returncode == 2
    assert f"{name} {hint} lifecycle-nacos`" in done.stderr
    assert "grace_period" in done.stdout


def test_an_optional_registry_that_is_none(start: Start, modules: Path) -> None:
    """`optional_registries` that names no registry is a warning, with those there are."""
    app = command(start, "shop:main", LIFECYCLE_OPTIONAL_REGISTRIES="local,locla")
    app.wait_state("ready")
    said = wait_for(lambda: app.events("config"), 10, lambda: app.stderr)

    assert [each["problem"] for each in said] == [
        "optional_registries contains 'locla', which is not a registry (registries: local)"
    ]


def test_a_service_that_the_app_exports_otherwise(start: Start, tmp_path: Path) -> None:
    """Who configures a service with another port than the app gives it is told, and it ends."""
    (tmp_path / "shop.py").write_text(
        "import asyncio, lifecycle\n\n"
        "async def main():\n"
        "    lifecycle.current().export('orders', port=8080)\n"
        "    await asyncio.Event().wait()\n"
    )
    app = command(start, "shop:main", LIFECYCLE_SERVICES="orders", LIFECYCLE_SETTLE="0")

    assert app.wait() == 1
    assert "this name is already exported with port=8080" in app.events("draining")[0]["cause"]
    assert "Traceback" not in app.stderr, app.stderr


def test_service_links(start: Start, modules: Path) -> None:
    """What Kubernetes makes of Services called `lifecycle…` is ignored, without a word."""
    links = {
        "LIFECYCLE_QOS_SERVICE_HOST": "10.96.0.7",
        "LIFECYCLE_QOS_SERVICE_PORT": "22222",
        "LIFECYCLE_QOS_SERVICE_PORT_HTTP": "22222",
        "LIFECYCLE_QOS_PORT_22222_TCP": "tcp://10.96.0.7:22222",
        "LIFECYCLE_QOS_PORT_22222_TCP_PROTO": "tcp",
        "LIFECYCLE_QOS_PORT_22222_TCP_PORT": "22222",
        "LIFECYCLE_QOS_PORT_22222_TCP_ADDR": "10.96.0.7",
        "LIFECYCLE_PORT": "udp://10.96.0.7:53",
    }
    app = command(start, "shop:main", **links)
    app.wait_state("ready")

    wait_for(lambda: app.events("ready"), 20, lambda: app.stderr)
    assert not app.events("config")
    done = app.cli("config")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^settle +5(\.0)? +default$", done.stdout, re.MULTILINE)
