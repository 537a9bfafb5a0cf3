"""
The messages of the kernel's socket diagnosis, as bytes: requests and answers.

Netlink, `SOCK_DIAG_BY_FAMILY`, see sock_diag(7). The code here uses no sockets.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

ESTABLISHED: Final = 1 << 1
CLOSE_WAIT: Final = 1 << 8
"""The client sends nothing more, and may wait for an answer."""
LISTEN: Final = 1 << 10
CLOSING: Final = 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11
"""Being closed: FIN_WAIT1, FIN_WAIT2, LAST_ACK, CLOSING."""

_DONE, _ERROR, _BY_FAMILY = 3, 2, 20
_REQUEST, _DUMP = 0x1, 0x300
_BYTECODE, _INFO = 1, 2
_GE, _LE, _JUMP = 2, 3, 1
"""Instructions of the filter: local port at least, local port at most, jump."""

_HEADER: Final = struct.Struct("=IHHII")
_QUERY: Final = struct.Struct("=BBBBI48x")
_STEP: Final = struct.Struct("=BBH")
_ATTRIBUTE: Final = struct.Struct("=HH")
_SOCKET: Final = struct.Struct(">4xHH16x16s4x")
_NUMBERS: Final = struct.Struct("=Q4xIIII")
_NUMBERS_AT: Final = 44
_SOCKET_SIZE: Final = 72
_TIMES: Final = struct.Struct("=4I")
_TIMES_AT: Final = 44
_BYTES: Final = struct.Struct("=QQ")
_BYTES_AT: Final = 120
_SENT: Final = struct.Struct("=Q")
_SENT_AT: Final = 200
"""The positions in tcp_info, see linux/tcp.h."""

_CODE: Final = struct.Struct("=i")

_SIZE_OF_PORT: Final = 5 * _STEP.size


class TcpSocket(NamedTuple):
    """
    One TCP socket, as the kernel describes it.

    Attributes:
        state: One of the states of this file.
        cookie: A unique id.
        port: The local port.
        peer: The address of the peer, packed.
        waiting: For a listener, the connections in its accept queue. Otherwise the bytes that
            the app has not read yet.
        unsent: For a listener, the size of its accept queue. Otherwise the bytes that the peer
            has not confirmed.
        accepted: False while no process has the socket, and after its end.
        received: The received bytes.
        sent: The sent bytes.
        received_ago: Milliseconds since the last bytes came. 0 without `info`.
        sent_ago: Milliseconds since the last bytes were sent. 0 without `info`.
        peer_port: The port of the peer.
    """

    state: int
    cookie: int
    port: int
    peer: bytes
    waiting: int
    unsent: int
    accepted: bool
    received: int = 0
    sent: int = 0
    received_ago: int = 0
    sent_ago: int = 0
    peer_port: int = 0


class Answer(NamedTuple):
    """
    The content of one datagram.

    Attributes:
        sockets: The sockets in it.
        over: True if the answer ends with it.
        error: The error number of the kernel. 0 without an error.
    """

    sockets: list[TcpSocket]
    over: bool
    error: int


def query(family: int, ports: Sequence[int], states: int, *, info: bool) -> bytes:
    """
    Return the request for the sockets of a family with one of these local ports.

    Args:
        family: AF_INET or AF_INET6.
        ports: The local ports, from 1 to 3000 of them.
        states: The states to include.
        info: Whether to include bytes and times.
    """
    steps = _filter(ports)
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(steps), _BYTECODE) + steps
    extensions = 1 << (_INFO - 1) if info else 0
    body = _QUERY.pack(family, socket.IPPROTO_TCP, extensions, 0, states) + attribute
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, _BY_FAMILY, _REQUEST | _DUMP, 1, 0) + body


def _filter(ports: Sequence[int]) -> bytes:
    """Return the filter program for these ports. Each port takes five steps."""
    program = b""
    for after in range(len(ports) - 1, -1, -1):
        rest = after * _SIZE_OF_PORT
        # A jump to the end of the program accepts the socket, a jump beyond it refuses the socket.
        refused = _SIZE_OF_PORT if after else _SIZE_OF_PORT + _STEP.size
        port = ports[len(ports) - 1 - after]
        program += _STEP.pack(_GE, 2 * _STEP.size, refused) + _STEP.pack(0, 0, port)
        refused -= 2 * _STEP.size
        program += _STEP.pack(_LE, 2 * _STEP.size, refused) + _STEP.pack(0, 0, port)
        program += _STEP.pack(_JUMP, _STEP.size, _STEP.size + rest)
    return program


def parse(data: bytes) -> Answer:
    """Read a datagram of the kernel. Incomplete and invalid parts are ignored."""
    sockets: list[TcpSocket] = []
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, *_ = _HEADER.unpack_from(data, at)
        if size < _HEADER.size or at + size > len(data):
            break
        body = data[at + _HEADER.size : at + size]
        if kind == _BY_FAMILY and len(body) >= _SOCKET_SIZE:
            sockets.append(_socket(body))
        elif kind in {_DONE, _ERROR}:
            return Answer(sockets, over=True, error=_refusal(body))
        at += -(-size // 4) * 4
    return Answer(sockets, over=False, error=0)


def _refusal(body: bytes) -> int:
    if len(body) < _CODE.size:
        return 0
    code: int = _CODE.unpack_from(body)[0]
    return max(0, -code)


def _socket(body: bytes) -> TcpSocket:
    port, peer_port, peer = _SOCKET.unpack_from(body)
    cookie, waiting, unsent, _, inode = _NUMBERS.unpack_from(body, _NUMBERS_AT)
    if body[0] == socket.AF_INET:
        peer = peer[:4]
    accepted = inode != 0
    numbers = 1 << body[1], cookie, port, peer, waiting, unsent, accepted
    info = _info(body)
    if len(info) < _BYTES_AT + _BYTES.size:
        return TcpSocket(*numbers, peer_port=peer_port)
    sent_ago, _, received_ago, _ = _TIMES.unpack_from(info, _TIMES_AT)
    sent, received = _BYTES.unpack_from(info, _BYTES_AT)  # on old kernels only the confirmed ones
    if len(info) >= _SENT_AT + _SENT.size:
        (sent,) = _SENT.unpack_from(info, _SENT_AT)
    return TcpSocket(*numbers, received, sent, received_ago, sent_ago, peer_port)


def _info(body: bytes) -> bytes:
    at = _SOCKET_SIZE
    while at + _ATTRIBUTE.size <= len(body):
        size, kind = _ATTRIBUTE.unpack_from(body, at)
        if size < _ATTRIBUTE.size or at + size > len(body):
            break
        if kind == _INFO:
            return body[at + _ATTRIBUTE.size : at + size]
        at += -(-size // 4) * 4
    return b""


def name_of(peer: bytes) -> str:
    """Return a packed address as text. An IPv4-mapped address is shown as IPv4."""
    if len(peer) == 16 and peer.startswith(bytes(10) + b"\xff\xff"):
        peer = peer[12:]
    return socket.inet_ntop(socket.AF_INET if len(peer) == 4 else socket.AF_INET6, peer)
