"""A small API server in the test's own process: one pod, its EndpointSlice, and bad days."""

from __future__ import annotations

import asyncio
import copy
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired"}
ANNOTATION = "io.dubbo/metadata"
STATUS = "pod-lifecycle.dev/status"
REPORT = "REPORT"
"""The method of a patch that has nothing but the annotation `STATUS`."""
PATH = "/api/v1/namespaces/shop/pods/orders-1"
EVENTS = "/api/v1/namespaces/shop/events"


class ApiServer:
    """
    Does with the pod what an API server does.

    Attributes:
        pod: The pod as it is stored.
        token: What is accepted.
        answers: For a method, what is answered instead, one after the other: a status.
        asked: Method and path of each request, watches too. A patch of the annotation `STATUS`
            alone has the method `REPORT`.
        patched: The condition and the annotation after each patch, except reports.
        statuses: The annotation `STATUS` after each patch that has it, reports or not.
        events: The Events that were created.
        hold: While it is set to an event, patches wait for that, whoever has gone meanwhile.
        hold_reports: The same for reports and Events.
        hold_gets: The same for the answers that have the pod, as it was when it was requested.
        reported_at: When each report came, on the loop's clock.
        latency: Seconds that a patch takes.
        certificate: The folder of its own, with the key.
        told: The kind of change that watches are told of.
        slow: Seconds before anything is answered.
        deaf: True: watches are accepted, and nothing is ever sent on them.
        no_slices: The status that whoever asks for EndpointSlices is answered.
        refuses: An annotation that has this is invalid.
        no_status: True: a policy refuses the annotation `STATUS`.
        curt: True: watches are ended at once, politely.
        expired: So many watches are answered that their version is too old.
        drop_annotations: True: as a policy that drops them would.
    """

    def __init__(self, account: Path) -> None:
        self.account = account
        self.token = (account / "token").read_text()
        self.answers: dict[str, list[int]] = {}
        self.asked: list[tuple[str, str]] = []
        self.patched: list[tuple[str, str | None]] = []
        self.statuses: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.hold: asyncio.Event | None = None
        self.hold_reports: asyncio.Event | None = None
        self.hold_gets: asyncio.Event | None = None
        self.reported_at: list[float] = []
        self.latency = 0.0
        self.certificate = account
        self.told = "MODIFIED"
        self.slow = 0.0
        self.deaf = False
        self.refuses = ""
        self.no_status = False
        self.curt = False
        self.no_slices = 0
        self.expired = 0
        self.drop_annotations = False
        self.port = 0
        self.version = 1
        self.pod: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "orders-1", "namespace": "shop", "uid": "u1"},
            "spec": {"containers": [{"name": "app"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }
        self.ready = False
        self._changed = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Serve on a port of this machine, after `kill` on the same one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate / "ca.crt", self.certificate / "key.pem")
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=context, reuse_address=True
        )
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def kill(self) -> None:
        """Be gone as after kill -9: connections are reset, new ones refused."""
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    def change(self) -> None:
        """Tell who watches."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def condition(self) -> str:
        """Return the status of the gate's condition."""
        each = self.pod["status"]["conditions"]
        return next((one["status"] for one in each if one["type"].startswith("pod-lifecycle")), "")

    def annotation(self) -> str | None:
        """Return Dubbo's annotation."""
        return (self.pod["metadata"].get("annotations") or {}).get(ANNOTATION)

    def status(self) -> dict[str, Any] | None:
        """Return the annotation `STATUS`."""
        text = (self.pod["metadata"].get("annotations") or {}).get(STATUS)
        return json.loads(text) if text else None

    def count(self, method: str) -> int:
        """Return how many requests had a method."""
        return sum(each == method for each, _ in self.asked)

    def reasons(self) -> list[str]:
        """Return the reasons of the Events, in their order."""
        return [each["reason"] for each in self.events]

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def watches(self, kind: str) -> int:
        """Return how many watches were begun."""
        return sum(f"/{kind}?" in path and "watch=true" in path for _, path in self.asked)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._server.is_serving():  # killed while this one shook hands
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = {k.lower(): v for k, _, v in (each.partition(": ") for each in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = first.split(" ")
                method = (
                    REPORT if method == "PATCH" and "status" not in json.loads(body) else method
                )
                self.asked.append((method, path))
                if method == REPORT:
                    self.reported_at.append(asyncio.get_running_loop().time())
                await asyncio.sleep(self.slow)
                await self._answer(method, path, headers, body, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client has gone
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        writer: asyncio.StreamWriter,
    ) -> None:
        query = parse_qs(urlsplit(path).query)
        if self.answers.get(method):
            code = self.answers[method].pop(0)
            await _send(writer, code, _status(code))
        elif headers.get("authorization") != f"Bearer {self.token}":
            await _send(writer, 401, _status(401))
        elif self.no_slices and "endpointslices" in path:
            await _send(writer, self.no_slices, _status(self.no_slices))
        elif "watch" in query:
            kind = "slices" if "endpointslices" in path else "pods"
            await self._watch(kind, query["resourceVersion"][0], writer)
        elif "endpointslices" in path:
            listed = {"metadata": {"resourceVersion": str(self.version)}, "items": [self._slice()]}
            await _send(writer, 200, listed)
        elif method in ("PATCH", REPORT, "POST"):
            if (hold := self.hold if method == "PATCH" else self.hold_reports) is not None:
                await hold.wait()
            await asyncio.sleep(self.latency)
            await (self._create if method == "POST" else self._patch)(
                path, json.loads(body), writer
            )
        else:
            pod = self._pod()
            if self.hold_gets is not None:
                await self.hold_gets.wait()
            await _send(writer, 200, pod)

    async def _patch(self, path: str, patch: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        metadata = self.pod["metadata"]
        if path != f"{PATH}/status":
            await _send(writer, 404, _status(404))
            return
        if patch["metadata"].get("uid", "u1") != metadata["uid"]:
            await _send(writer, 422, _status(422))  # as a real one does: the uid is immutable
            return
        if self.refuses and self.refuses in (
            patch["metadata"]["annotations"].get(ANNOTATION) or ""
        ):
            await _send(writer, 422, _status(422))
            return
        if self.no_status and STATUS in patch["metadata"]["annotations"]:
            await _send(writer, 422, _status(422))
            return
        given = {} if self.drop_annotations else patch["metadata"]["annotations"]
        kept = (metadata.get("annotations") or {}) | given
        metadata["annotations"] = {key: value for key, value in kept.items() if value is not None}
        if given.get(STATUS):
            self.statuses.append(json.loads(given[STATUS]))
        if "status" in patch:
            conditions = {each["type"]: each for each in self.pod["status"]["conditions"]}
            conditions |= {each["type"]: each for each in patch["status"]["conditions"]}
            self.pod["status"]["conditions"] = list(conditions.values())
            self.ready = self.condition() == "True"
            self.patched.append((self.condition(), self.annotation()))
        self.change()
        await _send(writer, 200, self._pod())

    async def _create(self, path: str, event: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        metadata = event["metadata"]
        if path != EVENTS or event["involvedObject"]["namespace"] != metadata["namespace"]:
            await _send(writer, 404, _status(404))
        elif any(each["metadata"]["name"] == metadata["name"] for each in self.events):
            await _send(writer, 409, _status(409))
        else:
            self.events.append(event)
            await _send(writer, 201, event)

    async def _watch(self, kind: str, version: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        if self.expired:
            self.expired -= 1
            _chunk(writer, {"type": "ERROR", "object": _status(410)})
        if self.curt:
            writer.write(b"0\r\n\r\n")
            return
        told = int(version)
        while True:
            if told < self.version and not self.deaf:
                told = self.version
                thing = self._slice() if kind == "slices" else self._pod()
                _chunk(writer, {"type": self.told, "object": thing})
            await writer.drain()
            await self._changed.wait()

    def _pod(self) -> dict[str, Any]:
        pod = copy.deepcopy(self.pod)
        pod["metadata"]["resourceVersion"] = str(self.version)
        return pod

    def _slice(self) -> dict[str, Any]:
        target = {"kind": "Pod", "name": "orders-1"}
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "orders-x", "resourceVersion": str(self.version)},
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": ["10.0.0.1"],
                    "conditions": {"ready": self.ready},
                    "targetRef": target,
                }
            ],
        }


def _chunk(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    line = json.dumps(event).encode() + b"\n"
    writer.write(b"%x\r\n%s\r\n" % (len(line), line))


async def _send(writer: asyncio.StreamWriter, code: int, thing: dict[str, Any]) -> None:
    body = json.dumps(thing).encode()
    writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % code)
    writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()


def _status(code: int) -> dict[str, Any]:
    reason = REASONS.get(code, "Unknown")
    said = f"the {reason} of a test"
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": said}
