"""The paths of the QOS port, as one ASGI app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from lifecycle.calls.runs import Outcome, Status
from lifecycle.contracts import Command, Kind, Level, Reply, Request
from lifecycle.control.conductor import Conductor
from lifecycle.control.probes import Answer, Verdict
from lifecycle.exceptions import Draining, LifecycleError, ServiceNotFound, text_of
from lifecycle.plain import lines, one_line
from lifecycle.qos.access import Access, Caller
from lifecycle.serving.connection import HOLD, Receive, Scope, Send

PROBES: Final = {
    "live": Kind.LIVENESS,
    "livez": Kind.LIVENESS,
    "ready": Kind.READINESS,
    "readyz": Kind.READINESS,
    "startup": Kind.STARTUP,
    "startupz": Kind.STARTUP,
}
READS: Final = ("GET", "HEAD")
INTENT: Final = "-H 'X-Lifecycle: 1'"
_REFUSALS: Final = {ServiceNotFound: 404, Draining: 409, LifecycleError: 400}


class Response(NamedTuple):
    """What goes out."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"
    allow: str = ""


class Routes:
    """
    Answers every request on the QOS port and on the control socket.

    Args:
        conductor: What the probes and commands are asked of.
        access: Who may call what.
    """

    def __init__(self, conductor: Conductor, access: Access) -> None:
        self._conductor = conductor
        self._access = access

    async def on_port(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that came over TCP. An ASGI app."""
        await self._answer(scope, receive, send, unix=False)

    async def on_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that came over the control socket. An ASGI app."""
        await self._answer(scope, receive, send, unix=True)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, *, unix: bool) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        authority, path = _target(scope)
        caller = Caller(
            peer=_unmapped((scope.get("client") or ("", 0))[0]),
            local=_unmapped((scope.get("server") or ("", 0))[0] or ""),
            unix=unix,
            headers=headers,
            authority=authority,
        )
        response = await self._route(path, scope, receive, caller)
        await _write(send, response)

    async def _route(self, path: str, scope: Scope, receive: Receive, caller: Caller) -> Response:
        name, _, rest = path.strip("/").partition("/")
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        level = self._access.level(caller)
        if name in PROBES:
            if scope["method"] not in READS:
                return Response(405, f"/{name} is asked with GET\n", allow="GET, HEAD")
            return await self._probe(PROBES[name], rest, query, caller, level)
        found = self._conductor.commands.get(name)
        if found is None:
            return Response(404, f"no /{one_line(name[:80])} here; /help lists what there is\n")
        command, call = found
        if refusal := self._refusal(command, scope["method"], caller, level):
            return refusal
        if rest:
            query.append(("name", rest))
        request = Request(dict(query), str(caller), level, lambda: _hung_up(receive))
        if command.changes:
            fields = _plain(request.arguments)
            self._conductor.log.info("command", command=name, caller=str(caller), **fields)
        if len(request.arguments) < len(query):
            return Response(400, f"/{name}: an argument is given twice; give each once\n")
        if command.level is Level.PRIVATE and command.timeout is None:
            scope[HOLD]()  # a preStop is not cut off by who comes after it
        return self._read(await call(request), name)

    def _refusal(
        self, command: Command, method: str, caller: Caller, level: Level
    ) -> Response | None:
        if level < command.level:
            denied = f"/{command.name} is {command.level.name}: not for this caller\n"
            return Response(403, denied)
        if not command.changes:
            right = method in READS
            return None if right else Response(405, f"GET /{command.name}\n", allow="GET, HEAD")
        if method == "POST" and self._access.means_it(caller):
            return None
        if method == "POST":
            curl = f"curl -X POST {INTENT} …"
            hint = (
                f"/{command.name} over TCP needs a header: {curl}; `lifecycle offline` does not\n"
            )
            return Response(403, hint)
        if method == "GET" and command.token_get and self._access.has_token(caller.headers):
            return None
        hint = f"/{command.name} changes something: POST it (curl -X POST {INTENT} …)\n"
        return Response(405, hint, allow="POST")

    def _read(self, outcome: Outcome, name: str) -> Response:
        error = outcome.error
        for refusal, status in _REFUSALS.items():
            if isinstance(error, refusal):
                return Response(status, f"{one_line(text_of(error))}\n")
        if outcome.status is not Status.ANSWERED:
            status = 503 if outcome.status is Status.BUSY else 500
            return Response(status, f"/{name} {one_line(outcome.problem())}\n")
        value = outcome.value
        reply = value if isinstance(value, Reply) else Reply(value)
        if isinstance(reply.body, str):
            text = reply.body if reply.body.endswith("\n") else reply.body + "\n"
            return Response(reply.status, text)
        try:
            text = json.dumps(reply.body, default=str)
        except BaseException as wrong:  # noqa: BLE001 - a stranger's __str__, a circle
            said = one_line(f"{type(wrong).__name__}: {text_of(wrong)}")
            return Response(500, f"/{name} answered what JSON cannot hold: {said}\n")
        return Response(reply.status, text, "application/json")

    async def _probe(
        self,
        kind: Kind,
        only: str,
        query: list[tuple[str, str]],
        caller: Caller,
        level: Level,
    ) -> Response:
        exclude = {value for key, value in query if key == "exclude"}
        probes, life = self._conductor.probes, self._conductor.life
        verdict = await probes.verdict(kind, life, only=only, exclude=exclude)
        if only and not verdict.answers:
            return Response(404, f"no {kind} probe is called {only[:80]!r}\n")
        now = asyncio.get_running_loop().time()
        status = 200 if verdict.ok else 503
        open_ = level >= Level.PROTECTED
        if "application/json" in caller.headers.get("accept", ""):
            body = json.dumps(_as_json(verdict, now, reasons=open_))
            return Response(status, body, "application/json")
        if any(key == "verbose" for key, _ in query):
            unknown = exclude - set(probes.names(kind))
            return Response(status, _verbose(verdict, now, unknown, reasons=open_))
        return Response(status, "true" if verdict.ok else "false", "text/plain")


