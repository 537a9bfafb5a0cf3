"""What went wrong with a connection, in words that say what to look at."""

from __future__ import annotations

import socket
import ssl
from typing import Final

_WORDS: Final = {
    socket.gaierror: "the name does not resolve: is it right, does its Service exist?",
    TimeoutError: "no answer in time: it is down, overloaded, or a NetworkPolicy drops packets",
    ConnectionRefusedError: "connection refused: the host is up, nothing listens on the port",
    ConnectionResetError: "the connection was reset: something took it, and ended it at once",
    ssl.SSLCertVerificationError: "its certificate is not trusted (SSL_CERT_FILE names a CA)",
    ssl.SSLError: "TLS failed: does the port speak it?",
}


def explain(error: OSError) -> str:
    """Say why a host could not be reached, and what to look at."""
    known = next((words for kind, words in _WORDS.items() if isinstance(error, kind)), "")
    if isinstance(error, ssl.SSLError):
        detail = getattr(error, "verify_message", "") or error.reason or str(error)
        return f"{known}: {detail}"
    return known or error.strerror or str(error)
