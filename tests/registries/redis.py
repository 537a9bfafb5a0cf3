"""A real redis-server, read through redis-cli."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, ClassVar, Final

from lifecycle.testing import free_port
from tests.registries.building import ProgramMissing
from tests.registries.certificates import Authority
from tests.registries.server import Entry, Server

OPERATOR: Final = "operator"
"""The name and the password of the account that may do all, where there are accounts."""
RIGHTS: Final = ("~*", "&*", "+@all")
FIELD: Final = " "
"""Stands between the key of a hash and a field of it."""
_LIST: Final = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'string' then
    local left = tostring(redis.call('PTTL', key))
    table.insert(found, {key, redis.call('GET', key), left})
  elseif kind == 'hash' then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      table.insert(found, {key .. ' ' .. all[i], all[i + 1], '-1'})
    end
  end
end
return found
"""


class Redis(Server):
    """
    The server.

    Args:
        folder: Where its folder is made.
        user: Who may read and write, and nobody else. Without it, everyone may.
        password: Of the user.
        authority: Signs the certificate of a second port, `tls_port`, which speaks TLS.
        wants_certificate: On that port, a client without a certificate is refused.
        words: More words of its command line.
    """

    name: ClassVar[str] = "redis"

    def __init__(
        self,
        folder: Path,
        *words: str,
        user: str = "",
        password: str = "",
        authority: Authority | None = None,
        wants_certificate: bool = False,
    ) -> None:
        super().__init__(folder)
        self.words = words
        self.user = user
        self.password = password
        self.authority = authority
        self.wants_certificate = wants_certificate
        self.tls_port = free_port() if authority else 0

    def argv(self) -> list[str]:
        program = shutil.which("redis-server")
        if program is None:
            raise ProgramMissing(
                "The redis server for the tests is not installed. "
                "Install it (on Debian: apt-get install redis-server)."
            )
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.data,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "no",
            "enable-debug-command": "yes",
        }
        if self.authority is not None:
            pair = self.authority.sign(f"redis-{self.tls_port}", "IP:127.0.0.1", "DNS:localhost")
            settings |= {
                "tls-port": self.tls_port,
                "tls-cert-file": pair.certificate,
                "tls-key-file": pair.key,
                "tls-ca-cert-file": self.authority.certificate,
                "tls-auth-clients": "yes" if self.wants_certificate else "no",
            }
        words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
        words += self.words
        if self.user:
            words += ["--user", OPERATOR, "on", f">{OPERATOR}", *RIGHTS]
            words += ["--user", "default", "off"]
        return [program, *words]

    def serves(self) -> bool:
        return self._cli("PING").stdout.strip() == '"PONG"'

    def started(self) -> None:
        if self.user:
            self.rotate(self.password)

    def do(self, *words: object) -> Any:
        """Send a command of the operator, and return the answer."""
        done = self._cli(*map(str, words))
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def _cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = ["redis-cli", "-p", str(self.port), "--json", "-e"]
        argv += ["--user", OPERATOR] if self.user else []
        login = {"REDISCLI_AUTH": OPERATOR} if self.user else {}
        return subprocess.run(
            [*argv, *words],
            env=os.environ | login,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )

    def entries(self) -> dict[str, Entry]:
        """
        Return the strings by their keys, and the fields of hashes by `KEY FIELD`.

        The owner is `expires` if the server itself removes the entry.
        """
        return {
            key: Entry(value, "expires" if int(left) >= 0 else "")
            for key, value, left in self.do("EVAL", _LIST, 0)
        }

    def remove(self, key: str) -> None:
        name, _, field = key.partition(FIELD)
        self.do(*(("HDEL", name, field) if field else ("DEL", name)))

    def lapse(self, key: str) -> None:
        name, _, field = key.partition(FIELD)
        self.do(*(("HDEL", name, field) if field else ("PEXPIRE", name, 1)))

    def take(self, key: str, value: str) -> None:
        name, _, field = key.partition(FIELD)
        self.do(*(("HSET", name, field, value) if field else ("SET", name, value)))

    def revoke(self) -> None:
        self.do("ACL", "SETUSER", self.user, "-@all")

    def grant(self) -> None:
        self.do("ACL", "SETUSER", self.user, *RIGHTS)

    def rotate(self, password: str) -> None:
        self.password = password
        self.do("ACL", "SETUSER", self.user, "on", "resetpass", f">{password}", *RIGHTS)
