"""What the fake API server answers to each request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from plugins.fleet.tests import api_exec
from plugins.fleet.tests.api_exec import Call
from plugins.fleet.tests.api_objects import APIS, Conflict, Object, Store, Wanted
from plugins.fleet.tests.api_selectors import selector

REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
REVIEWS: Final = {
    "tokenreviews": "TokenReview",
    "localsubjectaccessreviews": "LocalSubjectAccessReview",
    "subjectaccessreviews": "SubjectAccessReview",
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
}
MERGE: Final = "application/merge-patch+json"
VERBS: Final = {"PATCH": "patch", "POST": "create", "DELETE": "delete", "PUT": "update"}


class Asked(NamedTuple):
    """One request: its verb (get, list, watch, patch, create, delete, exec), and what it is for."""

    verb: str
    plural: str
    namespace: str
    name: str
    subresource: str
    query: dict[str, str]
    body: Any
    path: str


class Request(NamedTuple):
    """One request as it came."""

    head: bytes
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Answered(Exception):
    """A request that is answered with a Status."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message or f"the {REASONS.get(code, 'Unknown')} of a test"


def allow_all(kind: str, spec: Object) -> Object:
    """Return the status of a review that allows everything, to a user named `somebody`."""
    if kind == "TokenReview":
        return {"authenticated": True, "user": {"username": "somebody", "groups": []}}
    return {"allowed": True}


def no_command(call: Call) -> int:
    """Let no container have the command."""
    raise api_exec.NotStarted(f'exec: "{call.words[0]}": executable file not found in $PATH')


