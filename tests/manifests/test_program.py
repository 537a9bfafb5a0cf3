"""What `lifecycle manifests` understands of the app's command."""

from __future__ import annotations

import pytest

from lifecycle.cli.parser import make_parser
from lifecycle.manifests.objects import services
from lifecycle.manifests.plan import Plan, doubts, make_plan, unopened
from lifecycle.manifests.pod import pre_stop
from lifecycle.manifests.validation import Refused

ASGI = ["lifecycle", "run", "--asgi", "shop:app"]
UVICORN = ["uvicorn", "a:b"]


def plan(*words: str, command: list[str]) -> Plan:
    """Plan as the command does."""
    given = ["manifests", "--name", "orders", "--image", "r.example/o:1", *words, "--", *command]
    return make_plan(make_parser().parse_args(given), {})


@pytest.mark.parametrize(
    ("command", "hook"),
    [
        (ASGI, "lifecycle"),
        (["/venv/bin/lifecycle", "run", "a:b"], "/venv/bin/lifecycle"),
        (["python3", "-m", "lifecycle", "run", "a:b"], "python3 -m lifecycle"),
        (["/opt/bin/python3.12", "-u", "shop.py"], "/opt/bin/python3.12 -m lifecycle"),
        (["/venv/bin/uvicorn", "a:b"], "/venv/bin/lifecycle"),
        (UVICORN, "lifecycle"),
        (["/usr/bin/tini", "--", "/venv/bin/uvicorn", "a:b"], "/venv/bin/lifecycle"),
        (["/usr/bin/tini", "-g", "--", "/v/bin/lifecycle", "run", "a:b"], "/v/bin/lifecycle"),
        (["/usr/bin/env", "A=b", "lifecycle", "run", "a:b"], "lifecycle"),
        (["/bin/sh", "-c", "/bin/migrate && exec lifecycle run a:b"], "lifecycle"),
        (["/bin/sh", "-c", "python migrate.py; exec /v/bin/uvicorn a:b"], "/v/bin/lifecycle"),
        (["/sbin/tini", "/bin/bash", "-ec", "exec /v/bin/gunicorn a:b"], "/v/bin/lifecycle"),
        (["/bin/sh", "-c", "if true; then exec /v/bin/hypercorn a:b; fi"], "/v/bin/lifecycle"),
        (["/bin/sh", "-c", "exec $HOME/bin/uvicorn a:b"], "lifecycle"),
        (["/bin/sh", "-c", "exec '/v/bin/uvicorn a:b"], "lifecycle"),  # a quote is open
        (["/app/start.sh"], "lifecycle"),
    ],
)
def test_the_prestop_is_found_as_the_app_is(command: list[str], hook: str) -> None:
    """It is called as the app's own program is, whatever starts that; else it is on the PATH."""
    wanted = plan(command=command)

    assert pre_stop(wanted) == {"exec": {"command": [*hook.split(), "prestop"]}}


@pytest.mark.parametrize(
    ("words", "command", "exported"),
    [
        ("", [*ASGI, "--service", "orders"], "orders:8080"),
        ("", [*ASGI, "--service", "orders", "--bind", "[::]:9000"], "orders:9000"),
        ("", [*ASGI, "--service", "o", "--bind", "unix:/s", "--bind", "9000"], "o:9000"),
        ("", ["python", "-u", "-m", "lifecycle", "run", "a:b", "--service=x:1"], "x:1"),
        ("", ["tini", "--", *ASGI, "--service", "orders"], "orders:8080"),
        ("", ["sh", "-c", "cd /app; exec lifecycle run a:b --service x:1"], "x:1"),
        ("--service=orders:8080", [*ASGI, "--service", "orders"], "orders:8080"),
        ("--service=orders:8080", ["python", "shop.py"], "orders:8080"),
        ("--service=orders", [*UVICORN, "--port", "9000"], "orders:9000"),
        ("--service=orders", ["gunicorn", "a:b", "-b", "0.0.0.0:9000"], "orders:9000"),
        ("--env=LIFECYCLE_SERVICES=a:1,b:2", ["python", "shop.py"], "a:1,b:2"),
    ],
)
def test_where_services_come_from(words: str, command: list[str], exported: str) -> None:
    """From the options, else the command, else the settings; the app is told if it has to be."""
    wanted = plan(*words.split(), command=command)

    assert ",".join(f"{name}:{port}" for name, port in wanted.services) == exported
    assert [each["metadata"]["name"] for each in services(wanted)] == [
        n for n, _ in wanted.services
    ]
    told = wanted.env.get("LIFECYCLE_SERVICES")
    assert told == (None if "--service" in " ".join(wanted.command) else exported)
    assert [*doubts(wanted)] == []


