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
    hint = f"{name}: put -- before the command: lifecycle {name} [OPTIONS] -- COMMAND"
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
