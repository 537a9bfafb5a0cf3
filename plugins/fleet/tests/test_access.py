"""Connections to an API server: certificates, tokens, proxies."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.cluster.kubeconfig import load
from lifecycle_fleet.errors import ApiServerError, FleetError

from plugins.fleet.tests import api_routes
from plugins.fleet.tests.api_server import LATEST, ApiServer, make_certificate
from plugins.fleet.tests.proxy import Proxy


@pytest.fixture
def secure(certificate: Path) -> Iterator[ApiServer]:
    """An API server over TLS."""
    with ApiServer(tls=certificate) as server:
        yield server


def list_pods(path: Path | str, environ: dict[str, str] | None = None) -> int:
    """Return how many pods a list has, or raise what the command would."""

    async def ask() -> int:
        async with asyncio.timeout(LATEST), Api(load(str(path), "", environ or {})) as client:
            return len((await client.list(POD, "shop"))[1])

    return asyncio.run(ask())


def change(path: Path, kind: str, **values: Any) -> None:
    """Change the cluster or the user of a kubeconfig. None removes a value."""
    content = yaml.safe_load(path.read_text())
    entry = content[f"{kind}s"][0]
    merged = entry[kind] | {name.replace("_", "-"): value for name, value in values.items()}
    entry[kind] = {name: value for name, value in merged.items() if value is not None}
    path.write_text(yaml.safe_dump(content))


def test_a_certificate_authority_in_a_file(secure: ApiServer, tmp_path: Path) -> None:
    """The server is trusted by the file of the kubeconfig."""
    assert list_pods(secure.kubeconfig(tmp_path)) == 0


def test_a_certificate_authority_as_data(secure: ApiServer, tmp_path: Path) -> None:
    """The same, in the kubeconfig itself."""
    path = secure.kubeconfig(tmp_path)
    data = base64.b64encode((secure.tls / "ca.crt").read_bytes()).decode()  # type: ignore[operator]
    change(path, "cluster", certificate_authority=None, certificate_authority_data=data)

    assert list_pods(path) == 0


def test_a_server_that_is_not_trusted(secure: ApiServer, tmp_path: Path) -> None:
    """Nothing is sent to it, and the message says so."""
    path = secure.kubeconfig(tmp_path)
    change(path, "cluster", certificate_authority=None)

    with pytest.raises(ApiServerError, match=r"untrusted: .*self-signed certificate"):
        list_pods(path)
    assert secure.asked == []

    change(path, "cluster", insecure_skip_tls_verify=True)
    assert list_pods(path) == 0


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    """`tls-server-name` names what the certificate must have."""
    folder = make_certificate(tmp_path, "DNS:cluster.example")
    with ApiServer(tls=folder) as server:
        path = server.kubeconfig(tmp_path)
        with pytest.raises(ApiServerError, match="untrusted"):
            list_pods(path)
        change(path, "cluster", tls_server_name="cluster.example")
        assert list_pods(path) == 0


@pytest.mark.parametrize("as_data", [False, True])
def test_a_certificate_of_a_client(certificate: Path, tmp_path: Path, *, as_data: bool) -> None:
    """A user may have a certificate and a key in place of a token, as files or as data."""
    mine = make_certificate(tmp_path)
    names = {"client-certificate": mine / "ca.crt", "client-key": mine / "key.pem"}
    user = {name: str(path) for name, path in names.items()}
    if as_data:
        user = {
            f"{name}-data": base64.b64encode(path.read_bytes()).decode()
            for name, path in names.items()
        }
    with ApiServer(tls=certificate, client_ca=mine / "ca.crt") as server:
        assert list_pods(server.kubeconfig(tmp_path, **user)) == 0
        with pytest.raises(ApiServerError, match="unauthorized"):
            list_pods(server.kubeconfig(tmp_path, token="wrong"))


def test_a_certificate_that_cannot_be_read(secure: ApiServer, tmp_path: Path) -> None:
    """A file that is not there, or is no certificate, is a message."""
    path = secure.kubeconfig(tmp_path)
    (tmp_path / "bad.crt").write_text("no")
    for name in ("none.crt", "bad.crt"):
        change(path, "cluster", certificate_authority=name)
        with pytest.raises(ApiServerError, match="no access"):
            list_pods(path)


def test_a_token_in_a_file_is_read_again_once_it_is_refused(api: ApiServer, tmp_path: Path) -> None:
    """The kubelet rotates the token of a pod."""
    (tmp_path / "token").write_text("old")
    path = api.kubeconfig(tmp_path, tokenFile="token")

    async def ask() -> None:
        async with asyncio.timeout(LATEST), Api(load(str(path), "", {})) as client:
            for token in ("old", "new"):
                api.token = token
                (tmp_path / "token").write_text(f"{token}\n")
                assert await client.list(POD, "shop")

    asyncio.run(ask())


@pytest.mark.parametrize("token_file", ["", "token"])
def test_an_empty_value_is_as_a_missing_one(
    api: ApiServer, tmp_path: Path, token_file: str
) -> None:
    """Programs that write a kubeconfig leave such values in it."""
    (tmp_path / "token").write_text("letmein")
    empty = {"client-certificate": "", "client-key-data": "", "tokenFile": token_file}
    path = api.kubeconfig(tmp_path, token="" if token_file else "letmein", **empty)
    change(path, "cluster", proxy_url="", tls_server_name="", certificate_authority_data="")

    assert list_pods(path) == 0


def test_a_user_that_acts_as_another_one(api: ApiServer, tmp_path: Path) -> None:
    """The server is told, so that nobody has more rights than wanted."""
    path = api.kubeconfig(tmp_path)
    change(path, "user", **{"as": "jane", "as-groups": ["a", "b"]})

    list_pods(path)

    assert api.heads[-1].count("Impersonate-Group: ") == 2
    assert "Impersonate-User: jane" in api.heads[-1]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("named_by", ["environment", "kubeconfig"])
def test_a_proxy(certificate: Path, tmp_path: Path, scheme: str, named_by: str) -> None:
    """A proxy is asked for the name in the kubeconfig, and TLS goes through it."""
    with (
        ApiServer(tls=certificate if scheme == "https" else None) as server,
        Proxy(server.port) as proxy,
    ):
        path = server.kubeconfig(tmp_path)
        change(path, "cluster", server=f"{scheme}://cluster.example:6443")
        environ = {}
        if named_by == "environment":
            environ = {f"{scheme.upper()}_PROXY": proxy.url}
        else:
            change(path, "cluster", proxy_url=proxy.url)

        assert list_pods(path, environ) == 0
        assert "cluster.example:6443" in proxy.asked[0]
        assert len(server.asked) == 1


def test_a_proxy_that_refuses(secure: ApiServer, tmp_path: Path) -> None:
    """The message says that it was the proxy."""
    path = secure.kubeconfig(tmp_path)
    change(path, "cluster", server="https://cluster.example:6443")
    with Proxy(secure.port, refuses=True) as proxy:
        change(path, "cluster", proxy_url=proxy.url)
        with pytest.raises(ApiServerError, match="unreachable: the proxy refuses: 403"):
            list_pods(path)


def test_a_proxy_for_which_a_package_is_missing(secure: ApiServer, tmp_path: Path) -> None:
    """The message names the package."""
    path = secure.kubeconfig(tmp_path)
    change(path, "cluster", proxy_url="socks5://127.0.0.1:1")
    with pytest.raises(FleetError, match=r"no access: .*socksio"):
        list_pods(path)


@pytest.mark.parametrize(
    ("code", "state"),
    [(401, "unauthorized"), (403, "forbidden"), (429, "throttled"), (500, "broken"), (418, "418")],
)
def test_a_refusal_has_a_name(api: ApiServer, tmp_path: Path, code: int, state: str) -> None:
    """The message begins with the kind of failure, and has the server's own reason."""
    api.forced["list"] = code

    with pytest.raises(ApiServerError, match=state):
        list_pods(api.kubeconfig(tmp_path))


