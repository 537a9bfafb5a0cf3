"""
Counts running calls of all four kinds of methods.

Rules of this file:

1. A call counts from the choice of its method until its status is sent, the client has cancelled
   it, or its deadline is over. grpc.aio runs each RPC with its interceptors in its own task, so
   the end of the task is the end of the call. The contexts are not enough, because the callbacks
   of a plain function's context are never called.
2. A plain function continues in its thread after the end of the RPC, and counts until it returns.
   A plain generator that grpc has abandoned does not count, because it is never continued.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

import grpc
import grpc.aio

import lifecycle
from lifecycle_grpc.handlers import Behaviour, Handler, kind_of, located, made_again

UNCOUNTED: Final = ("/grpc.health.", "/grpc.reflection.")
"""Calls that do not count. For example, a health watch would never let a drain end."""
AGENT: Final = "user-agent"


class Interceptor(grpc.aio.ServerInterceptor):
    """
    Counts each running call, except health checks and reflection, so that the drain waits for it.

    Args:
        life: The `Lifecycle`. The default is the one that runs in this process.
    """

    def __init__(self, life: lifecycle.Lifecycle | None = None) -> None:
        self._life = life
        if life is not None:
            life.track()  # marks that calls are counted

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Count the call, if its method exists."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        rpc = asyncio.current_task()
        if handler is None or rpc is None or method.startswith(UNCOUNTED):
            return handler
        life = self._life or lifecycle.current()
        call = _Call(life.track(_agent(handler_call_details), method, protocol="grpc"))
        # gRPC itself catches the cancellation of a call.
        rpc.add_done_callback(lambda rpc: call.leave(cut=rpc.cancelling() > 0))
        if life.draining:
            handler = located(handler, call.came_from)
        return _followed(handler, call)


def _agent(details: grpc.HandlerCallDetails) -> str:
    for name, value in details.invocation_metadata or ():
        if name == AGENT:
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""


class _Call:
    """One running call. It counts until all its parts have ended."""

    def __init__(self, work: AbstractContextManager[Any]) -> None:
        self._work = work
        self._inside = 1
        self._cut = False
        self._lock = threading.Lock()
        self.came_from: Callable[[object], object] = work.__enter__().came_from

    def enter(self) -> bool:
        """Count one more part of this call. False if the call has already ended."""
        with self._lock:
            if self._inside:
                self._inside += 1
                return True
            return False

    def leave(self, *, cut: bool = False) -> None:
        """End one part of the call, which may have been cancelled. From any thread."""
        with self._lock:
            self._inside -= 1
            self._cut |= cut
            over = not self._inside
        if over:
            self._work.__exit__(asyncio.CancelledError if self._cut else None, None, None)


def _followed(handler: Handler, call: _Call) -> Handler:
    """Count a plain function in its thread too. An async one ends with the RPC."""
    behaviour = getattr(handler, kind_of(handler))
    if inspect.iscoroutinefunction(behaviour) or inspect.isasyncgenfunction(behaviour):
        return handler
    follow = _followed_steps if handler.response_streaming else _followed_function
    return made_again(handler, follow(behaviour, call))


def _followed_function(behaviour: Behaviour, call: _Call) -> Behaviour:
    def follow(request: Any, context: Any) -> Any:
        return _in_thread(call, lambda: behaviour(request, context))

    return follow


def _followed_steps(behaviour: Behaviour, call: _Call) -> Behaviour:
    def follow(request: Any, context: Any) -> Iterator[Any]:
        steps = iter(_in_thread(call, lambda: behaviour(request, context)))
        end = object()
        try:
            while (each := _in_thread(call, lambda: next(steps, end))) is not end:
                yield each
        finally:
            if (close := getattr(steps, "close", None)) is not None:
                close()

    return follow


def _in_thread(call: _Call, work: Callable[[], Any]) -> Any:
    counted = call.enter()
    try:
        return work()
    finally:
        if counted:
            call.leave()
