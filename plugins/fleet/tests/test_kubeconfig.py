"""Kubeconfigs as they are read: which file, which entry, and what is wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.cluster.kubeconfig import load
from lifecycle_fleet.errors import FleetError

SERVER = "https://10.0.0.1:6443"


def write(path: Path, *, name: str = "dev", current: str | None = "", **parts: Any) -> str:
    """Write a kubeconfig with one context, one cluster and one user, all of one name."""
    context = {"cluster": name, "user": name} | parts.get("context", {})
    content = {
        "current-context": name if current == "" else current,
        "clusters": [{"name": name, "cluster": {"server": SERVER} | parts.get("cluster", {})}],
        "contexts": [{"name": name, "context": context}],
        "users": [{"name": name, "user": parts.get("user", {"token": name})}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_an_option_comes_before_the_environment(tmp_path: Path) -> None:
    """`--kubeconfig` is the only file that is read."""
    one, other = write(tmp_path / "one"), write(tmp_path / "other", name="other")

    assert load(one, "", {"KUBECONFIG": other}).config.context_name == "dev"


def test_the_default_is_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a variable it is ~/.kube/config."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / ".kube" / "config", name="home")

    assert load(environ={}).config.context_name == "home"


def test_of_several_files_the_first_one_counts(tmp_path: Path) -> None:
    """The current context and each entry come from the first file that has them."""
    first = write(tmp_path / "first", user={"token": "first"}, current=None)
    second = write(tmp_path / "second", user={"token": "second"}, context={"namespace": "b"})
    third = write(tmp_path / "third", name="third")
    environ = {"KUBECONFIG": f"{first}:{tmp_path / 'none'}::{second}:{third}"}

    found = load(environ=environ).config

    assert found.user is not None
    assert (found.context_name, found.user.token, found.namespace) == ("dev", "first", "default")
    assert load(context="third", environ=environ).config.context_name == "third"


def test_a_relative_path_starts_at_the_folder_of_its_file(tmp_path: Path) -> None:
    """This holds for certificates, keys, token files, and programs with a slash."""
    user = {
        "client-certificate": "pki/user.crt",
        "client-key": "/etc/user.key",
        "tokenFile": "token",
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./bin/login"},
    }
    cluster = {"certificate-authority": "../ca.crt"}
    found = load(write(tmp_path / "a" / "config", user=user, cluster=cluster), environ={})

    assert found.config.user is not None
    assert found.config.cluster.certificate_auth == f"{tmp_path}/a/../ca.crt"
    assert found.config.user.client_cert == f"{tmp_path}/a/pki/user.crt"
    assert found.config.user.client_key == "/etc/user.key"
    assert found.config.user.token_file == f"{tmp_path}/a/token"
    assert found.plugin is not None
    assert found.plugin["command"] == f"{tmp_path}/a/bin/login"


def test_a_program_without_a_slash_is_on_the_path(tmp_path: Path) -> None:
    """`aws` stays `aws`."""
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws"}

    found = load(write(tmp_path / "config", user={"exec": plugin}), environ={})

    assert found.plugin == plugin


def test_what_else_a_cluster_and_a_user_may_have(tmp_path: Path) -> None:
    """A proxy, the name in the certificate, and a user that acts as another one."""
    user = {
        "token": "t",
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["a", "b"],
        "as-user-extra": {"reason/x": ["why"]},
    }
    cluster = {"proxy-url": "http://proxy:3128", "tls-server-name": "kubernetes"}
    found = load(write(tmp_path / "config", user=user, cluster=cluster), environ={})

    assert (found.proxy, found.server_name) == ("http://proxy:3128", "kubernetes")
    assert found.headers == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-reason/x", "why"),
    )


def test_a_broken_entry_elsewhere_does_no_harm(tmp_path: Path) -> None:
    """Only the entries of the context are looked at."""
    path = tmp_path / "config"
    content = yaml.safe_load(Path(write(path)).read_text())
    content["users"].append({"name": "odd", "user": {"exec": "?", "token": 7}})
    content["clusters"].append({"name": "odd", "cluster": None})
    path.write_text(yaml.safe_dump(content))

    assert load(str(path), environ={}).config.context_name == "dev"


@pytest.mark.parametrize(
    ("parts", "context", "problem"),
    [
        ({}, "dve", "no context 'dve'. Did you mean dev?"),
        ({}, "prod", "no context 'prod'. There is: dev"),
        ({"current": None}, "", "there is no current context. Pass --context"),
        ({"context": {"cluster": "devv"}}, "", "no cluster 'devv'. Did you mean dev?"),
        ({"context": {"cluster": None}}, "", "no cluster ''. There is: dev"),
        ({"context": {"user": "me"}}, "", "no user 'me'. There is: dev"),
        ({"cluster": {"server": ""}}, "", "the server '' of the cluster is not an http or https"),
        ({"cluster": {"server": "10.0.0.1:6443"}}, "", "'10.0.0.1:6443' of the cluster is not"),
        ({"cluster": {"server": "https://"}}, "", "'https://' of the cluster is not an http"),
        ({"cluster": {"certificate-authority-data": 7}}, "", "Expected `str"),
        (
            {"cluster": {"proxy-url": "ftp://me:secret@x"}},
            "",
            "the proxy with the scheme 'ftp' is not an http, https or",
        ),
        ({"user": {"auth-provider": {"name": "gcp"}}}, "", "'dev' has an auth-provider, which"),
        ({"user": {"exec": {}}}, "", "the credential plugin of the user 'dev' has no command"),
        ({"user": {"exec": "login"}}, "", "the credential plugin of the user 'dev' has no command"),
        ({"user": "me"}, "", "the user 'dev' is not a mapping"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, parts: dict[str, Any], context: str, problem: str
) -> None:
    """The message names the file, the entry, and the nearest name."""
    path = write(tmp_path / "config", **parts)

    with pytest.raises(FleetError) as raised:
        load(path, context, {})

    assert f"the kubeconfig {path}: " in str(raised.value)
    assert problem in str(raised.value)
    assert raised.value.see.endswith("errors.md#fleet-kubeconfig")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: 1\nb: [", "line 2: expected the node content"),
        ("- a", "not a kubeconfig"),
        ("clusters: [1]", "not subscriptable"),
        ("clusters: [{}]\ncontexts: 1", "not a kubeconfig (KeyError('name'))"),
        ("contexts: 1", "'int' object is not iterable"),
        ("\x00", "special characters are not allowed"),
    ],
)
def test_a_file_that_is_something_else(tmp_path: Path, content: str, problem: str) -> None:
    """The message is one line, names the file, and says what is wrong."""
    path = tmp_path / "config"
    path.write_text(content)

    with pytest.raises(FleetError) as raised:
        load(str(path), "", {})

    assert f"the kubeconfig {path}: " in str(raised.value)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that you name must be there."""
    with pytest.raises(FleetError, match="config: No such file or directory"):
        load(str(tmp_path / "config"), "", {})


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"KUBECONFIG": "/nowhere"}, "KUBECONFIG names /nowhere, and there is no such file"),
        ({}, "there is no kubeconfig. Set KUBECONFIG, pass --kubeconfig, or create ~/.kube/config"),
    ],
)
def test_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], problem: str
) -> None:
    """Without any file, the message says what to set."""
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(FleetError) as raised:
        load(environ=environ, account=str(tmp_path))

    assert problem in str(raised.value)


