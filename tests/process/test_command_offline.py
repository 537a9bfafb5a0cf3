"""`lifecycle offline` under `lifecycle run -- COMMAND`: clients are told to go, until `online`."""

from __future__ import annotations

import sys
from http.client import HTTPConnection

import pytest

from tests.process.commands import run
from tests.process.kit import wait_for
from tests.process.rollout import SERVED

COMMANDS = {
    "gunicorn gthread": (
        *("-m", "gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}"),
        *("--threads", "4", "wsgi_shop:app"),
    ),
    "uvicorn": ("-m", "uvicorn", "--port", "{port}", "shop:app"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_service_is_held_offline(start, tmp_path, command):
    """Each answer says close while all are, and none once one is online again; nothing drains."""
    options = ("--service", "more:{port}")
    app = run(start, tmp_path, sys.executable, *command, options=options, PYTHONPATH=str(SERVED))
    app.wait_state("ready")
    client = HTTPConnection("127.0.0.1", app.port, timeout=10)
    assert not closes(client)

    assert app.get("/offline?service=shop", method="POST")[0] == 200
    assert not closes(client)
    assert app.get("/offline?service=more", method="POST")[0] == 200
    wait_for(lambda: closes(client), 5, "close")
    assert app.status()["state"] == "ready"
    assert app.get("/online?service=more", method="POST")[0] == 200

    assert not closes(client)  # on a new connection
    client.close()
    app.stop(0)


def closes(connection: HTTPConnection) -> bool:
    """Ask, and tell whether the answer says that it is the last one."""
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.read() == b"hello"
    return response.getheader("Connection") == "close"
