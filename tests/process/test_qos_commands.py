"""The commands that change something, and the control socket they may be given over."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process import wire
from tests.process.kit import App, background, cli, wait_for

Start = Callable[..., App]

TOKEN = "correct-horse-battery"
QUICK = {"LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}
NOBODY = 65534

SERVICES = """
import logging, os
import lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    life.export("orders/v2", port=9000)
    life.export("billing", port=9001)
    await life.ready()
    await life.drained()

logging.basicConfig(level="INFO")
lifecycle.run(main)
"""


ENV = QUICK | {"LIFECYCLE_PRESTOP_TOKEN": TOKEN}


@pytest.fixture
def app(start: Start) -> App:
    """Serve three services, for one test that ends it."""
    app = start(SERVICES, env=ENV)
    app.wait_state("ready")
    return app


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve three services, for all tests that leave everything online."""
    with App.start(SERVICES, cwd=tmp_path_factory.mktemp("qos"), env=ENV) as app:
        app.wait_state("ready")
        yield app
        assert "Traceback" not in app.stderr, app.stderr


def online(app: App) -> dict[str, bool]:
    status = app.status()
    assert status is not None
    return {each["name"]: each["online"] for each in status["services"]}


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("/offline", {"orders", "orders/v2", "billing"}),
        ("/offline?service=*", {"orders", "orders/v2", "billing"}),
        ("/offline?service=orders*", {"orders", "orders/v2"}),
        ("/offline?service=b?lling", {"billing"}),
        ("/offline/orders", {"orders"}),
        ("/offline/orders/v2", {"orders/v2"}),
        ("/offline?service=orders%2Fv2", {"orders/v2"}),
    ],
)
def test_offline_and_online(shared: App, path: str, held: set[str]) -> None:
    """`/offline` holds what the glob or the name matches, and `/online` releases it."""
    said = shared.get(path, method="POST")

    assert said[0] == 200
    assert set(said[1].removeprefix("OK: ").strip().split(", ")) == held
    assert {name for name, is_online in online(shared).items() if not is_online} == held
    assert shared.get("/ready")[:2] == ((503, "false") if len(held) == 3 else (200, "true"))

    assert shared.get(path.replace("offline", "online"), method="POST")[0] == 200
    assert all(online(shared).values())
    wait_for(lambda: shared.get("/ready")[0] == 200, 20, "ready again")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/offline?service=nosuch*", 404),
        ("/offline/nosuch", 404),
        ("/offline?service=", 404),
        ("/online?service=nosuch", 404),
        ("/offline?servcie=orders", 400),
        ("/online?all=yes", 400),
    ],
)
def test_what_matches_nothing(shared: App, path: str, status: int) -> None:
    """A glob that matches nothing, or a misspelt argument, is an error and changes nothing."""
    answer = shared.get(path, method="POST")

    assert answer[0] == status
    assert answer[1].count("\n") == 1
    assert all(online(shared).values())


def test_changes_are_logged(app: App) -> None:
    """Every change is logged with its caller, whatever its arguments look like."""
    assert app.get("/offline/billing", method="POST")[0] == 200
    assert app.control("POST", "/online/billing")[0] == 200
    app.get("/online/billing?a%20b=1&x%0Aevent=forged&caller=me&name=you", method="POST")

    lines = wait_for(
        lambda: len(found := app.events("command")) >= 3 and found, 20, lambda: app.stderr
    )
    assert [(each["command"], each["caller"]) for each in lines] == [
        ("offline", "127.0.0.1"),
        ("online", "unix socket"),
        ("online", "127.0.0.1"),
    ]
    assert not app.events("forged")


def test_log_level(app: App) -> None:
    """`/log-level` sets the level of a logger, and says which levels there are."""
    assert app.get("/log-level?level=error&logger=lifecycle", method="POST")[:2] == (
        200,
        "OK: lifecycle at ERROR\n",
    )
    assert app.get("/offline/billing", method="POST")[0] == 200
    assert app.get("/log-level/lifecycle?level=INFO", method="POST")[0] == 200
    assert app.get("/offline/orders", method="POST")[0] == 200

    def held() -> list[str]:
        return [each["arg_name"] for each in app.events("command") if each["command"] == "offline"]

    wait_for(lambda: "orders" in held(), 20, lambda: app.stderr)
    assert held() == ["orders"]
    status, body, _ = app.get("/log-level?level=LOUD", method="POST")
    assert status == 400
    assert "DEBUG" in body