@pytest.mark.parametrize(
    ("words", "command", "sentence"),
    [
        (
            "",
            [*ASGI, "--service", "o", "--bind", "0.0.0.0:99999"],
            "service o needs a port. Write o:PORT",
        ),
        (
            "",
            [*ASGI, "--service", "o", "--bind", "0.0.0.0:0"],
            "service o needs a port. Write o:PORT",
        ),
        (
            "--service=o:1",
            [*ASGI, "--service", "s:2"],
            "--service o:1 contradicts the app's command",
        ),
        ("", [*ASGI, "--service", "o:1", "--service", "o:2"], "two services have the same name"),
        (
            "",
            [*ASGI, "--service"],
            "the app's command is wrong: argument --service: expected one argument",
        ),
        ("", [""], "the app's command, after --, is empty"),
        ("", ["uvicorn", "\udcff"], "is not text in UTF-8"),
    ],
)
def test_a_command_that_is_refused(words: str, command: list[str], sentence: str) -> None:
    """No Service is written that the app would not serve."""
    with pytest.raises(Refused) as raised:
        plan(*words.split(), command=command)

    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("service", "command", "doubt"),
    [
        ("o:8080", [*ASGI, "--bind", "0.0.0.0:9000"], "the command listens on 9000"),
        ("o:8080", [*UVICORN, "--port=9000"], "the command listens on 9000"),
        ("o:9000", [*ASGI, "--bind", "127.0.0.1:9000"], "on 127.0.0.1, inside the pod only"),
        ("o:9000", [*UVICORN, "--host", "localhost", "--port", "9000"], "inside the pod only"),
        ("o:9000", [*UVICORN, "--host", "0.0.0.0", "--port", "9000"], ""),
        ("o:9000", [*ASGI, "--bind", "[::1]:9000", "--bind", ":9000"], ""),
        ("o:9000", ["gunicorn", "a:b", "-c", "conf.py"], ""),
        ("", ["./start", "lifecycle", "--service", "o:1"], "Add --service NAME:PORT before -- too"),
        (
            "",
            ["sh", "-c", 'exec "$@"', "-", *ASGI, "--service", "o"],
            "Add --service NAME:PORT before -- too",
        ),
    ],
)
def test_a_command_that_is_questioned(service: str, command: list[str], doubt: str) -> None:
    """A Service to where, as far as the command says, nobody listens is written with a word."""
    said = [*doubts(plan(*(["--service", service] if service else []), command=command))]

    assert len(said) == bool(doubt)
    assert doubt in " ".join(said)


RUN = ["run", "--service", "orders:8000", "--"]


@pytest.mark.parametrize(
    ("command", "written"),
    [
        (["uvicorn", "a:b"], ["lifecycle", *RUN, "uvicorn", "a:b"]),
        (["gunicorn", "-w", "4", "a:b"], ["lifecycle", *RUN, "gunicorn", "-w", "4", "a:b"]),
        (["/v/bin/granian", "a:b"], ["/v/bin/lifecycle", *RUN, "/v/bin/granian", "a:b"]),
        (
            ["python3", "-m", "gunicorn", "a:b"],
            ["python3", "-m", "lifecycle", *RUN, "python3", "-m", "gunicorn", "a:b"],
        ),
        (["tini", "--", "uvicorn", "a:b"], ["tini", "--", "lifecycle", *RUN, "uvicorn", "a:b"]),
        (
            ["sh", "-c", "migrate && gunicorn -b :8000 a:b"],
            ["lifecycle", *RUN, "sh", "-c", "migrate && gunicorn -b :8000 a:b"],
        ),
        (
            ["opentelemetry-instrument", "gunicorn", "a:b"],
            ["lifecycle", *RUN, "opentelemetry-instrument", "gunicorn", "a:b"],
        ),
        (
            ["waitress-serve", "--port=8000", "a:b"],
            ["lifecycle", *RUN, "waitress-serve", "--port=8000", "a:b"],
        ),
        (["lifecycle", *RUN, "node", "server.js"], ["lifecycle", *RUN, "node", "server.js"]),
        (["lifecycle", "run", "a:b"], ["lifecycle", "run", "a:b"]),
        (["flask", "db", "upgrade"], ["flask", "db", "upgrade"]),
        (["python", "shop.py"], ["python", "shop.py"]),
    ],
)
def test_a_servers_own_command_is_wrapped(command: list[str], written: list[str]) -> None:
    """It stands under `lifecycle run --`, which is found beside it; what is ours already stays."""
    wanted = plan(command=command)

    assert list(wanted.command) == written
    assert wanted.wrapped is (command != written)
    assert ("LIFECYCLE_SERVICES" in wanted.env) is False


