"""
One session with the server: requests from the loop, and news for it.

Only this module and `handler` import kazoo, and they are imported when the registry opens. kazoo has
three threads. They end with `close`, and they reach the loop only by `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from kazoo import exceptions, security  # type: ignore[import-untyped]
from kazoo.client import KazooClient, KazooState  # type: ignore[import-untyped]
from kazoo.protocol.states import KeeperState  # type: ignore[import-untyped]
from kazoo.retry import KazooRetry  # type: ignore[import-untyped]

from lifecycle_zookeeper.connecting import open_socket, password_of
from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.handler import Handler, Logger
from lifecycle_zookeeper.news import Connected, Dead, Failed, News, Touched
from lifecycle_zookeeper.nodes import Change, Create, Delete, Found, NotAsFoundError, Step
from lifecycle_zookeeper.options import Access, Options
from lifecycle_zookeeper.text import one_line

WINDOW: Final = 100
"""Requests under way at most. kazoo's thread is woken by one byte for each, and 200 fit."""
PAUSE: Final = 0.4
"""The longest pause in seconds before the next try to connect, without jitter."""

_CHANGED: Final = (
    exceptions.NodeExistsError,
    exceptions.BadVersionError,
    exceptions.NoNodeError,
)
_STATES: Final[Sequence[tuple[type[Exception], str, str]]] = (
    (exceptions.NoAuthError, "forbidden", "the user may not do this"),
    (exceptions.InvalidACLError, "forbidden", "the server does not accept the rights of the node"),
    (exceptions.AuthFailedError, "unauthorized", "the server refuses the user or the password"),
    (exceptions.SessionClosedRequireSaslError, "unauthorized", "the server wants SASL"),
    (exceptions.SessionExpiredError, "unreachable", "the session is over"),
    (exceptions.ConnectionLoss, "unreachable", "the connection was lost"),
    (exceptions.OperationTimeoutError, "slow", "the server has not answered in time"),
    (exceptions.QuotaExceededError, "refused", "the quota of the node is used up"),
)


def named(error: BaseException, path: str) -> ZooKeeperFailed:
    """Return the failure of a request with its name."""
    for cls, state, words in _STATES:
        if isinstance(error, cls):
            return ZooKeeperFailed(state, f"{path}: {words}")
    return ZooKeeperFailed("refused", f"{path}: {type(error).__name__} {one_line(str(error))}")


