"""
One connection to the server that takes writes, with a name for each failure.

Only this module imports redis-py, and it is imported when the registry opens.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, Final

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff

from lifecycle_redis.errors import RedisFailed
from lifecycle_redis.layout import Command
from lifecycle_redis.options import Options
from lifecycle_redis.text import one_line
from lifecycle_redis.url import Server

TIMEOUT: Final = 1.0
"""Seconds that the server may take to accept a connection, or to send the next answer."""

# The first class that fits. redis-py makes some of them subclasses of others.
_STATES: Final[Sequence[tuple[type[Exception], str, bool]]] = (
    (exceptions.NoPermissionError, "forbidden", False),
    (exceptions.AuthenticationError, "unauthorized", True),
    (exceptions.AuthenticationWrongNumberOfArgsError, "unauthorized", True),
    (exceptions.AuthorizationError, "unauthorized", True),
    (exceptions.BusyLoadingError, "loading", True),
    (exceptions.ReadOnlyError, "read-only", True),
    (exceptions.MasterDownError, "read-only", True),
    (exceptions.OutOfMemoryError, "out of memory", False),
    (exceptions.MovedError, "cluster", False),
    (exceptions.AskError, "cluster", False),
    (exceptions.ClusterDownError, "cluster", False),
    (exceptions.ClusterCrossSlotError, "cluster", False),
    (exceptions.TimeoutError, "slow", True),
    (MasterNotFoundError, "no master", True),
    (ssl.SSLError, "untrusted", True),
    (OSError, "unreachable", True),
    (exceptions.ConnectionError, "unreachable", True),
)
_CODES: Final = {
    "BUSY": "busy",
    "NOAUTH": "unauthorized",
    "WRONGPASS": "unauthorized",
    "NOPERM": "forbidden",
    "OOM": "out of memory",
    "READONLY": "read-only",
    "MISCONF": "read-only",
    "CROSSSLOT": "cluster",
}
"""The states of answers for which older versions of redis-py have no class, or none in a script."""
_FORBIDDEN: Final = "The user executing the script can't"
"""The answer within a script, which has no code."""
_DISCONNECT: Final = ("unauthorized", "loading", "read-only")


def named(error: Exception, server: Server | None = None) -> RedisFailed:
    """Return the failure with its name."""
    where = f"{server}: " if server else ""
    detail = where + one_line(str(error) or type(error).__name__)
    if isinstance(error, exceptions.ConnectionError) and _of_tls(error):
        return RedisFailed("untrusted", detail, disconnects=True)
    for cls, state, disconnects in _STATES:
        if isinstance(error, cls):
            return RedisFailed(state, detail, disconnects=disconnects)
    if str(error).startswith(_FORBIDDEN):
        return RedisFailed("forbidden", detail)
    state = _CODES.get(str(error).partition(" ")[0], "refused")
    return RedisFailed(state, detail, disconnects=state in _DISCONNECT)


def _of_tls(error: BaseException) -> bool:
    causes = (error.__cause__, error.__context__)
    return any(isinstance(each, ssl.SSLError) for each in causes)


class Session:
    """
    One connection.

    Args:
        client: The client, which has one connection.
        server: The server.
        probe: A write that changes nothing. A server that refuses it does not take writes.
    """

    def __init__(self, client: Redis, server: Server, probe: Command) -> None:
        self._client = client
        self.server = server
        self._probe = probe

    async def ask(self, commands: Sequence[Command]) -> list[object]:
        """
        Send commands in one pipeline.

        Returns:
            The answer of each command. A `RedisFailed` if the server has refused this command.

        Raises:
            RedisFailed: This connection cannot be used any longer.
        """
        pipeline = self._client.pipeline(transaction=False)
        for each in (self._probe, *commands):
            pipeline.execute_command(*each)
        try:
            answers = await pipeline.execute(raise_on_error=False)
        except (exceptions.RedisError, OSError) as error:
            raise named(error, self.server) from error
        told = [
            named(each, self.server) if isinstance(each, Exception) else each for each in answers
        ]
        for failed in told:
            if isinstance(failed, RedisFailed) and failed.disconnects:
                raise failed
        if isinstance(told[0], RedisFailed):  # for example, the right to write is missing
            raise told[0]
        return told[1:]

    async def close(self) -> None:
        """Close the connection, without waiting for the server."""
        await self._client.aclose()


async def connect(options: Options, probe: Command) -> Session:
    """
    Connect to the first server that takes writes. All files are read again.

    Raises:
        RedisFailed: None of the servers takes writes. The error is that of the last one.
    """
    arguments = await asyncio.to_thread(_arguments, options)
    address = options.address
    servers = address.servers
    if address.sentinel:
        servers = (await _master(options, arguments),)
    failed = RedisFailed("unreachable", "no server", disconnects=True)
    for server in servers:
        client = Redis(host=server.host, port=server.port, db=address.database, **arguments)
        session = Session(client, server, probe)
        try:
            await session.ask(())
        except RedisFailed as error:
            failed = error
            await session.close()
        except BaseException:
            await session.close()
            raise
        else:
            return session
    raise failed


async def _master(options: Options, arguments: dict[str, Any]) -> Server:
    names = [each for each in arguments if each.startswith(("ssl", "socket", "retry", "protocol"))]
    own = {each: arguments[each] for each in names}
    servers = list(options.address.servers)
    sentinel = Sentinel(servers, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    try:
        host, port = await sentinel.discover_master(options.address.sentinel)
    except (exceptions.RedisError, OSError) as error:
        raise named(error) from error
    finally:
        for each in sentinel.sentinels:
            await each.aclose()
    return Server(str(host), int(port))


def _arguments(options: Options) -> dict[str, Any]:
    """Return the arguments of the client, with everything that is read from files."""
    address = options.address
    password = address.password
    if options.password_file:
        password = _read(options.password_file).strip()
    arguments: dict[str, Any] = {
        "username": address.user or None,
        "password": password or None,
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "max_connections": 1,
    }
    if address.tls:
        for path in (options.ca_file, options.certificate_file, options.key_file):
            if path:
                _read(path)
        arguments |= {
            "ssl": True,
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": options.ca_file or None,
            "ssl_certfile": options.certificate_file or None,
            "ssl_keyfile": options.key_file or None,
        }
    return arguments


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "not text"
        raise RedisFailed("no file", f"{path}: {reason}", disconnects=True) from error
