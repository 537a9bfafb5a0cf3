"""A real ZooKeeper server of one node."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import ClassVar, Final

from lifecycle.testing import free_port
from tests.registries.building import java
from tests.registries.certificates import Authority
from tests.registries.server import Entry, Server
from tests.registries.zookeeper_client import (
    ANYONE,
    Node,
    ZooKeeperClient,
    ZooKeeperError,
    account_id,
)

MAIN: Final = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
JVM: Final = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
OPERATOR: Final = "super:operator"
"""The account that may do all, as `user:password`."""
_OWN: Final = "/zookeeper"


class ZooKeeper(Server):
    """
    The server.

    Args:
        folder: Where its folder is made.
        user: Who may read and write, and nobody else. Without it, everyone may.
        password: Of the user.
        authority: Signs the certificate of a second port, `tls_port`, which speaks TLS.
        wants_certificate: On that port, a client without a certificate is refused.
        tick: The server's unit of time, in s. A session lasts 2 ticks at least.
    """

    name: ClassVar[str] = "zookeeper"

    def __init__(
        self,
        folder: Path,
        *,
        user: str = "",
        password: str = "",
        authority: Authority | None = None,
        wants_certificate: bool = False,
        tick: float = 0.5,
    ) -> None:
        super().__init__(folder)
        self.user = user
        self.password = password
        self.authority = authority
        self.wants_certificate = wants_certificate
        self.tick = tick
        self.tls_port = free_port() if authority else 0
        self._others: list[ZooKeeperClient] = []

    @property
    def account(self) -> str:
        """`user:password`, or nothing."""
        return f"{self.user}:{self.password}" if self.user else ""

    def argv(self) -> list[str]:
        settings = {
            "dataDir": self.data,
            "clientPort": self.port,
            "clientPortAddress": "127.0.0.1",
            "tickTime": int(self.tick * 1000),
            "maxSessionTimeout": 120_000,
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "srvr",
            "forceSync": "no",
            "preAllocSize": 64,
        } | self._tls()
        path = self.folder / "zoo.cfg"
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        properties = {
            "org.slf4j.simpleLogger.defaultLogLevel": "info",
            "org.slf4j.simpleLogger.showDateTime": "true",
            "zookeeper.DigestAuthenticationProvider.superDigest": account_id(OPERATOR),
        }
        words = [f"-D{key}={value}" for key, value in properties.items()]
        return ["java", *JVM, *words, "-cp", java("zookeeper"), MAIN, str(path)]

    def _tls(self) -> dict[str, object]:
        if self.authority is None:
            return {}
        pair = self.authority.sign(f"zookeeper-{self.tls_port}", "IP:127.0.0.1", "DNS:localhost")
        both = self.folder / "server.pem"
        both.write_text(pair.key.read_text() + pair.certificate.read_text())
        return {
            "secureClientPort": self.tls_port,
            "secureClientPortAddress": "127.0.0.1",
            "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
            "ssl.keyStore.location": both,
            "ssl.keyStore.type": "PEM",
            "ssl.trustStore.location": self.authority.certificate,
            "ssl.trustStore.type": "PEM",
            "ssl.clientAuth": "need" if self.wants_certificate else "none",
            "ssl.hostnameVerification": "false",  # of clients, whose certificates name no host
        }

    def serves(self) -> bool:
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), 5) as one:
                one.sendall(b"srvr")
                if b"Mode: standalone" not in one.recv(4096, socket.MSG_WAITALL):
                    return False
            if self.tls_port:  # it opens later
                socket.create_connection(("127.0.0.1", self.tls_port), 5).close()
            return True
        return False

    def started(self) -> None:
        if self.user:
            self.grant()

    def client(self, account: str = OPERATOR, session: float = 60.0) -> ZooKeeperClient:
        """Return a client of the operator, or of another account."""
        return ZooKeeperClient(self.port, account=account, session=session)

    def entries(self) -> dict[str, Entry]:
        """Return the ephemeral nodes by their paths; the owner is the session in hexadecimal."""
        return {
            path: Entry(node.data.decode(), f"{node.owner:#x}")
            for path, node in self.nodes().items()
            if node.owner
        }

    def nodes(self, path: str = "/") -> dict[str, Node]:
        """Return all nodes below a path by their paths, but not ZooKeeper's own."""
        with self.client() as client:
            return {each: node for each, node in client.tree(path) if not each.startswith(_OWN)}

    def remove(self, key: str) -> None:
        with self.client() as client:
            client.delete(key)

    def take(self, key: str, value: str) -> None:
        """Replace a node by one that another session owns until the server ends."""
        other = self.client()
        self._others.append(other)
        with contextlib.suppress(ZooKeeperError):
            other.delete(key)
        other.create(key, value.encode(), ephemeral=True, acl=self._allowed)

    @property
    def _allowed(self) -> tuple[str, str]:
        return ("digest", account_id(self.account)) if self.user else ANYONE

    def revoke(self) -> None:
        self._let(("digest", account_id(OPERATOR)))

    def grant(self) -> None:
        self._let(self._allowed)

    def _let(self, who: tuple[str, str]) -> None:
        """Give all nodes to somebody. The sessions that own them stay the same."""
        with self.client() as client:
            for path, _ in list(client.tree()):
                if not path.startswith(_OWN):
                    client.set_acl(path, who)

    def kill(self) -> None:
        super().kill()
        while self._others:
            self._others.pop().drop()