class Routes(Store):
    """
    The answers.

    Attributes:
        token: The bearer token that is accepted. Empty accepts everybody.
        asked: Each request.
        heads: The head of each request, with its headers as they came.
        forced: For a verb, or a verb and a plural (`list events`, `get pods/log`), a status code
            to answer forever, or a list of codes for the next requests.
        logs: The log of a container, by namespace, pod and container. That of its previous run has
            `previous` as a fourth part of its name.
        review: Returns the status of a review, from its kind and its spec.
        execute: Runs a command in a container, in a thread, and returns its exit code. It may raise
            `NotStarted`, `Hangs` or `Dropped` of `api_exec`.
        page: The most objects of a page of a list. 0 leaves it to the client.
        delay: Seconds before an answer.
        bookmarks: Whether a watch that ends by its timeout gets a bookmark before.
        short_watches: Whether each watch ends at once, as behind a proxy without streams.
    """

    def __init__(self) -> None:
        super().__init__()
        self.token = ""
        self.asked: list[Asked] = []
        self.heads: list[str] = []
        self.forced: dict[str, int | list[int]] = {}
        self.review: Callable[[str, Object], Object] = allow_all
        self.logs: dict[tuple[str, ...], str] = {}
        self.execute: Callable[[Call], int] = no_command
        self.page = 0
        self.delay = 0.0
        self.bookmarks = True
        self.short_watches = False
        self.watching: set[asyncio.Queue[str]] = set()

    async def answer(self, given: Request, *, trusted: bool) -> None:
        """
        Answer one request.

        Args:
            given: The request.
            trusted: Whether the client has a certificate that is known.
        """
        asked = understood(given)
        self.asked.append(asked)
        self.heads.append(given.head.decode())
        await asyncio.sleep(self.delay)
        try:
            self._admit(asked, given, trusted=trusted)
            await self._answer(asked, given)
        except Answered as answered:
            await send(given.writer, answered.code, status(answered.code, answered.message))

    def _admit(self, asked: Asked, given: Request, *, trusted: bool) -> None:
        token = given.headers.get("authorization", "")
        if not trusted and self.token and token != f"Bearer {self.token}":
            raise Answered(401, "Unauthorized")
        inner = f"{asked.plural}/{asked.subresource}".rstrip("/")
        for name in (f"{asked.verb} {inner}", f"{asked.verb} {asked.plural}", asked.verb):
            if code := self._forced(name):
                raise Answered(code, _refusal(asked) if code == 403 else "")

    def _forced(self, name: str) -> int:
        found = self.forced.get(name, 0)
        if isinstance(found, list):
            return found.pop(0) if found else 0
        return found

    async def _answer(self, asked: Asked, given: Request) -> None:
        if asked.plural == "version":
            await send(given.writer, 200, {"gitVersion": "v1.34.2"})
            return
        if kind := REVIEWS.get(asked.plural):
            answer = {**asked.body, "kind": kind, "status": self.review(kind, asked.body["spec"])}
            await send(given.writer, 201, answer)
            return
        if asked.plural not in APIS:
            raise Answered(404, "the server could not find the requested resource")
        if asked.verb == "exec":
            await self._exec(asked, given)
        elif asked.subresource == "log":
            await send_text(given.writer, self._log(asked))
        elif asked.verb == "watch":
            await self._watch(asked, given.writer)
        elif asked.verb == "list":
            await send(given.writer, 200, self._list(asked))
        else:
            code = 201 if asked.verb == "create" else 200
            await send(given.writer, code, self._one(asked, given))

    def _log(self, asked: Asked) -> str:
        name = (asked.namespace, asked.name, asked.query.get("container", ""))
        if asked.query.get("previous") == "true":
            name = (*name, "previous")
        if name not in self.logs:
            raise Answered(400, f"previous terminated container {name[2]!r} not found")
        return self.logs[name]

    def _one(self, asked: Asked, given: Request) -> Object:
        where = (asked.plural, asked.namespace, asked.name)
        if asked.verb == "create":
            metadata = {"namespace": asked.namespace} | asked.body["metadata"]
            if (asked.plural, asked.namespace, metadata["name"]) in self.objects:
                raise Answered(409, f'{asked.plural} "{metadata["name"]}" already exists')
            return self.put(asked.plural, asked.body | {"metadata": metadata})
        try:
            if asked.verb == "patch":
                if given.headers.get("content-type") != MERGE:
                    raise Answered(415)
                return self.patch(*where, asked.body)
            return self.delete(*where) if asked.verb == "delete" else self.objects[where]
        except KeyError:
            raise Answered(404, f'{asked.plural} "{asked.name}" not found') from None
        except Conflict:
            raise Answered(409, "the object has been modified") from None

    def _list(self, asked: Asked) -> Object:
        version, found = self.select(asked.plural, asked.namespace, _wanted(asked))
        start = 0
        if onwards := asked.query.get("continue"):
            version, start = map(int, onwards.split("-"))
            if version < self.oldest:
                raise Answered(410, "The provided continue parameter is too old")
        size = min(filter(None, (self.page, int(asked.query.get("limit", 0)))), default=0)
        metadata = {"resourceVersion": str(version)}
        if size and start + size < len(found):
            metadata["continue"] = f"{version}-{start + size}"
            found = found[: start + size]
        api, kind = APIS[asked.plural]
        items = [
            {key: value for key, value in each.items() if key not in ("apiVersion", "kind")}
            for each in found[start:]  # as a real one, which leaves them out in lists
        ]
        return {"apiVersion": api, "kind": f"{kind}List", "metadata": metadata, "items": items}

    async def _watch(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        wanted, plural = _wanted(asked), asked.plural
        version = int(asked.query.get("resourceVersion") or 0)
        marks = asked.query.get("allowWatchBookmarks") == "true" and self.bookmarks
        controls: asyncio.Queue[str] = asyncio.Queue()
        self.watching.add(controls)
        loop = asyncio.get_running_loop()
        given = float(asked.query.get("timeoutSeconds", 3600))
        seconds = 0.0 if self.short_watches else given
        ending = loop.call_later(seconds, controls.put_nowait, "polite")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            if not version:
                version, found = self.select(plural, asked.namespace, wanted)
                for each in found:
                    chunk(writer, "ADDED", each)
            elif version < self.oldest:
                controls.put_nowait("expired")
            while True:
                version, events = self.events(plural, asked.namespace, version, wanted)
                for kind, thing in events:
                    chunk(writer, kind, thing)
                await writer.drain()
                control = await controls.get()
                if control == "reset":
                    writer.transport.abort()
                    return
                if control == "expired":
                    text = f"too old resource version: {version} ({self.version})"
                    chunk(writer, "ERROR", status(410, text))
                if control in ("polite", "bookmark") and marks:
                    chunk(writer, "BOOKMARK", _bookmark(plural, version))
                if control in ("polite", "expired"):
                    writer.write(b"0\r\n\r\n")
                    return
        finally:
            ending.cancel()
            self.watching.discard(controls)

    async def _exec(self, asked: Asked, given: Request) -> None:
        pod = self.objects.get(("pods", asked.namespace, asked.name))
        if pod is None:
            raise Answered(404, f'pods "{asked.name}" not found')
        names = [each["name"] for each in pod.get("spec", {}).get("containers", ())]
        container = asked.query.get("container", "")
        if container and container not in names:
            raise Answered(400, f"container {container} is not valid for pod {asked.name}")
        words = parse_qs(urlsplit(given.path).query, keep_blank_values=True)["command"]
        where = (asked.namespace, asked.name, container)
        await api_exec.serve(given.head, given.reader, given.writer, where, words, self.execute)
        raise ConnectionAbortedError  # nothing else comes on this connection


def understood(given: Request) -> Asked:
    """Return what a request is for."""
    url = urlsplit(given.path)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    parts = [unquote(each) for each in url.path.split("/") if each]
    rest = parts[3:] if parts[:1] == ["apis"] else parts[2:] if parts[:1] == ["api"] else parts
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "", "")[:3]
    if subresource == "exec":
        verb = "exec"
    elif given.method == "GET":
        verb = "get" if name else "watch" if query.get("watch") in ("true", "1") else "list"
    else:
        verb = VERBS[given.method]
    body = json.loads(given.body) if given.body else None
    return Asked(verb, plural, namespace, name, subresource, query, body, given.path)


