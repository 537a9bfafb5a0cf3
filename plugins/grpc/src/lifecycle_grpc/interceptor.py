"""Counting calls in flight, of all four kinds of methods."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, aclosing
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio

import lifecycle

Behaviour = Callable[[Any, Any], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Track = Callable[[], AbstractContextManager[None]]

UNCOUNTED: Final = ("/grpc.health.", "/grpc.reflection.")
"""Who only looks whether we are there: a health watch would keep a drain from ever ending."""


class Interceptor(grpc.aio.ServerInterceptor):
    """
    Counts each call in flight, streams to their end; health and reflection are not counted.

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
        """Wrap the method's handler."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(UNCOUNTED):
            return handler
        life = self._life or lifecycle.current()
        return _counted_handler(handler, life.track)


def _counted_handler(handler: Handler, track: Track) -> Handler:
    kind = f"{_arity(handler.request_streaming)}_{_arity(handler.response_streaming)}"
    behaviour = getattr(handler, kind)
    count = _counted_stream if handler.response_streaming else _counted
    counted: Handler = getattr(grpc, f"{kind}_rpc_method_handler")(
        count(behaviour, track), handler.request_deserializer, handler.response_serializer
    )
    return counted


def _arity(streaming: bool) -> str:  # noqa: FBT001 - it is grpc's own attribute
    return "stream" if streaming else "unary"


def _counted(behaviour: Behaviour, track: Track) -> Behaviour:
    async def counted_async(request: Any, context: Any) -> Any:
        with track():
            return await behaviour(request, context)

    def counted(request: Any, context: Any) -> Any:
        with track():
            return behaviour(request, context)

    return counted_async if inspect.iscoroutinefunction(behaviour) else counted


def _counted_stream(behaviour: Behaviour, track: Track) -> Behaviour:
    async def counted_async(request: Any, context: Any) -> AsyncIterator[Any]:
        with track():
            async with aclosing(behaviour(request, context)) as responses:
                async for each in responses:
                    yield each

    def counted(request: Any, context: Any) -> Iterator[Any]:
        with track():
            yield from behaviour(request, context)

    if inspect.isasyncgenfunction(behaviour):
        return counted_async
    if inspect.iscoroutinefunction(behaviour):  # it writes through the context
        return _counted(behaviour, track)
    return counted
