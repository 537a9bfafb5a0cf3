"""The `--` before a command: where it is missing, the command says so."""

from __future__ import annotations

import pytest

from lifecycle.cli.parser import main

MANIFESTS = "manifests --name gunicorn --image a"


@pytest.mark.parametrize(
    "line",
    [
        "rehearse uvicorn a:b",
        "rehearse lifecycle run --service a:{port} -- uvicorn a:b",
        "rehearse --rate 5 lifecycle run -- uvicorn a:b",
        "rehearse --rate 5 lifecycle run --asgi a:b",
        "rehearse tini -- uvicorn a:b",
        f"{MANIFESTS} lifecycle run --service a:1 -- uvicorn a:b",
        "manifests --name a -o kustomize --to a lifecycle run --asgi a:b",
    ],
)
def test_it_is_missing(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also if the command has a `--` of its own."""
    name = line.split(maxsplit=1)[0]
    with pytest.raises(SystemExit):
        main(line.split())
    hint = (
        f"lifecycle {name}: error: put -- before the command: lifecycle {name} [OPTIONS] -- COMMAND"
    )
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    ["rehearse --bogus -- uvicorn", "rehearse --bogus 3 -- a", f"{MANIFESTS} --bogus -- gunicorn"],
)
def test_it_is_there(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option in front of it is told as that."""
    with pytest.raises(SystemExit):
        main(line.split())
    assert "unrecognized arguments: --bogus" in capsys.readouterr().err


def test_a_command_with_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the first `--` counts."""
    main(f"{MANIFESTS} -- lifecycle run --service a:8000 -- gunicorn -b :8000 a:b".split())
    done = capsys.readouterr()
    assert "kind: Deployment" in done.out
    assert "put --" not in done.err


@pytest.mark.parametrize("line", ["rehearse", "rehearse --rate 5", "manifests --name a --image=b"])
def test_no_command(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command, there is nothing to put -- before."""
    with pytest.raises(SystemExit):
        main(line.split())
    said = capsys.readouterr().err
    assert "error: there is no command: lifecycle " in said
    assert "put --" not in said


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("run --serivce shop:80 -- uvicorn a:b", "--serivce. Did you mean --service?"),
        ("run --servce=shop:80 -- uvicorn a:b", "--servce=shop:80. Did you mean --service?"),
        ("run -service shop:80 -- uvicorn a:b", "-service. Did you mean --service?"),
        ("run --serivce a:1 --acess-log b:c", "Did you mean --service and --access-log?"),
        ("check --formt json a", "Did you mean --format?"),
        ("rehearse --repilcas 3 -- a", "Did you mean --replicas?"),
        (f"{MANIFESTS} --profle job -- a", "Did you mean --profile?"),
        ("prestop --prt 5", "Did you mean --port?"),
        ("status --jsn", "Did you mean --json?"),
    ],
)
def test_a_misspelt_option(line: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message has the nearest option, and the usage is that of the subcommand."""
    name = line.split(maxsplit=1)[0]
    with pytest.raises(SystemExit) as left:
        main(line.split())
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert said.startswith(f"usage: lifecycle {name} ")
    assert f"lifecycle {name}: error: unrecognized arguments: " in said
    assert near in said


@pytest.mark.parametrize(
    ("line", "hinted"),
    [
        ("run --asgi a:b --workers 2", True),
        ("run --asgi a:b --workers=2", True),
        ("run a:b --asgi -w 4", True),
        ("run --asgi a:b -w4", True),
        ("run a:b --workers 2", False),
        ("run --asgi a:b --root-path /x", False),
        ("run uvicorn a:b --workers 2", False),
    ],
)
def test_workers(line: str, hinted: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Under --asgi there is one process. The message has the command for several."""
    with pytest.raises(SystemExit):
        main(line.split())
    said = capsys.readouterr().err
    assert (
        ". --asgi serves with one process. For several workers, run a server: lifecycle run "
        "--service NAME:PORT -- uvicorn --port PORT --workers 2 a:b" in said
    ) is hinted


def test_nothing_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    """An option that is like none of ours is named alone, also one of the command."""
    with pytest.raises(SystemExit):
        main(["rehearse", "--bogus", "3", "--", "a", "--prestp"])
    assert "Did you mean" not in capsys.readouterr().err