def _wanted(asked: Asked) -> Wanted:
    query = asked.query
    try:
        return selector(query.get("labelSelector", ""), query.get("fieldSelector", ""))
    except ValueError as error:
        raise Answered(400, str(error)) from None


def _refusal(asked: Asked) -> str:
    """Return what a real one says to somebody without the right."""
    what = f"{asked.plural}/{asked.subresource}" if asked.subresource else asked.plural
    where = f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
    verb = "get" if asked.verb == "exec" else asked.verb
    api = APIS.get(asked.plural, ("v1", ""))[0]
    group = api.rpartition("/")[0]
    return (
        f'{asked.plural} is forbidden: User "somebody" cannot {verb} resource "{what}" '
        f'in API group "{group}"{where}'
    )


def _bookmark(plural: str, version: int) -> Object:
    api, kind = APIS[plural]
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    return {"apiVersion": api, "kind": kind, "metadata": metadata}


def chunk(writer: asyncio.StreamWriter, kind: str, thing: Object) -> None:
    """Send one event of a watch. As a real one, it escapes only what JSON requires."""
    line = json.dumps({"type": kind, "object": thing}, ensure_ascii=False).encode() + b"\n"
    writer.write(b"%x\r\n%s\r\n" % (len(line), line))


async def send(writer: asyncio.StreamWriter, code: int, thing: Object) -> None:
    """Send an answer."""
    body = json.dumps(thing).encode()
    writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % code)
    writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()


async def send_text(writer: asyncio.StreamWriter, text: str) -> None:
    """Send a text."""
    body = text.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


def status(code: int, message: str) -> Object:
    """Return a Status."""
    found = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return found | {"code": code, "reason": REASONS.get(code, "Unknown"), "message": message}
