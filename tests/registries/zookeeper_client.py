"""
A small client of ZooKeeper that blocks, written from the protocol: no code of kazoo is in it.

It has no watches, sends no pings, and does not reconnect. A client that holds ephemeral nodes for
a while asks for a long session.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

CREATE, DELETE, GET, SET, SET_ACL, CHILDREN = 1, 2, 4, 5, 7, 8
AUTH, CLOSE = 100, -11
AUTH_XID: Final = -4
EPHEMERAL: Final = 1
ALL: Final = 31
"""Every permission: read, write, create, delete, admin."""
NO_NODE: Final = -101
ERRORS: Final = {
    -4: "connection loss",
    NO_NODE: "no node",
    -102: "no auth",
    -103: "bad version",
    -108: "ephemeral nodes cannot have children",
    -110: "node exists",
    -111: "not empty",
    -112: "session expired",
    -115: "auth failed",
    -124: "this server wants another authentication",
}
ANYONE: Final = ("world", "anyone")


class ZooKeeperError(Exception):
    """An operation has failed; `code` is ZooKeeper's."""

    def __init__(self, code: int, path: str) -> None:
        super().__init__(f"{path}: {ERRORS.get(code, code)}")
        self.code = code


@dataclass(frozen=True)
class Node:
    """
    A node.

    Attributes:
        data: Its content.
        version: How often the content was set.
        owner: The id of the session that the node ends with, or 0.
    """

    data: bytes
    version: int
    owner: int


class ZooKeeperClient:
    """
    A session.

    Args:
        port: Of the server, on the loopback address.
        account: `user:password`, of the scheme `digest`.
        session: Seconds of the session.
        context: For TLS.
        timeout: Seconds that each answer may take.
    """

    def __init__(
        self,
        port: int,
        *,
        account: str = "",
        session: float = 60.0,
        context: ssl.SSLContext | None = None,
        timeout: float = 10.0,
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._xid = 0
        try:
            if context:
                self._socket = context.wrap_socket(self._socket, server_hostname="127.0.0.1")
            hello = struct.pack(">iqiq", 0, 0, int(session * 1000), 0)
            self._send(hello + _text(b"\0" * 16) + b"\0")
            _, milliseconds, self.id = struct.unpack_from(">iiq", self._receive())
            self.session = milliseconds / 1000
            if account:
                body = struct.pack(">i", 0) + _text("digest") + _text(account)
                self._call(AUTH, body, account.partition(":")[0], xid=AUTH_XID)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session: its ephemeral nodes go."""
        try:
            self._call(CLOSE, b"", "")
        finally:
            self._socket.close()

    def drop(self) -> None:
        """Close the connection alone. The session ends when its time is over."""
        self._socket.close()

    def create(
        self,
        path: str,
        data: bytes = b"",
        *,
        ephemeral: bool = False,
        acl: tuple[str, str] = ANYONE,
    ) -> None:
        """Make a node."""
        flags = struct.pack(">i", EPHEMERAL if ephemeral else 0)
        self._call(CREATE, _text(path) + _text(data) + _acl(acl) + flags, path)

    def delete(self, path: str) -> None:
        """Remove a node, whatever its version is."""
        self._call(DELETE, _text(path) + struct.pack(">i", -1), path)

    def set(self, path: str, data: bytes) -> None:
        """Set the content of a node, whatever its version is."""
        self._call(SET, _text(path) + _text(data) + struct.pack(">i", -1), path)

    def set_acl(self, path: str, acl: tuple[str, str]) -> None:
        """Give all permissions of a node to one account, and to nobody else."""
        self._call(SET_ACL, _text(path) + _acl(acl) + struct.pack(">i", -1), path)

    def get(self, path: str) -> Node:
        """Return a node."""
        answer = self._call(GET, _text(path) + b"\0", path)
        (length,) = struct.unpack_from(">i", answer)
        length = max(length, 0)  # a node without data has the length -1
        stat = struct.unpack_from(">qqqqiiiqiiq", answer, 4 + length)
        return Node(answer[4 : 4 + length], stat[4], stat[7])

    def children(self, path: str) -> list[str]:
        """Return the names of the nodes right below a node."""
        answer = self._call(CHILDREN, _text(path) + b"\0", path)
        (count,) = struct.unpack_from(">i", answer)
        names, at = [], 4
        for _ in range(count):
            (length,) = struct.unpack_from(">i", answer, at)
            names.append(answer[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return sorted(names)

    def tree(self, path: str = "/") -> Iterator[tuple[str, Node]]:
        """Yield a node and all below it. What goes meanwhile is left out."""
        try:
            node, names = self.get(path), self.children(path)
        except ZooKeeperError as error:
            if error.code != NO_NODE:
                raise
            return
        yield path, node
        for name in names:
            yield from self.tree(f"{path.rstrip('/')}/{name}")

    def _call(self, kind: int, body: bytes, path: str, *, xid: int = 0) -> bytes:
        """Send a request, and return what its answer has after the header."""
        if not xid:
            self._xid += 1
            xid = self._xid
        self._send(struct.pack(">ii", xid, kind) + body)
        answer = self._receive()
        got, _, code = struct.unpack_from(">iqi", answer)
        assert got == xid, f"the answer of {xid}, and not of {got}"
        if code:
            raise ZooKeeperError(code, path)
        return answer[16:]

    def _send(self, body: bytes) -> None:
        self._socket.sendall(struct.pack(">i", len(body)) + body)

    def _receive(self) -> bytes:
        (length,) = struct.unpack(">i", self._read(4))
        return self._read(length)

    def _read(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            if not (some := self._socket.recv(count - len(got))):
                raise ConnectionResetError("the server has closed the connection")
            got += some
        return got


def account_id(account: str) -> str:
    """Return what stands in an ACL for `user:password`."""
    user = account.partition(":")[0]
    return f"{user}:{base64.b64encode(hashlib.sha1(account.encode()).digest()).decode()}"


def _text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">i", len(data)) + data


def _acl(who: tuple[str, str]) -> bytes:
    scheme, name = who
    return struct.pack(">ii", 1, ALL) + _text(scheme) + _text(name)