def test_log_level_under_the_command(start: Start, tmp_path: Path) -> None:
    """`/log-level` of `lifecycle` moves what `lifecycle run` writes, too, and NOTSET undoes it."""
    (tmp_path / "shop.py").write_text(SERVICES.partition("logging.basicConfig")[0])
    app = start(["-m", "lifecycle", "run", "shop:main"], env=ENV)
    app.wait_state("ready")

    def written() -> str:
        return app.get("/loggers/lifecycle")[1].split()[-1]

    assert written() == "INFO"

    def held(level: str, service: str) -> None:
        assert app.get(f"/log-level?level={level}&logger=lifecycle", method="POST")[0] == 200
        assert app.get(f"/offline?service={service}", method="POST")[0] == 200

    held("WARNING", "orders")
    assert written() == "WARNING"
    held("NOTSET", "billing")
    assert written() == "INFO"
    wait_for(lambda: "billing" in app.stderr.partition("offline")[2], 10, lambda: app.stderr)
    said = [each["arg_service"] for each in app.events("command") if "arg_service" in each]
    assert said == ["billing"]


def test_config_is_redacted(shared: App) -> None:
    """`/config` is PRIVATE, tells where each value is from, and shows no secret."""
    assert shared.get("/config")[0] == 403

    status, body, _ = shared.get("/config", headers={"X-Lifecycle-Token": TOKEN})
    assert status == 200
    assert body == shared.control("GET", "/config")[1]
    said = json.loads(body)
    assert TOKEN not in body
    assert said["prestop_token"]["value"] == "<redacted>"
    assert (said["settle"]["value"], said["settle"]["source"]) == (0.1, "LIFECYCLE_SETTLE")
    assert said["grace_period"]["source"] == "default"
    assert TOKEN not in shared.stderr


@pytest.mark.parametrize(
    "token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "caf\u00e9", TOKEN.upper()]
)
def test_a_wrong_token(shared: App, token: str) -> None:
    """A token that is not the token is none."""
    at = ("127.0.0.1", shared.qos)
    for method in ("GET", "POST"):
        answer = wire.ask(at, "/prestop", method=method, headers=(f"X-Lifecycle-Token: {token}",))

        assert answer.status == 403
    assert shared.get("/ready")[0] == 200


def test_prestop_by_the_kubelet(app: App) -> None:
    """The kubelet's httpGet, with the token as a header, drains and is answered at the end."""
    answer = background(
        lambda: wire.ask(
            ("127.0.0.1", app.qos),
            "/prestop",
            host="10.244.0.7:22222",
            headers=("User-Agent: kube-lifecycle/1.34", f"X-Lifecycle-Token: {TOKEN}"),
        )
    )

    assert app.wait_state("draining")["drain"]["cause"]
    assert (answer.result(10).status, answer.result().text) == (200, "drained\n")
    assert app.get("/ready")[:2] == (503, "false")
    assert app.get("/live")[:2] == (200, "true")
    assert app.get("/online", method="POST")[0] == 409


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_prestop_on_the_socket_is_a_post(app: App, method: str) -> None:
    """On the control socket, without a token, preStop is POST only."""
    assert app.control(method, "/prestop")[0] == 405
    assert app.get("/ready")[0] == 200
    assert app.control("POST", "/prestop")[:2] == (200, "drained\n")


