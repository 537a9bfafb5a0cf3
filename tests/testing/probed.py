"""
A server to be probed: what it does is in the path, and it writes down all that it sees.

Every line of the file `RECORD` is one thing that happened, with the time of the machine's
monotonic clock: `connected`, `request` (path, headers, connection), `closed`, `sigterm`.
"""

import asyncio
import json
import os
import signal
import ssl
import time
import urllib.parse

STARTED = time.monotonic()
RECORD = os.environ.get("RECORD", os.devnull)


def note(what, **fields):
    with open(RECORD, "a") as file:
        print(json.dumps({"what": what, "at": time.monotonic(), **fields}), file=file)


async def answer(path, query, writer):
    """Answer one request; false if the connection is to be closed."""
    what, _, argument = path.strip("/").partition("/")
    status, headers, body = 200, {}, b"ok"
    if what == "status":
        status = int(argument)
    elif what == "slow":
        await asyncio.sleep(float(argument))
    elif what == "healthy-for":
        status = 200 if time.monotonic() - STARTED < float(argument) else 500
    elif what == "ready-after":
        status = 200 if time.monotonic() - STARTED >= float(argument) else 503
    elif what == "unless":
        status = 503 if os.path.exists(argument) else 200
    elif what == "redirect":
        status, headers = 302, {"Location": query["to"][0]}
    elif what == "loop":
        status, headers = 302, {"Location": path}
    elif what == "big":
        body = b"x" * 1_000_000
    elif what == "exit":
        os._exit(0)
    elif what == "reset":
        writer.transport.abort()
        return False
    length = len(body) + (100 if what == "stall" else 0)
    head = f"HTTP/1.1 {status} It\r\nContent-Length: {length}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"{head}\r\n".encode() + body)
    await writer.drain()
    return what != "stall" or await asyncio.sleep(60)


async def serve(reader, writer):
    connection = writer.get_extra_info("peername")[1]
    note("connected", connection=connection)
    try:
        while True:
            begin = await reader.readexactly(1)
            if begin == b"\x16":  # TLS, which a plain server answers in plain
                writer.write(b"HTTP/1.1 400 It\r\nConnection: close\r\n\r\n")
                break
            head = (begin + await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            url = urllib.parse.urlsplit(first.split()[1])
            note("request", path=url.path, headers=headers, connection=connection)
            query = urllib.parse.parse_qs(url.query)
            if not await answer(url.path, query, writer):
                break
            if headers.get("Connection") == "close":
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        note("closed", connection=connection)
        writer.close()


async def main():
    await asyncio.sleep(float(os.environ.get("LISTEN_AFTER", "0")))
    stop = asyncio.Event()

    def on_sigterm():
        note("sigterm")
        if os.environ.get("ON_SIGTERM") != "ignore":
            stop.set()

    if os.environ.get("ON_SIGTERM") != "none":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, on_sigterm)
    tls = None
    if certificate := os.environ.get("CERTIFICATE"):
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    host = os.environ.get("HOST", "0.0.0.0")
    server = await asyncio.start_server(serve, host, int(os.environ["PORT"]), ssl=tls)
    note("listening")
    print("listening", flush=True)
    if lives := os.environ.get("LIVES"):
        asyncio.get_running_loop().call_later(float(lives), stop.set)
    await stop.wait()
    server.close()
    await asyncio.sleep(float(os.environ.get("LINGER", "0")))
    note("exit")
    os._exit(int(os.environ.get("EXIT_CODE", "0")))


asyncio.run(main())
