"""
A grpc.aio server with the plugin: `python examples/grpc_app.py`, with
`pip install lifecycle-grpc`.

    grpc_health_probe -addr localhost:8080
"""

from __future__ import annotations

import os

import grpc
import lifecycle_grpc

import lifecycle

PORT = int(os.environ.get("PORT", "8080"))


async def place(request: bytes, context: grpc.aio.ServicerContext) -> bytes:  # noqa: ARG001
    return b"placed " + request


async def main(life: lifecycle.Lifecycle) -> None:
    server = grpc.aio.server(
        interceptors=[lifecycle_grpc.Interceptor(life)], options=lifecycle_grpc.options(life)
    )
    # With generated code: orders_pb2_grpc.add_OrdersServicer_to_server(Orders(), server)
    handlers = {"Place": grpc.unary_unary_rpc_method_handler(place)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Orders", handlers)])
    lifecycle_grpc.attach(server, life)

    server.add_insecure_port(f"0.0.0.0:{PORT}")
    await server.start()
    life.export("orders", port=PORT, protocol="grpc")
    await life.ready()
    await life.drained()  # the server has stopped by then: GOAWAY at settle


if __name__ == "__main__":
    lifecycle.run(main)