def test_the_socket_is_ours_alone(app: App, tmp_path: Path) -> None:
    """The control socket has mode 0600, and even one opened up serves no other user."""
    path = tmp_path / f"lifecycle-{app.qos}.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    if os.geteuid():
        return  # only root can be somebody else as well
    ask = [sys.executable, "-c", AS_NOBODY, str(path)]
    refused = subprocess.run(ask, capture_output=True, text=True, check=False)
    assert "PermissionError" in refused.stderr
    os.chmod(tmp_path, 0o755)
    os.chmod(path, 0o666)
    opened = subprocess.run(ask, capture_output=True, text=True, check=False)
    assert (opened.returncode, opened.stdout) == (0, "b''\n")
    assert app.get("/ready")[0] == 200


AS_NOBODY = f"""
import os, socket, sys
sock = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(sys.argv[1]))
os.setuid({NOBODY})
sock.settimeout(5)
sock.connect(os.path.basename(sys.argv[1]))
try:
    sock.sendall(b"POST /prestop HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    print(sock.recv(4096))
except ConnectionError:
    print(b"")
"""


def test_a_foreign_socket_is_not_trusted(start: Start, tmp_path: Path) -> None:
    """The command gives no request to a socket that another user has put in the place."""
    if os.geteuid():
        return  # only root can be somebody else as well
    run_dir = tmp_path / "shared"
    run_dir.mkdir(mode=0o777)
    run_dir.chmod(0o777)
    env = {**os.environ, "LIFECYCLE_RUN_DIR": str(run_dir), "LIFECYCLE_QOS_PORT": "23456"}
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(run_dir / "lifecycle-23456.sock"))
    server = subprocess.Popen(
        [sys.executable, "-c", LISTEN_AS_NOBODY, str(listener.fileno())],
        pass_fds=[listener.fileno()],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"
        asked = cli("prestop", env=env, timeout=10)
        assert asked.returncode == 1
        assert "no app answers on the control socket of port 23456" in asked.stderr
        assert server.stdout.readline() == "got b''\n"
    finally:
        server.kill()
        server.communicate()
        listener.close()


LISTEN_AS_NOBODY = f"""
import os, socket, sys
os.setuid({NOBODY})

def received(sock):
    try:
        return sock.recv(4096)
    except ConnectionError:
        return b""

sock = socket.socket(fileno=int(sys.argv[1]))
sock.settimeout(10)
sock.listen()
print("listening", flush=True)
print("got", received(sock.accept()[0]), flush=True)
"""


def test_no_folder_for_the_socket(start: Start, tmp_path: Path) -> None:
    """Without a folder for the control socket the app does not start, and says what to do."""
    for run_dir, why in (
        (tmp_path / "nosuch", "No such file or directory"),
        (tmp_path / ("x" * 120), "too long"),
        (tmp_path / "file", "Not a directory"),
    ):
        (tmp_path / "file").touch()
        app = start(SERVICES, env={"LIFECYCLE_RUN_DIR": str(run_dir)})

        assert app.wait() == 2
        assert why in app.stderr
        assert "LIFECYCLE_RUN_DIR" in app.stderr
        assert "Traceback" not in app.stderr, app.stderr


def test_the_first_folder_that_takes_it(start: Start) -> None:
    """Without LIFECYCLE_RUN_DIR the socket is where both sides look: by port, and gone after."""
    app = start(SERVICES, env=QUICK | {"LIFECYCLE_RUN_DIR": ""})
    places = [
        f"{f}/lifecycle-{app.qos}.sock" for f in ("/run/lifecycle", "/run", "/dev/shm", "/tmp")
    ]
    path = wait_for(lambda: next(filter(os.path.exists, places), ""), 10, "a socket")

    wait_for(lambda: app.cli("status", "--json").returncode == 0, 10, "an answer")
    assert app.cli("prestop").returncode == 0
    app.process.kill()
    app.wait()
    assert Path(path).exists()  # what was killed could not clean up

    again = start(
        SERVICES, env=QUICK | {"LIFECYCLE_RUN_DIR": "", "LIFECYCLE_QOS_PORT": str(app.qos)}
    )
    wait_for(lambda: again.cli("probe", "ready").returncode == 0, 10, "the next one to be ready")
    again.process.terminate()
    assert again.wait() == 0
    assert not Path(path).exists()
    assert again.events("stopped")