def test_a_refusal_is_one_short_line(api: ApiServer, tmp_path: Path) -> None:
    """A webhook, a proxy, or the name of an object may have anything in it."""
    api.forced["list"] = 500
    hostile = "a\x1b]0;b\x07\n\x9b31m\u202ec" + "x" * 10_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_routes, "status", lambda code, _text: {"code": code, "message": hostile})
        with pytest.raises(ApiServerError) as raised:
            list_pods(api.kubeconfig(tmp_path))

    assert str(raised.value).startswith("API server: broken: a�]0;b� �31m�c")
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(
    "answer",
    [{}, {"metadata": None}, {"items": [1], "metadata": {}}, {"metadata": {}, "items": 7}, 7],
)
def test_an_answer_that_is_something_else(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    """As from a proxy with pages of its own. It is a message."""
    monkeypatch.setattr(ApiServer, "_list", lambda *_: answer)
    path = api.kubeconfig(tmp_path)

    async def ask() -> None:
        async with asyncio.timeout(LATEST), Api(load(str(path), "", {})) as client:
            await client.list(POD, "shop", keep=lambda found: found["metadata"])

    with pytest.raises(ApiServerError, match="broken: the answer cannot be read"):
        asyncio.run(ask())


@pytest.mark.parametrize("message", [7, None, {"a": 1}, ""])
def test_a_refusal_without_a_reason(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: Any
) -> None:
    """It has its kind nevertheless."""
    api.forced["list"] = 403
    monkeypatch.setattr(api_routes, "status", lambda *_: {"message": message})
    with pytest.raises(ApiServerError, match="API server: forbidden: "):
        list_pods(api.kubeconfig(tmp_path))


def test_a_server_that_is_something_else(tmp_path: Path) -> None:
    """HTTP in place of HTTPS is a message, and so is a port at which nobody listens."""
    with ApiServer() as server:
        path = server.kubeconfig(tmp_path)
        change(path, "cluster", server=server.url.replace("http:", "https:"))
        with pytest.raises(ApiServerError, match="API server: unreachable"):
            list_pods(path)
    with pytest.raises(ApiServerError, match="API server: unreachable"):
        list_pods(path)
