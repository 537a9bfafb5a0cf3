"""Handlers of grpc: making one again around another function, and the client of a call."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias
from urllib.parse import unquote

import grpc

Behaviour: TypeAlias = Callable[[Any, Any], Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def kind_of(handler: Handler) -> str:
    """Return the kind of a handler, for example `unary_stream`."""
    return f"{_arity(handler.request_streaming)}_{_arity(handler.response_streaming)}"


def _arity(streaming: bool) -> str:  # noqa: FBT001 - an attribute of grpc
    return "stream" if streaming else "unary"


def made_again(handler: Handler, behaviour: Behaviour) -> Handler:
    """Return the same handler with another function."""
    make = getattr(grpc, f"{kind_of(handler)}_rpc_method_handler")
    made: Handler = make(behaviour, handler.request_deserializer, handler.response_serializer)
    return made


def located(handler: Handler, came_from: Callable[[object], object]) -> Handler:
    """Return the same handler. It reports the client's end of the connection when it starts."""
    behaviour = getattr(handler, kind_of(handler))

    async def generator(request: Any, context: Any) -> AsyncIterator[Any]:
        came_from(address_of(context))
        async with aclosing(behaviour(request, context)) as answers:
            async for each in answers:
                yield each

    async def coroutine(request: Any, context: Any) -> Any:
        came_from(address_of(context))
        return await behaviour(request, context)

    def function(request: Any, context: Any) -> Any:
        came_from(address_of(context))
        return behaviour(request, context)

    if inspect.isasyncgenfunction(behaviour):
        return made_again(handler, generator)
    return made_again(handler, coroutine if inspect.iscoroutinefunction(behaviour) else function)


def address_of(context: Any) -> tuple[str, int] | None:
    """
    Return the client's address and port, or None if they are not known.

    grpc writes them as `ipv4:10.0.0.7:50000` or `ipv6:%5B2001:db8::7%5D:50000`.
    """
    family, _, rest = unquote(str(context.peer())).partition(":")
    host, _, port = rest.rpartition(":")
    if family not in ("ipv4", "ipv6") or not port.isascii() or not port.isdigit():
        return None
    return host.strip("[]"), int(port)
