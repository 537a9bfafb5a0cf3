"""The same service over gRPC."""

from __future__ import annotations

import asyncio
import os

import grpc
import lifecycle_grpc

import lifecycle


async def echo(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    if request == b"slow":
        await asyncio.sleep(2)
    return request


async def count(request: bytes, context: grpc.aio.ServicerContext) -> None:
    for _ in range(10):
        await context.write(request)
        await asyncio.sleep(0.1)


async def main(life: lifecycle.Lifecycle) -> None:
    server = grpc.aio.server(
        interceptors=[lifecycle_grpc.Interceptor(life)], options=lifecycle_grpc.options(life)
    )
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Count": grpc.unary_stream_rpc_method_handler(count),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Shop", handlers)])
    lifecycle_grpc.attach(server, life)
    port = server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
    await server.start()
    life.export("shop", port=port)
    await life.ready()
    await life.drained()
