"""Credential plugins: real programs that print a token or a certificate."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.cluster.kubeconfig import load
from lifecycle_fleet.errors import FleetError

from plugins.fleet.tests.api_server import LATEST, ApiServer, make_certificate

API = "client.authentication.k8s.io/"


def plugin(folder: Path, script: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    """Write a program, and return the user that has it as its plugin."""
    program = folder / "login"
    program.write_text(f"#!/bin/sh\necho run >> {folder}/runs\n{script}\n")
    program.chmod(0o755)
    return {"exec": {"apiVersion": API + version, "command": "./login"} | more}


def answer(**status: object) -> str:
    return f"printf %s '{json.dumps({'kind': 'ExecCredential', 'status': status})}'"


def runs(folder: Path) -> int:
    return (folder / "runs").read_text().count("run")


def ask(path: Path, times: int = 1, side_by_side: int = 1) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LATEST), Api(load(str(path), "", {})) as client:
            for _ in range(times):
                async with asyncio.TaskGroup() as group:
                    for _ in range(side_by_side):
                        group.create_task(client.list(POD, "shop"))

    asyncio.run(scenario())


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_token_is_asked_for_once(api: ApiServer, tmp_path: Path, version: str) -> None:
    """Both versions are known, and the plugin runs once for all requests, side by side too."""
    path = api.kubeconfig(tmp_path, **plugin(tmp_path, answer(token="letmein"), version))

    ask(path, times=2, side_by_side=3)

    assert runs(tmp_path) == 1
    assert len(api.asked) == 6


def test_a_token_that_is_refused_is_asked_for_again(api: ApiServer, tmp_path: Path) -> None:
    """After a 401 the plugin runs once more, and the request is sent once more."""
    (tmp_path / "token").write_text("old")
    script = f'printf \'{{"status": {{"token": "%s"}}}}\' "$(cat {tmp_path}/token)"'
    path = api.kubeconfig(tmp_path, **plugin(tmp_path, script))

    async def scenario() -> None:
        async with asyncio.timeout(LATEST), Api(load(str(path), "", {})) as client:
            for token in ("old", "new"):
                api.token = token
                (tmp_path / "token").write_text(token)
                await client.list(POD, "shop")

    asyncio.run(scenario())
    assert runs(tmp_path) == 2


def test_a_token_that_has_expired_is_not_sent(api: ApiServer, tmp_path: Path) -> None:
    """A time in the past makes the plugin run before each request."""
    status = answer(token="letmein", expirationTimestamp="2020-01-01T00:00:00Z")
    path = api.kubeconfig(tmp_path, **plugin(tmp_path, status))

    async def scenario() -> None:
        async with asyncio.timeout(LATEST), Api(load(str(path), "", {})) as client:
            for _ in range(2):
                await client.list(POD, "shop")

    asyncio.run(scenario())
    assert runs(tmp_path) == 2


def test_a_certificate_of_a_plugin(certificate: Path, tmp_path: Path) -> None:
    """A plugin may give a certificate and its key, as Teleport's does."""
    mine = make_certificate(tmp_path)
    status = answer(
        clientCertificateData=(mine / "ca.crt").read_text(),
        clientKeyData=(mine / "key.pem").read_text(),
    )
    with ApiServer(tls=certificate, client_ca=mine / "ca.crt") as server:
        ask(server.kubeconfig(tmp_path, **plugin(tmp_path, status)))


def test_what_a_plugin_is_told(api: ApiServer, tmp_path: Path) -> None:
    """It gets its arguments, its variables, and the cluster if it wants it."""
    script = f'echo "$1 $ME $KUBERNETES_EXEC_INFO" > {tmp_path}/told; {answer(token="letmein")}'
    more = {"args": ["a b"], "env": [{"name": "ME", "value": "x"}], "provideClusterInfo": True}

    ask(api.kubeconfig(tmp_path, **plugin(tmp_path, script, **more)))

    words, _, information = (tmp_path / "told").read_text().partition("{")
    assert words == "a b x "
    spec = json.loads("{" + information)["spec"]
    assert spec == {"interactive": False, "cluster": {"server": api.url}}


@pytest.mark.parametrize(
    ("script", "more", "problem"),
    [
        ("exit 3", {}, "the plugin ended with exit code 3"),
        ("echo hello", {}, "the answer is not an ExecCredential"),
        ("echo '{\"status\": 1}'", {}, "the answer is not an ExecCredential"),
        ("echo '{\"status\": {}}'", {}, "the answer has neither a token nor a certificate"),
        ("", {"env": [{"key": "ME"}]}, "its args or its env are not lists as kubectl reads them"),
        ("", {"args": 7}, "its args or its env are not lists as kubectl reads them"),
        ("", {"apiVersion": API + "v9"}, "the apiVersion 'client.authentication.k8s.io/v9' is not"),
        (
            "",
            {"command": "no-such-login", "installHint": "Install it."},
            "no-such-login: the plugin cannot be started: No such file or directory. Install it.",
        ),
    ],
)
def test_what_goes_wrong_is_named(
    api: ApiServer, tmp_path: Path, script: str, more: dict[str, Any], problem: str
) -> None:
    """The message names the plugin, and says what it did."""
    with pytest.raises(ExceptionGroup) as raised:
        ask(api.kubeconfig(tmp_path, **plugin(tmp_path, script, **more)))

    (error,) = raised.value.exceptions
    assert isinstance(error, FleetError)
    assert "the credential plugin " in str(error)
    assert problem in str(error)
