"""The app under a lifecycle: it answers, slowly where the path says so, and can lose its loop."""

import asyncio
import os
import time


async def app(scope, receive, send):
    assert scope["type"] == "http"
    what, _, argument = scope["path"].strip("/").partition("/")
    if what == "slow":
        await asyncio.sleep(float(argument))
    if what == "hang" and not os.path.exists("hung"):
        open("hung", "w").close()
        time.sleep(60)  # the loop is dead
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})
