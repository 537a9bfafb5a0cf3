"""
Opening a connection: which servers, how long, with which files, and why it has failed.

Everything here runs in kazoo's thread. All files are read again for each connection.
"""

from __future__ import annotations

import socket
import ssl

from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.options import Options
from lifecycle_zookeeper.text import one_line
from lifecycle_zookeeper.url import Server


def open_socket(options: Options, host: str, ip: str, port: int) -> socket.socket:
    """
    Connect to a server.

    Args:
        options: The options.
        host: The host of the URL, for which the certificate must be.
        ip: The address of the host.
        port: The port.

    Raises:
        ZooKeeperFailed: There is no connection.
    """
    server = Server(host, port)
    context = _context(options)
    try:
        sock = socket.create_connection((ip, port), options.connect_timeout)
    except TimeoutError:
        raise ZooKeeperFailed("unreachable", f"{server}: no connection in time") from None
    except OSError as error:
        raise ZooKeeperFailed("unreachable", f"{server}: {_reason(error)}") from None
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            return context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLError as error:
        sock.close()
        raise ZooKeeperFailed("untrusted", f"{server}: {_reason(error)}") from None
    except TimeoutError:
        sock.close()
        raise ZooKeeperFailed("slow", f"{server}: the TLS handshake was not done in time") from None
    except OSError as error:
        sock.close()
        raise ZooKeeperFailed("closed", f"{server}: {_reason(error)}") from None
    return sock


def _context(options: Options) -> ssl.SSLContext | None:
    if not options.address.tls:
        return None
    for path in (options.ca_file, options.certificate_file, options.key_file):
        if path:
            read_file(path)
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
        if options.certificate_file:
            context.load_cert_chain(options.certificate_file, options.key_file)
    except (ssl.SSLError, OSError) as error:
        raise ZooKeeperFailed("untrusted", f"the files for TLS: {_reason(error)}") from None
    return context


def password_of(options: Options) -> str:
    """
    Return the password, or an empty text.

    Raises:
        ZooKeeperFailed: The file with the password cannot be read.
    """
    if options.password_file:
        return read_file(options.password_file).strip()
    return options.address.password


def read_file(path: str) -> str:
    """
    Return the text of a file.

    Raises:
        ZooKeeperFailed: The file cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "not text"
        raise ZooKeeperFailed("no file", f"{path}: {reason}") from None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return one_line(error.verify_message)
    return one_line(getattr(error, "reason", None) or error.strerror or str(error))
