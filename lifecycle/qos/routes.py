"""The paths of the QOS port, as one ASGI app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from lifecycle.calls.runs import Outcome, Status
from lifecycle.contracts import Command, Kind, Level, Reply, Request
from lifecycle.control.conductor import Conductor
from lifecycle.control.probes import Answer, Verdict
from lifecycle.exceptions import (
    Draining,
    LifecycleError,
    OnlineAgain,
    ServiceNotFound,
    StillServing,
    page_of,
    text_of,
)
from lifecycle.links import help_page
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
OF_SERVICES: Final = frozenset({"online", "offline"})
IN_A_SHELL: Final = OF_SERVICES | {"inflight", "ls", "prestop", "status"}
"""The commands that `lifecycle NAME` sends over the control socket."""
REFUSED: Final = "command-refused"
FAILED: Final = "command-failed"
_REFUSALS: Final = {
    ServiceNotFound: 404,
    Draining: 409,
    OnlineAgain: 409,
    StillServing: 504,
    LifecycleError: 400,
}


class Response(NamedTuple):
    """
    One HTTP response of the QOS port.

    Attributes:
        see: The page about a refusal, for `lifecycle NAME`.
        raw: Send the body as it is, because the command has set the content type.
    """

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"
    allow: str = ""
    see: str = ""
    headers: Sequence[tuple[str, str]] = ()
    raw: bool = False


class Routes:
    """
    Answers every request on the QOS port and on the control socket.

    Args:
        conductor: Has the probes and the commands.
        access: Decides which caller may use which command.
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
        if response.see and unix:  # it has our version, which is not for every client of the port
            page = f"See {help_page(response.see)}\n"
            response = response._replace(body=response.body + page)
        await _write(send, response)

    async def _route(self, path: str, scope: Scope, receive: Receive, caller: Caller) -> Response:
        name, _, rest = path.strip("/").partition("/")
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        level = self._access.level(caller)
        if name in PROBES:
            if scope["method"] not in READS:
                return _only_read(name)
            return await self._probe(PROBES[name], rest, query, caller, level)
        found = self._conductor.commands.get(name)
        if found is None:
            return Response(
                404, f"There is no /{one_line(name[:80])}. See GET /help.\n", see=REFUSED
            )
        command, call = found
        if rest:
            query.append(("name", rest))
        service = next((value for key, value in query if key in ("name", "service")), "")
        if refusal := self._refusal(command, scope, caller, level, service):
            return refusal
        request = Request(
            dict(query), str(caller), level, lambda: _hung_up(receive), _accept(caller)
        )
        if command.changes:
            fields = _plain(request.arguments)
            self._conductor.log.info("command", command=name, caller=str(caller), **fields)
        if len(request.arguments) < len(query):
            return Response(
                400, f"/{name} got an argument twice. Give each argument once.\n", see=REFUSED
            )
        if level is Level.PRIVATE and command.timeout is None:
            scope[HOLD]()  # a newer connection must not replace a call that waits, as of preStop
        return self._read(await call(request), name)

    def _refusal(
        self, command: Command, scope: Scope, caller: Caller, level: Level, service: str
    ) -> Response | None:
        name, method = command.name, scope["method"]
        if level < command.level:
            denied = f"/{name} is {command.level.name}, so this caller may not use it."
            return Response(403, _sentences(denied, _in_a_shell(name, service)), see=REFUSED)
        if not command.changes:
            return None if method in READS else _only_read(name)
        if method == "POST" and self._access.means_it(caller):
            return None
        curl = f"With curl, use `curl -X POST {INTENT}`."
        if method == "POST":
            missing = f"POST /{name} over TCP needs the header X-Lifecycle."
            return Response(403, _sentences(missing, _in_a_shell(name, service), curl), see=REFUSED)
        if method == "GET" and command.token_get and self._access.has_token(caller.headers):
            return None
        wrong = f"/{name} changes something, so only POST is allowed."
        return Response(
            405, _sentences(wrong, _in_a_shell(name, service), curl), allow="POST", see=REFUSED
        )

    def _read(self, outcome: Outcome, name: str) -> Response:
        error = outcome.error
        for refusal, status in _REFUSALS.items():
            if isinstance(error, refusal):
                return Response(status, f"{one_line(text_of(error))}\n", see=page_of(error))
        if outcome.status is not Status.ANSWERED:
            status = 503 if outcome.status is Status.BUSY else 500
            return Response(status, f"/{name} {one_line(outcome.problem())}\n", see=FAILED)
        value = outcome.value
        reply = value if isinstance(value, Reply) else Reply(value)
        if reply.content_type:
            return _of_that_type(reply, name)
        if isinstance(reply.body, str):
            text = reply.body if reply.body.endswith("\n") else reply.body + "\n"
            return Response(reply.status, text, headers=reply.headers)
        try:
            text = json.dumps(reply.body, default=str)
        except BaseException as wrong:  # noqa: BLE001 - a stranger's __str__, a circle
            said = one_line(f"{type(wrong).__name__}: {text_of(wrong)}")
            problem = f"/{name} returned a value that JSON cannot hold: {said}\n"
            return Response(500, problem, see=FAILED)
        return Response(reply.status, text, "application/json", headers=reply.headers)

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
            return Response(404, f"There is no {kind} probe named {only[:80]!r}.\n", see=REFUSED)
        now = asyncio.get_running_loop().time()
        status = 200 if verdict.ok else 503
        open_ = level >= Level.PROTECTED
        if "application/json" in _accept(caller):
            body = json.dumps(_as_json(verdict, now, reasons=open_))
            return Response(status, body, "application/json")
        if any(key == "verbose" for key, _ in query):
            unknown = exclude - set(probes.names(kind))
            return Response(status, _verbose(verdict, now, unknown, reasons=open_))
        return Response(status, "true" if verdict.ok else "false", "text/plain")


