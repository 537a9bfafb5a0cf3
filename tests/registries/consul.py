"""A real Consul agent, which is its own server, read through its HTTP API."""

from __future__ import annotations

import contextlib
import http.client
import json
import uuid
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

from lifecycle.testing import free_port
from tests.process.waiting import wait_for
from tests.registries.building import go
from tests.registries.certificates import Authority
from tests.registries.http_client import Answer, ask
from tests.registries.server import STARTED, Entry, Server

OPERATOR: Final = "00000000-0000-4000-8000-000000000001"
"""The token that may do all, where there are tokens."""
RULES: Final = 'service_prefix "" { policy = "write" } node_prefix "" { policy = "read" }'
"""What the token of the app may do."""
_POLICY: Final = "app"


class Consul(Server):
    """
    The agent.

    Args:
        folder: Where its folder is made.
        token: Who may register. Without it, everyone may. `str(uuid.uuid4())` makes one.
        authority: Signs the certificate of a second port, `tls_port`, which speaks TLS.
        wants_certificate: On that port, a client without a certificate is refused.
    """

    name: ClassVar[str] = "consul"

    def __init__(
        self,
        folder: Path,
        *,
        token: str = "",
        authority: Authority | None = None,
        wants_certificate: bool = False,
    ) -> None:
        super().__init__(folder)
        self.token = token
        self.authority = authority
        self.wants_certificate = wants_certificate
        self.tls_port = free_port() if authority else 0
        self._ports = {"server": free_port(), "serf_lan": free_port()}

    def argv(self) -> list[str]:
        closed = dict.fromkeys(("dns", "grpc", "grpc_tls", "serf_wan"), -1)
        open_ports = {"http": self.port, "https": self.tls_port or -1} | self._ports
        settings = {
            "server": True,
            "bootstrap_expect": 1,
            "node_name": "one",
            "data_dir": str(self.data),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "ports": closed | open_ports,
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
            "log_level": "warn",
        }
        if self.token:
            settings["acl"] = {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"initial_management": OPERATOR, "agent": OPERATOR},
            }
        if self.authority is not None:
            pair = self.authority.sign(f"consul-{self.tls_port}", "IP:127.0.0.1", "DNS:localhost")
            settings["tls"] = {
                "https": {
                    "ca_file": str(self.authority.certificate),
                    "cert_file": str(pair.certificate),
                    "key_file": str(pair.key),
                    "verify_incoming": self.wants_certificate,
                }
            }
        path = self.folder / "consul.json"
        path.write_text(json.dumps(settings))
        return [str(go("consul")), f"-config-file={path}"]

    def serves(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self._ask("GET", "catalog/node/one")
            return answer.status == 200 and bool(answer.body)
        return False

    def started(self) -> None:
        if not self.token:
            return
        wait_for(lambda: self._ask("GET", "acl/policies").status == 200, STARTED, "the tokens work")
        known = {each["Name"] for each in self.do("GET", "acl/policies")}
        if _POLICY not in known:
            self.do("PUT", "acl/policy", Name=_POLICY, Rules=RULES)
            self._make_token()

    def do(self, method: str, path: str, **body: Any) -> Any:
        """Send a request of the operator below `/v1/`, and return the answer."""
        answer = self._ask(method, path, **body)
        assert answer.status == 200, answer
        return answer.body

    def _ask(self, method: str, path: str, **body: Any) -> Answer:
        headers = {"X-Consul-Token": OPERATOR} if self.token else {}
        text = json.dumps(body) if body else None
        return ask(self.port, method, f"/v1/{path}", text, headers=headers)

    def entries(self) -> dict[str, Entry]:
        """Return the services whose checks pass, by their ids; the owner is a check's id."""
        return self._found(("passing",))

    def everything(self) -> dict[str, Entry]:
        """Return also the services whose checks fail, which stay for some time."""
        return self._found(("passing", "warning", "critical"))

    def _found(self, wanted: tuple[str, ...]) -> dict[str, Entry]:
        services = (self.do("GET", "catalog/node/one") or {}).get("Services", {})
        checks = self.do("GET", "health/node/one")
        bad = {each["ServiceID"] for each in checks if each["Status"] not in wanted}
        owners = {each["ServiceID"]: each["CheckID"] for each in checks}
        return {
            key: Entry(json.dumps(service, sort_keys=True), owners.get(key, ""))
            for key, service in services.items()
            if key != "consul" and key not in bad
        }

    def remove(self, key: str) -> None:
        self.do("PUT", f"agent/service/deregister/{quote(key, safe='')}")

    def lapse(self, key: str) -> None:
        check = self.everything()[key].owner
        self.do("PUT", f"agent/check/fail/{quote(check, safe='')}")

    def take(self, key: str, value: str) -> None:
        """Register the id again, for the address in `value`, and without a check."""
        name = json.loads(self.everything()[key].value)["Service"]
        register = "agent/service/register?replace-existing-checks=true"
        self.do("PUT", register, ID=key, Name=name, Address=value)

    def revoke(self) -> None:
        self._update_token([])

    def grant(self) -> None:
        self._update_token([{"Name": _POLICY}])

    def rotate(self, password: str) -> None:
        """Delete the token, and make another one: `password` is a UUID."""
        self.do("DELETE", f"acl/token/{self._accessor()}")
        self.token = password
        self._make_token()

    def _make_token(self) -> None:
        self.do("PUT", "acl/token", SecretID=self.token, Policies=[{"Name": _POLICY}])

    def _update_token(self, policies: list[dict[str, str]]) -> None:
        accessor = self._accessor()
        self.do("PUT", f"acl/token/{accessor}", AccessorID=accessor, Policies=policies)

    def _accessor(self) -> str:
        """Return the id of the app's token, which is not the token itself."""
        tokens = self.do("GET", "acl/tokens")
        return next(str(each["AccessorID"]) for each in tokens if each["SecretID"] == self.token)


def new_token() -> str:
    """Return a token."""
    return str(uuid.uuid4())
