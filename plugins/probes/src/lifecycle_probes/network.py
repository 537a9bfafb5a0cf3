"""Explains why a connection failed, and what to check."""

from __future__ import annotations

import socket
import ssl
from typing import Final

_WORDS: Final = {
    socket.gaierror: "the name does not resolve. Check the name, and that its Service exists",
    TimeoutError: "no answer in time (down, overloaded, or a NetworkPolicy drops packets)",
    ConnectionRefusedError: "connection refused, the host is up but nothing listens on the port",
    ConnectionResetError: "the connection was accepted and then reset at once",
    ssl.SSLCertVerificationError: "the certificate is not trusted (set SSL_CERT_FILE to a CA)",
    ssl.SSLError: "TLS failed (check that this is a TLS port)",
}


def explain(error: OSError) -> str:
    """Return why a host could not be reached, and what to check."""
    known = next((words for kind, words in _WORDS.items() if isinstance(error, kind)), "")
    if isinstance(error, ssl.SSLError):
        detail = getattr(error, "verify_message", "") or error.reason or str(error)
        return f"{known}: {detail}"
    return known or error.strerror or str(error)