@pytest.mark.parametrize(
    ("command", "front"),
    [
        (["celery", "-A", "shop", "worker"], ""),
        (["python", "-m", "celery", "-A", "shop", "worker"], ""),
        (["sh", "-c", "exec dramatiq shop"], ""),
        (["tini", "--", "rq", "worker"], "tini --"),
    ],
)
def test_a_queue_worker_is_wrapped(command: list[str], front: str) -> None:
    """It has no clients, so it gets no service, and no time in which clients notice the drain."""
    wanted = plan(command=command)

    start = len(front.split())
    assert [*wanted.command[:start]] == front.split()
    assert wanted.command[-len(command[start:]) :] == tuple(command[start:])
    assert wanted.command[start:][: -len(command[start:])][-2:] == ("run", "--")
    assert (wanted.wrapped, [*wanted.services], unopened(wanted)) == (True, [], "")
    for each in (wanted, plan(command=[*wanted.command])):
        assert (each.config.settle, each.config.quiet) == (0.0, 0.0)
    given = plan("--env", "LIFECYCLE_SETTLE=2", command=command)
    assert (given.config.settle, given.config.quiet) == (2.0, 0.0)


@pytest.mark.parametrize(
    ("words", "command", "program"),
    [
        ("", ["./worker", "--fast"], "worker"),
        ("", ["arq", "shop.Worker"], "arq"),
        ("", ["tini", "--", "/venv/bin/shop"], "shop"),
        ("--service=shop:80", ["sh", "-c", "migrate && exec faststream run a:b"], "faststream"),
        ("", ["python", "-m", "shop"], ""),
        ("", ["/venv/bin/python3.12", "shop.py"], ""),
        ("", ["lifecycle", "run", "shop:main"], ""),
        ("", ["lifecycle", "run", "--", "./worker"], ""),
        ("", ["sh", "-c", "exec lifecycle run -- ./worker"], ""),
        ("", ["uvicorn", "a:b"], ""),
        ("", ["flask", "db", "upgrade"], ""),
        ("--profile=job", ["./report"], ""),
    ],
)
def test_a_program_that_may_open_no_qos_port(words: str, command: list[str], program: str) -> None:
    """It may call `lifecycle.run()` itself, so its command stays, and a warning tells."""
    wanted = plan(*words.split(), command=command)

    said = unopened(wanted)
    assert (f"which {program} opens only if" in said) if program else said == ""
    assert program == "" or list(wanted.command) == command


@pytest.mark.parametrize(
    ("words", "command", "variables"),
    [
        ("", ["gunicorn", "a:b"], {"PORT": "8000"}),
        ("--service=orders:9000", ["gunicorn", "a:b"], {"PORT": "9000"}),
        ("--env=PORT=9000", ["gunicorn", "a:b"], {"PORT": "9000"}),
        ("", ["gunicorn", "-b", "0.0.0.0:9000", "a:b"], {}),
        ("--service=orders:9000", ["gunicorn", "-c", "conf.py", "a:b"], {}),
        ("", ["uvicorn", "a:b"], {"UVICORN_HOST": "0.0.0.0"}),
        ("", ["uvicorn", "--host", "::", "a:b"], {}),
        ("", ["granian", "a:b"], {"GRANIAN_HOST": "0.0.0.0"}),
        ("", ["flask", "run"], {"FLASK_RUN_HOST": "0.0.0.0"}),
        ("", ["fastapi", "run"], {}),
    ],
)
def test_a_wrapped_server_is_reached(
    words: str, command: list[str], variables: dict[str, str]
) -> None:
    """A server that is told no address gets the one on which the pod is reached."""
    wanted = plan(*words.split(), command=command)

    assert {k: v for k, v in wanted.env.items() if not k.startswith("LIFECYCLE_")} == variables
    assert [*doubts(wanted)] == []


@pytest.mark.parametrize(
    ("command", "written"),
    [
        (["node", "server.js"], ["lifecycle", *RUN, "node", "server.js"]),
        (
            ["/bin/tini", "--", "java", "-jar", "a.jar"],
            ["/bin/tini", "--", "lifecycle", *RUN, "java", "-jar", "a.jar"],
        ),
        (
            ["sh", "-c", "npm ci; exec node a.js"],
            ["lifecycle", *RUN, "sh", "-c", "npm ci; exec node a.js"],
        ),
        (["sh", "-c", "nginx; exec python a.py"], ["sh", "-c", "nginx; exec python a.py"]),
        (["/app/server"], ["/app/server"]),
    ],
)
def test_what_is_not_python_is_wrapped(command: list[str], written: list[str]) -> None:
    """Nothing else opens the probe port for it; a program that may be ours stays as it is."""
    assert list(plan("--service=orders:8000", command=command).command) == written


@pytest.mark.parametrize(
    "command",
    [["gunicorn", "-c", "conf.py", "a:b"], ["uvicorn", "--uds", "/s", "a:b"], ["node", "a.js"]],
)
def test_a_port_that_is_not_known(command: list[str]) -> None:
    """A Service needs one: it is asked for."""
    with pytest.raises(Refused, match="--service NAME:PORT is missing"):
        plan(command=command)


def test_a_job_is_not_wrapped() -> None:
    """It serves nobody."""
    assert plan("--profile=job", command=UVICORN).command == tuple(UVICORN)
    assert plan("--profile=job", command=["node", "a.js"]).command == ("node", "a.js")