class Client:
    """
    A client. Make a new one when it is dead.

    Args:
        options: The options.
        on_news: Called on the loop with what has happened.
    """

    def __init__(self, options: Options, on_news: Callable[[Client, News], None]) -> None:
        self._options = options
        self._on_news = on_news
        self._loop = asyncio.get_running_loop()
        self._window = asyncio.Semaphore(WINDOW)
        self._done: deque[Callable[[], None]] = deque()
        self._woken = False
        self._login = ""
        self._renewing = False
        self._lock = threading.Lock()
        self._handler = Handler(self._connect, options.connect_timeout, self._fail, self._crash)
        self._crashed: ZooKeeperFailed | None = None
        self._acl = _acl(options.rights)
        retry = {"max_tries": -1, "delay": 0.02, "backoff": 2, "max_jitter": 0.3}
        address = options.address
        self._kazoo = KazooClient(
            hosts=",".join(map(str, address.servers)),
            timeout=options.session,
            handler=self._handler,
            connection_retry=KazooRetry(max_delay=PAUSE, **retry),
            command_retry=KazooRetry(max_tries=0),
            logger=Logger(self._handler.failed),
            read_only=False,
        )
        self._kazoo.add_listener(self._listen)

    def start(self) -> None:
        """Start to connect, in threads."""
        self._kazoo.start_async()

    # In kazoo's threads

    def _connect(self, host: str, ip: str, port: int) -> Any:
        if self._options.address.user:
            self._login = self._read_login()
            self._kazoo.auth_data = {("digest", self._login)}
        # A server whose data were removed refuses a client that has seen newer data, forever.
        # Reads after a new connection are preceded by `sync` instead.
        self._kazoo.last_zxid = 0
        return open_socket(self._options, host, ip, port)

    def _read_login(self) -> str:
        return f"{self._options.address.user}:{password_of(self._options)}"

    def _listen(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            self._handler.has_session = True
            client_id = self._kazoo.client_id
            self._post(lambda: self._on_news(self, Connected(client_id[0] if client_id else 0)))
        elif state == KazooState.LOST and self._kazoo.client_state != KeeperState.EXPIRED_SESSION:
            self._die()

    def _die(self) -> None:
        refused = self._kazoo.client_state == KeeperState.AUTH_FAILED
        words = "the server refuses the user or the password" if refused else "the client has ended"
        failed = ZooKeeperFailed("unauthorized" if refused else "broken", words)
        self._post(lambda: self._on_news(self, Dead(self._crashed or failed)))

    def _fail(self, failed: ZooKeeperFailed) -> None:
        self._post(lambda: self._on_news(self, Failed(failed)))

    def _crash(self, error: Exception) -> None:
        failed = ZooKeeperFailed("broken", f"{type(error).__name__}: {one_line(str(error))}")
        self._crashed = failed
        self._post(lambda: self._on_news(self, Dead(failed)))

    def _post(self, call: Callable[[], None]) -> None:
        """Call something on the loop, together with what else comes now."""
        with self._lock:
            self._done.append(call)
            if self._woken:
                return
            self._woken = True
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._drain)

    # On the loop

    def _drain(self) -> None:
        with self._lock:
            self._woken = False
            calls, self._done = self._done, deque()
        for call in calls:
            self._loop.call_soon(call)  # so that one that fails does not stop the others

    async def _ask(self, path: str, send: Callable[[], Any]) -> Any:
        """Send a request, and return the answer. kazoo fails it when the connection is lost."""
        await self._window.acquire()
        if not self._kazoo.connected:  # kazoo would send it with the next connection
            self._window.release()
            raise ZooKeeperFailed("unreachable", f"{path}: the connection was lost")
        answer: asyncio.Future[Any] = self._loop.create_future()
        told = False

        def finish(result: Any) -> None:
            nonlocal told
            if told:
                return
            told = True
            self._window.release()
            if answer.done():
                return
            if result.exception is None:
                answer.set_result(result.value)
            else:
                answer.set_exception(result.exception)
                answer.exception()  # the caller may have gone

        try:
            send().rawlink(lambda result: self._post(lambda: finish(result)))
        except BaseException:
            self._window.release()
            raise
        try:
            return await answer
        except _CHANGED as error:
            missing = isinstance(error, exceptions.NoNodeError)
            raise NotAsFoundError(missing=missing) from None
        except exceptions.NoAuthError as error:
            await self._renew_login()
            raise named(error, path) from None
        except exceptions.KazooException as error:
            raise named(error, path) from None

    async def _renew_login(self) -> None:
        """Log in again, on the same connection, if the file has another password now."""
        if self._renewing or not self._options.password_file:
            return
        self._renewing = True
        try:
            login = await asyncio.to_thread(self._read_login)
        except ZooKeeperFailed:
            return  # it is told when the next connection is opened
        finally:
            self._renewing = False
        if login != self._login:
            self._login = login
            self._kazoo.add_auth_async("digest", login)

    async def create(self, path: str, data: bytes, *, ephemeral: bool) -> None:
        """
        Create a node.

        Raises:
            NotAsFoundError: The node is there, or the one above it is not.
            ZooKeeperFailed: The server has not done it, or has not answered.
        """
        kazoo, acl = self._kazoo, self._acl
        await self._ask(path, lambda: kazoo.create_async(path, data, acl, ephemeral))

    async def read(self, path: str) -> Found | None:
        """Return a node. None if it is not there."""
        try:
            data, stat = await self._ask(path, lambda: self._kazoo.get_async(path))
        except NotAsFoundError:
            return None
        return Found(data, stat.version, stat.ephemeralOwner)

    async def owner(self, path: str, touched: Callable[[Any], None]) -> int | None:
        """Return the session that a node ends with, and watch it. None if it is not there."""
        stat = await self._ask(path, lambda: self._kazoo.exists_async(path, touched))
        return None if stat is None else int(stat.ephemeralOwner)

    def watcher(self, path: str) -> Callable[[Any], None]:
        """Return a function for `owner`. It brings the news when the node has changed."""

        def touched(event: Any) -> None:
            if event.type != "NONE":  # the connection, and not the node
                self._post(lambda: self._on_news(self, Touched(path)))

        return touched

    async def sync(self) -> None:
        """Wait until the server has all that was written before."""
        await self._ask("/", lambda: self._kazoo.sync_async("/"))

    async def change(self, path: str, data: bytes, version: int) -> None:
        """Set the data of a node of this version."""
        await self._ask(path, lambda: self._kazoo.set_async(path, data, version))

    async def commit(self, steps: Sequence[Step]) -> None:
        """
        Do all steps, or none.

        Raises:
            NotAsFoundError: A node has changed since it was read.
            ZooKeeperFailed: The server has not done it, or has not answered.
        """
        request = self._kazoo.transaction()
        for each in steps:
            match each:
                case Create(path, data):
                    request.create(path, data, self._acl, ephemeral=True)
                case Delete(path, version):
                    request.delete(path, version)
                case Change(path, data, version):
                    request.set_data(path, data, version)
        answers = await self._ask(steps[0].path, request.commit_async)
        for step, answer in zip(steps, answers, strict=True):
            if isinstance(answer, _CHANGED):
                raise NotAsFoundError(missing=isinstance(answer, exceptions.NoNodeError))
            rolled_back = (exceptions.RolledBackError, exceptions.RuntimeInconsistency)
            if isinstance(answer, Exception) and not isinstance(answer, rolled_back):
                raise named(answer, step.path)

    async def close(self, seconds: float) -> None:
        """End the session, and all threads. The server removes what is left of this session."""
        ended = asyncio.Event()
        thread = threading.Thread(
            target=self._stop, args=(ended,), name="zookeeper-close", daemon=True
        )
        thread.start()
        try:
            async with asyncio.timeout(seconds):
                await ended.wait()
        except TimeoutError:
            return
        finally:
            self._handler.cut()  # the threads end soon, whatever the server does

    def _stop(self, ended: asyncio.Event) -> None:
        with contextlib.suppress(Exception):  # kazoo raises if a thread is late
            self._kazoo.stop()
        with contextlib.suppress(Exception):
            self._kazoo.close()
        self._post(ended.set)


def _acl(rights: Access) -> Any:
    if rights is Access.OPEN:
        return security.OPEN_ACL_UNSAFE
    if rights is Access.READ:
        return security.CREATOR_ALL_ACL + security.READ_ACL_UNSAFE
    return security.CREATOR_ALL_ACL
