"""
Counting calls in flight, of all four kinds of methods.

Rules of this file:

1. A call is counted as long as the RPC lives: from the moment the server has chosen its method
   to the moment its status is sent, its client has cancelled it, or its deadline has passed.
   grpc.aio gives each RPC a task of its own and runs interceptors in it, so its end is the task's.
   The contexts know less: the callbacks of a plain function's context are never called.
2. A plain function goes on in its thread when the RPC is over. It is counted until it returns.
   A plain generator that grpc has abandoned is not: nobody ever asks it for more.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio

import lifecycle

Behaviour = Callable[[Any, Any], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

UNCOUNTED: Final = ("/grpc.health.", "/grpc.reflection.")
"""Who only looks whether we are there: a health watch would keep a drain from ever ending."""
AGENT: Final = "user-agent"


class Interceptor(grpc.aio.ServerInterceptor):
    """
    Counts each call in flight, as long as the RPC lives; health and reflection are not counted.

    Args:
        life: The lifecycle; the running one otherwise.
    """

    def __init__(self, life: lifecycle.Lifecycle | None = None) -> None:
        self._life = life
        if life is not None:
            life.track()  # says already that calls are counted here

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Count the call, if there is such a method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        rpc = asyncio.current_task()
        if handler is None or rpc is None or method.startswith(UNCOUNTED):
            return handler
        life = self._life or lifecycle.current()
        call = _Call(life.track(_agent(handler_call_details), method))
        rpc.add_done_callback(lambda _: call.leave())
        return _followed(handler, call)


def _agent(details: grpc.HandlerCallDetails) -> str:
    for name, value in details.invocation_metadata or ():
        if name == AGENT:
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""


class _Call:
    """One call in flight: entered when it is made, until everything about it has left."""

    def __init__(self, work: AbstractContextManager[object]) -> None:
        self._work = work
        self._inside = 1
        self._lock = threading.Lock()
        work.__enter__()

    def enter(self) -> bool:
        """Count something more about this call; False if nothing is counted any more."""
        with self._lock:
            if self._inside:
                self._inside += 1
                return True
            return False

    def leave(self) -> None:
        """Count it no longer; from any thread."""
        with self._lock:
            self._inside -= 1
            over = not self._inside
        if over:
            self._work.__exit__(None, None, None)


def _followed(handler: Handler, call: _Call) -> Handler:
    """Follow a plain function into its thread; what is async ends with the RPC."""
    kind = f"{_arity(handler.request_streaming)}_{_arity(handler.response_streaming)}"
    behaviour = getattr(handler, kind)
    if inspect.iscoroutinefunction(behaviour) or inspect.isasyncgenfunction(behaviour):
        return handler
    follow = _followed_steps if handler.response_streaming else _followed_function
    followed: Handler = getattr(grpc, f"{kind}_rpc_method_handler")(
        follow(behaviour, call), handler.request_deserializer, handler.response_serializer
    )
    return followed


def _arity(streaming: bool) -> str:  # noqa: FBT001 - it is grpc's own attribute
    return "stream" if streaming else "unary"


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