def test_a_pod_has_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pod without a kubeconfig, the token, the namespace and the address are those of the pod."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "token").write_text("secret")
    (tmp_path / "namespace").write_text("shop")
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}

    found = load(environ=environ, account=str(tmp_path)).config

    assert found.user is not None
    assert (found.cluster.server, found.namespace) == ("https://10.96.0.1:443", "shop")
    assert found.user.token_file == str(tmp_path / "token")
    with pytest.raises(FleetError, match="--context prod: there is no kubeconfig"):
        load(context="prod", environ=environ, account=str(tmp_path))


KEYS = st.sampled_from(["name", "cluster", "user", "context", "exec", "server", "as-groups"])
Leaf = st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "a", "http://a"])
Entry = st.dictionaries(KEYS, Leaf | st.lists(Leaf, max_size=2) | st.dictionaries(KEYS, Leaf))
Anything = Leaf | Entry | st.lists(Leaf | Entry, max_size=3)


@given(content=st.dictionaries(st.sampled_from(["clusters", "contexts", "users"]), Anything))
def test_nothing_in_a_file_shows_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    """Whatever a file has, it is read, or there is one message."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_text(yaml.safe_dump(content | {"current-context": "a"}))

    with contextlib.suppress(FleetError):
        load(str(path), "", {})
