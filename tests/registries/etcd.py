"""A real etcd server of one member, read through its JSON gateway."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from pathlib import Path
from typing import Any, ClassVar, Final

from lifecycle.testing import free_port
from tests.registries.building import go
from tests.registries.certificates import Authority
from tests.registries.http_client import Answer, ask
from tests.registries.server import Entry, Server

ROOT: Final = ("root", "operator")
"""The name and the password of the account that may do all, where there are accounts."""
LONG: Final = 3600
"""Seconds that an entry of another process stays."""
_EVERYTHING: Final = base64.b64encode(b"\0").decode()
NO_LEASE: Final = "0"


class EtcdError(Exception):
    """etcd has refused a request."""


class Etcd(Server):
    """
    The server.

    Args:
        folder: Where its folder is made.
        user: Who may read and write. Without it, everyone may.
        password: Of the user.
        authority: Signs the certificate of a second port, `tls_port`, which speaks TLS.
        wants_certificate: On that port, a client without a certificate is refused.
        token_ttl: Seconds after which a token that is not used is no longer valid.
    """

    name: ClassVar[str] = "etcd"

    def __init__(
        self,
        folder: Path,
        *,
        user: str = "",
        password: str = "",
        authority: Authority | None = None,
        wants_certificate: bool = False,
        token_ttl: int = 300,
    ) -> None:
        super().__init__(folder)
        self.user = user
        self.password = password
        self.authority = authority
        self.wants_certificate = wants_certificate
        self.token_ttl = token_ttl
        self.tls_port = free_port() if authority else 0
        self._peer = f"http://127.0.0.1:{free_port()}"

    def argv(self) -> list[str]:
        client = f"http://127.0.0.1:{self.port}"
        if self.authority is not None:
            client += f",https://127.0.0.1:{self.tls_port}"
        settings = {
            "name": "one",
            "data-dir": self.data,
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": self._peer,
            "initial-advertise-peer-urls": self._peer,
            "initial-cluster": f"one={self._peer}",
            # A lease lasts 1.5 election timeouts at least: 1 s is possible.
            "heartbeat-interval": 50,
            "election-timeout": 500,
            "auth-token-ttl": self.token_ttl,
            "bcrypt-cost": 4,
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        } | self._tls()
        return [str(go("etcd")), *(f"--{key}={value}" for key, value in settings.items())]

    def _tls(self) -> dict[str, object]:
        if self.authority is None:
            return {}
        pair = self.authority.sign(f"etcd-{self.tls_port}", "IP:127.0.0.1", "DNS:localhost")
        both: dict[str, object] = {"cert-file": pair.certificate, "key-file": pair.key}
        if self.wants_certificate:
            both |= {"client-cert-auth": "true", "trusted-ca-file": self.authority.certificate}
        return both

    def serves(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = ask(self.port, "GET", "/health", timeout=5)
            return answer.status == 200 and answer.body["health"] == "true"
        return False

    def started(self) -> None:
        if not self.user or self._login().status == 200:
            return
        for name, password, role in ((*ROOT, "root"), (self.user, self.password, "all")):
            self.do("auth/role/add", name=role)
            self.do("auth/user/add", name=name, password=password)
            self.do("auth/user/grant", user=name, role=role)
        everything = {"permType": "READWRITE", "key": _EVERYTHING, "range_end": _EVERYTHING}
        self.do("auth/role/grant", name="all", perm=everything)
        self.do("auth/enable")

    def do(self, path: str, **body: Any) -> Any:
        """
        Send a request of the operator, and return the answer.

        Args:
            path: The path below `/v3/`.
            body: What is sent. Keys and values are in base64.

        Raises:
            EtcdError: The server has refused it.
        """
        headers = {}
        if self.user and (login := self._login()).status == 200:
            headers["Authorization"] = login.body["token"]
        answer = ask(self.port, "POST", f"/v3/{path}", json.dumps(body), headers=headers)
        if answer.status != 200:
            raise EtcdError(answer.body)
        return answer.body

    def _login(self) -> Answer:
        name, password = ROOT
        body = json.dumps({"name": name, "password": password})
        return ask(self.port, "POST", "/v3/auth/authenticate", body)

    def entries(self) -> dict[str, Entry]:
        """Return all keys; the owner is the lease in hexadecimal, or nothing."""
        found = self.do("kv/range", key=_EVERYTHING, range_end=_EVERYTHING).get("kvs", [])
        return {
            _decoded(each["key"]): Entry(
                _decoded(each.get("value", "")), _owner(each.get("lease", NO_LEASE))
            )
            for each in found
        }

    def leases(self) -> set[str]:
        """Return the ids of all leases in hexadecimal."""
        return {_owner(each["ID"]) for each in self.do("lease/leases").get("leases", [])}

    def remove(self, key: str) -> None:
        self.do("kv/deleterange", key=_encoded(key))

    def lapse(self, key: str) -> None:
        self.do("lease/revoke", ID=str(int(self.entries()[key].owner, 16)))

    def take(self, key: str, value: str) -> None:
        lease = self.do("lease/grant", TTL=LONG)["ID"]
        self.do("kv/put", key=_encoded(key), value=_encoded(value), lease=lease)

    def revoke(self) -> None:
        self.do("auth/user/revoke", name=self.user, role="all")

    def grant(self) -> None:
        self.do("auth/user/grant", user=self.user, role="all")

    def rotate(self, password: str) -> None:
        self.do("auth/user/changepw", name=self.user, password=password)
        self.password = password


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _owner(lease: str) -> str:
    return "" if lease == NO_LEASE else f"{int(lease):#x}"
