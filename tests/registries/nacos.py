"""A real Nacos server of one node, read through its HTTP API."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from lifecycle.testing import free_port
from tests.registries.building import java
from tests.registries.http_client import Answer, ask
from tests.registries.server import Entry, Server

MAIN: Final = "lifecycle.NacosServer"
JVM: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
OFFSETS: Final = (1000, 1001, -1000)
"""Where its other ports are, from the first: gRPC of clients, gRPC of servers, Raft."""
OPERATOR: Final = ("nacos", "nacos")
"""The name and the password of the account that may do all, where there are accounts."""
LONG: Final = 3_600_000
"""Milliseconds that an entry of another process stays."""
SETTINGS: Final = {
    "server.servlet.contextPath": "/nacos",
    "server.address": "127.0.0.1",
    "nacos.inetutils.ip-address": "127.0.0.1",
    "nacos.core.auth.system.type": "nacos",
    "nacos.core.auth.caching.enabled": "false",  # or a right that is revoked stays for 15 s
    "nacos.core.auth.server.identity.key": "test",
    "nacos.core.auth.server.identity.value": "test",
    "nacos.core.auth.plugin.nacos.token.secret.key": base64.b64encode(b"0" * 48).decode(),
    "management.metrics.export.elastic.enabled": "false",
    "management.metrics.export.influx.enabled": "false",
    "server.tomcat.accesslog.enabled": "false",
}
_RIGHTS: Final = {"role": "app", "resource": ":*:*", "action": "rw"}


class Nacos(Server):
    """
    The server.

    Args:
        folder: Where its folder is made.
        user: Who may read and write. Without it, everyone may.
        password: Of the user.
        token_ttl: Seconds that a token is valid.
        namespace: The namespace whose entries are listed.
    """

    name: ClassVar[str] = "nacos"

    def __init__(
        self,
        folder: Path,
        *,
        user: str = "",
        password: str = "",
        token_ttl: int = 18000,
        namespace: str = "public",
    ) -> None:
        super().__init__(folder)
        while not all(_is_free(self.port + offset) for offset in OFFSETS):
            self.port = free_port()
        self.user = user
        self.password = password
        self.token_ttl = token_ttl
        self.namespace = namespace

    def argv(self) -> list[str]:
        settings = SETTINGS | {
            "server.port": str(self.port),
            "nacos.core.auth.enabled": "true" if self.user else "false",
            "nacos.core.auth.plugin.nacos.token.expire.seconds": str(self.token_ttl),
        }
        lines = "".join(f"{key}={value}\n" for key, value in settings.items())
        (self.folder / "application.properties").write_text(lines)
        properties = {
            "nacos.standalone": "true",
            "nacos.home": self.data,
            "user.home": self.data,
            "spring.config.additional-location": f"file:{self.folder}/",
        }
        words = [f"-D{key}={value}" for key, value in properties.items()]
        return ["java", *JVM, *words, "-cp", java("nacos"), MAIN]

    def serves(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self._ask("GET", "v1/ns/operator/metrics")
            return answer.status == 200 and answer.body["status"] == "UP"
        return False

    def started(self) -> None:
        if self.user and self.user not in self._users():
            self.do("POST", "v1/auth/users", username=self.user, password=self.password)
            self.do("POST", "v1/auth/roles", username=self.user, role=_RIGHTS["role"])
            self.grant()

    def _users(self) -> set[str]:
        found = self.do("GET", "v1/auth/users", search="accurate", pageNo=1, pageSize=100)
        return {each["username"] for each in found["pageItems"]}

    def do(self, method: str, path: str, **fields: Any) -> Any:
        """Send a request of the operator below `/nacos/`, and return the answer."""
        answer = self._ask(method, path, **fields)
        assert answer.status == 200, answer
        return answer.body

    def _ask(self, method: str, path: str, **fields: Any) -> Answer:
        if self.user:
            fields["accessToken"] = self._token()
        return ask(self.port, method, f"/nacos/{path}?{urlencode(fields)}")

    def _token(self) -> str:
        name, password = OPERATOR
        form = urlencode({"username": name, "password": password})
        answer = ask(self.port, "POST", f"/nacos/v1/auth/login?{form}")
        return str(answer.body["accessToken"]) if answer.status == 200 else ""

    def entries(self) -> dict[str, Entry]:
        """Return the healthy instances by `GROUP@@SERVICE IP:PORT`."""
        return self._instances(healthy_only=True)

    def everything(self) -> dict[str, Entry]:
        """Return also the instances whose beats are missing, which stay for some time."""
        return self._instances(healthy_only=False)

    def _instances(self, *, healthy_only: bool) -> dict[str, Entry]:
        found = self.do(
            *("GET", "v1/ns/catalog/services"),
            namespaceId=self.namespace,
            withInstances="true",
            pageNo=1,
            pageSize=10_000,
        )
        return {
            f"{service['groupName']}@@{service['serviceName']} {host['ip']}:{host['port']}": Entry(
                json.dumps(host, sort_keys=True)
            )
            for service in found
            for cluster in service["clusterMap"].values()
            for host in cluster["hosts"]
            if host["valid"] or not healthy_only
        }

    def config(self, data_id: str, group: str) -> str:
        """Return what is published, or nothing."""
        tenant = "" if self.namespace == "public" else self.namespace
        answer = self._ask("GET", "v1/cs/configs", dataId=data_id, group=group, tenant=tenant)
        return str(answer.body) if answer.status == 200 else ""

    def remove(self, key: str) -> None:
        self.do("DELETE", "v1/ns/instance", ephemeral="true", **self._fields(key))

    def take(self, key: str, value: str) -> None:
        """Register the same address again, with `value` as metadata."""
        metadata = {
            "taken": value,
            "preserved.heart.beat.timeout": str(LONG),
            "preserved.ip.delete.timeout": str(LONG),
        }
        self.do(
            *("POST", "v1/ns/instance"),
            ephemeral="true",
            metadata=json.dumps(metadata),
            **self._fields(key),
        )

    def _fields(self, key: str) -> dict[str, str]:
        service, _, address = key.rpartition(" ")
        ip, _, port = address.rpartition(":")
        return {"serviceName": service, "namespaceId": self.namespace, "ip": ip, "port": port}

    def revoke(self) -> None:
        self.do("DELETE", "v1/auth/permissions", **_RIGHTS)

    def grant(self) -> None:
        self.do("POST", "v1/auth/permissions", **_RIGHTS)

    def rotate(self, password: str) -> None:
        self.do("PUT", "v1/auth/users", username=self.user, newPassword=password)
        self.password = password


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("", port))
        except OSError:
            return False
    return True
