"""
The ClientHello of a TLS handshake, inspected before it is read.

OpenSSL allocates most of a handshake's memory at the first byte. A client that does not send its
whole first message must not cost more than one that sends nothing.
"""

from __future__ import annotations

import select
import socket
from typing import Final

from lifecycle.serving.first_byte import Came

HEADER: Final = 5
"""Bytes of a record's header: its type, two of version, two of length."""
HANDSHAKE: Final = 22
"""The type of the record that contains a ClientHello (RFC 8446, section 5.1)."""
LONGEST: Final = 2**14
"""The maximum number of bytes of a record."""
LOOKS: Final = 3
"""How often to look: at the first byte, the header and the message. Some systems wake early."""
GONE: Final = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


class ClientHello:
    """
    The first message of a client. It stays unread.

    Args:
        sock: The client's TCP socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._looks = LOOKS

    def look(self) -> Came:
        """Look at a readable socket. It becomes readable again when another look is useful."""
        try:
            begun = self._sock.recv(HEADER + LONGEST, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            needed = _needed(begun)
            if len(begun) < needed and (not begun or self._is_over()):
                return Came.NO_MORE
            self._looks -= 1
            waits = len(begun) < needed and self._looks > 0
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, needed if waits else 1)
        except OSError:
            return Came.NO_MORE
        return Came.PART if waits else Came.ALL

    def _is_over(self) -> bool:
        look = select.poll()
        look.register(self._sock, GONE)
        return bool(look.poll(0))


def _needed(begun: bytes) -> int:
    """Return how many bytes must have arrived before the next step."""
    if begun and begun[0] != HANDSHAKE:
        return 0
    if len(begun) < HEADER:
        return HEADER
    length = int.from_bytes(begun[3:HEADER])
    return HEADER + length if length <= LONGEST else 0