def _accept(caller: Caller) -> str:
    return caller.headers.get("accept", "")


def _of_that_type(reply: Reply, name: str) -> Response:
    """Return a response whose content type the command has set."""
    if not isinstance(reply.body, str):
        problem = f"/{name} returned a content type, but its body is not text.\n"
        return Response(500, problem, see=FAILED)
    return Response(reply.status, reply.body, reply.content_type, headers=reply.headers, raw=True)


def _only_read(name: str) -> Response:
    return Response(405, f"Use GET /{name}.\n", allow="GET, HEAD", see=REFUSED)


def _in_a_shell(name: str, service: str) -> str:
    """Name the command line that does the same; empty if there is none."""
    if not name:
        return "Run `kubectl port-forward`, and open the page at localhost."
    if name not in IN_A_SHELL:
        return ""
    line = f"lifecycle {name}"
    if service and name in OF_SERVICES:
        plain = service.isprintable() and not {"'", "`"} & set(service) and len(service) <= 253
        line += f" '{service}'" if plain else " NAME"
    return f"Run `{line}` in the container."


def _sentences(*sentences: str) -> str:
    return " ".join(filter(None, sentences)) + "\n"


def _target(scope: Scope) -> tuple[str | None, str]:
    """
    Return the authority and the path of a request.

    The authority is None unless the target is a whole URL (RFC 9112, section 3.2.2).
    """
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
    text = response.content_type.startswith("text/plain") and not response.raw
    shown = lines(response.body) if text else response.body
    body = shown.encode(errors="backslashreplace")
    headers = [
        (b"content-type", _latin(response.content_type)),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if response.allow:
        headers.append((b"allow", response.allow.encode()))
    headers += [(_latin(name.lower()), _latin(value)) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _latin(word: str) -> bytes:
    return one_line(word).encode("latin-1", "replace")


def _unmapped(address: str) -> str:
    return address.removeprefix("::ffff:") if "." in address else address


def _plain(arguments: Mapping[str, str]) -> dict[str, str]:
    # Every change is logged, so an odd key must not make the log call fail.
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
