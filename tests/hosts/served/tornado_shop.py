"""The same service in Tornado, with as many processes as it is told: it knows of no lifecycle."""

from __future__ import annotations

import asyncio
import os
import sys

from shop import EVENTS, FAST, PIECES, SLOW
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.process import fork_processes
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler


class Answer(RequestHandler):
    async def get(self):
        path = self.request.path
        await asyncio.sleep(SLOW if path == "/slow" else FAST)
        if path in PIECES:
            for _ in range(PIECES[path]):
                self.write(b"x" * 100)
                await self.flush()
                await asyncio.sleep(0.1)
        else:
            self.write(self.request.body or b"hello")

    post = get


class Events(RequestHandler):
    async def get(self):
        self.set_header("Content-Type", EVENTS)
        number = 0
        try:
            while True:
                self.write(b"data: %d\n\n" % number)
                await self.flush()
                await asyncio.sleep(float(self.get_argument("every", "0.1")))
                number += 1
        except StreamClosedError:
            return


class Converse(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


app = Application([("/ws", Converse), ("/events", Events), (".*", Answer)])


async def main(sockets):
    from tornado.httpserver import HTTPServer

    HTTPServer(app).add_sockets(sockets)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sockets = bind_sockets(int(os.environ["PORT"]), "127.0.0.1")
    if len(sys.argv) > 1:
        fork_processes(int(sys.argv[1]))
    asyncio.run(main(sockets))