def _target(scope: Scope) -> tuple[str | None, str]:
    """Return the authority, if the target is a whole URL (RFC 9112, section 3.2.2), and the path."""
    raw: bytes = scope["raw_path"]
    scheme, mark, rest = raw.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        return None, scope["path"]
    authority, _, path = rest.partition(b"/")
    return authority.decode("latin-1"), unquote(path.decode("latin-1"))


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _write(send: Send, response: Response) -> None:
    text = response.content_type.startswith("text/plain")
    shown = lines(response.body) if text else response.body
    body = shown.encode(errors="backslashreplace")
    headers = [
        (b"content-type", response.content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if response.allow:
        headers.append((b"allow", response.allow.encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _unmapped(address: str) -> str:
    return address.removeprefix("::ffff:") if "." in address else address


def _plain(arguments: Mapping[str, str]) -> dict[str, str]:
    # A key that no log format takes must not cost the line: every change is logged.
    return {
        "arg_" + "".join(c if c.isalnum() else "_" for c in key[:40]): value[:200]
        for key, value in arguments.items()
    }


def _verbose(verdict: Verdict, now: float, unknown: Iterable[str], *, reasons: bool) -> str:
    lines = [_line(answer, now, reasons=reasons) for answer in verdict.answers]
    lines += [f"[?] {one_line(n)}: excluded, but there is no such probe" for n in sorted(unknown)]
    lines.append(f"{verdict.kind} {'passed' if verdict.ok else 'failed'}")
    return "\n".join(lines) + "\n"


def _line(answer: Answer, now: float, *, reasons: bool) -> str:
    mark, word = ("+", "ok") if answer.ok else ("-", "failed")
    stale = ", stale" if answer.stale else ""
    reason = (f": {answer.reason}" if reasons else ": reason withheld") if answer.reason else ""
    age = max(0.0, now - answer.at)
    return f"[{mark}] {answer.name} {word} ({answer.ms:.1f} ms, {age:.1f} s ago{stale}){reason}"


def _as_json(verdict: Verdict, now: float, *, reasons: bool) -> dict[str, Any]:
    return {
        "ok": verdict.ok,
        "probes": [
            {
                "name": answer.name,
                "ok": answer.ok,
                "ms": answer.ms,
                "age": round(max(0.0, now - answer.at), 3),
                "stale": answer.stale,
                **({"reason": answer.reason} if reasons else {}),
            }
            for answer in verdict.answers
        ],
    }
