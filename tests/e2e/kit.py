"""
A namespace of a real cluster: put objects into it, wait for what becomes of them, read their logs.

Every wait has a deadline, and says what it waited for.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from lightkube import ApiError, Client, KubeConfig, codecs
from lightkube.models.core_v1 import ContainerStatus
from lightkube.resources.core_v1 import ConfigMap, Event, Namespace, Pod, ServiceAccount
from lightkube.resources.discovery_v1 import EndpointSlice

from tests.cluster.fixtures import Target
from tests.process.kit import background, wait_for

T = TypeVar("T")

LATEST = 90.0
"""Seconds that the cluster may take for anything on a busy machine."""


class Space:
    """One test's namespace, and the image of its pods."""

    def __init__(self, client: Client, name: str, target: Target) -> None:
        self.client = client
        self.name = name
        self.image = target.image
        self._target = target

    def create(self, manifest: Mapping[str, Any]) -> Any:
        """Create an object from its manifest."""
        return self.client.create(codecs.from_dict(dict(manifest)))

    def files(self, name: str, *paths: Path) -> None:
        """Put files into a ConfigMap, which `manifests.pod` mounts as /app."""
        data = {path.name: path.read_text() for path in paths}
        self.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        )

    def started(self, pod: str) -> bool:
        """Tell whether a pod's only container runs and has passed its startup probe."""
        return any(each.started for each in self._containers(pod))

    def restarts(self, pod: str) -> int:
        """Return how often the kubelet has started a pod's container again."""
        return sum(each.restartCount for each in self._containers(pod))

    def _containers(self, pod: str) -> Sequence[ContainerStatus]:
        status = self.client.get(Pod, pod).status
        return (status and status.containerStatuses) or ()

    def ready(self, pod: str) -> bool:
        """Tell whether the kubelet holds a pod for ready."""
        status = self.client.get(Pod, pod).status
        conditions = (status and status.conditions) or []
        return any(each.type == "Ready" and each.status == "True" for each in conditions)

    def wait_ready(self, *pods: str) -> None:
        """Return when the kubelet holds these pods for ready."""
        for pod in pods:
            self.wait(lambda pod=pod: self.ready(pod), f"{pod} is ready", about=pod)

    def address(self, pod: str) -> str:
        """Return a pod's address."""
        status = self.client.get(Pod, pod).status
        assert status is not None
        assert status.podIP
        return status.podIP

    def found(self, pod: str) -> str:
        """Return a pod's address once it is ready, and its Service of the same name has it."""
        self.wait_ready(pod)
        address = self.address(pod)
        self.wait(
            lambda: self.endpoints(pod) == {address: (True, True, False)},
            "the EndpointSlice has the ready pod",
            about=pod,
        )
        return address

    def endpoints(self, service: str) -> dict[str, tuple[bool, bool, bool]]:
        """Return a Service's endpoints: address → ready, serving, terminating."""
        label = {"kubernetes.io/service-name": service}
        return {
            each.addresses[0]: (
                bool(each.conditions and each.conditions.ready),
                bool(each.conditions and each.conditions.serving),
                bool(each.conditions and each.conditions.terminating),
            )
            for piece in self.client.list(EndpointSlice, labels=label)
            for each in piece.endpoints or ()
        }

    def events(self, about: str = "") -> list[tuple[str, str]]:
        """Return what the cluster has noted of an object, or of all: reason and message."""
        return [
            (each.reason or "", each.message or "")
            for each in self.client.list(Event)
            if about in ("", each.involvedObject.name)
        ]

    def run(self, pod: str, *argv: str) -> str:
        """Run a command in a pod's container, and return what it wrote to stdout."""
        # lightkube's exec closes its socket while a thread of it still reads: what is opened next
        # has the socket's number, and loses its first bytes to that thread.
        kubectl = [*self._target.kubectl(self.name), "exec", pod, "--", *argv]
        return subprocess.run(
            kubectl, check=False, capture_output=True, text=True, timeout=LATEST
        ).stdout

    def wait(self, condition: Callable[[], T], what: str, *, about: str = "") -> T:
        """Return when a condition holds; else tell what the cluster and the app have said."""

        def why() -> str:
            noted = "\n".join(f"  {reason}: {text}" for reason, text in self.events(about))
            try:
                said = "".join(self.client.log(about, tail_lines=20)) if about else ""
            except (ApiError, httpx2.HTTPError) as error:
                said = str(error)
            return f"{what}\n{noted}\n{said}"

        return wait_for(lambda: paced(condition), LATEST, why)

    def log(self, pod: str) -> list[dict[str, Any]]:
        """Return what the container that runs now has logged; nothing before it has started."""
        try:
            return lines_of_json(self.client.log(pod, newlines=False))
        except ApiError:
            return []

    def follow(self, pod: str) -> Future[list[dict[str, Any]]]:
        """Read what the container that runs now logs, until it ends."""
        return background(lambda: lines_of_json(self.client.log(pod, follow=True, newlines=False)))

    def delete(self, pod: str) -> Departure:
        """Delete a pod, and return when it is gone."""
        departure = Departure(self, pod)
        self.client.delete(Pod, pod)
        departure.exit_code()
        return departure


class Departure:
    """How a pod goes: what its app logs, and its exit code."""

    def __init__(self, space: Space, pod: str) -> None:
        self._space = space
        self._pod = pod
        self._seen = threading.Event()
        self._log = space.follow(pod)
        self._code = background(self._watch)
        assert self._seen.wait(LATEST), f"{pod} is watched"

    def _watch(self) -> int | None:
        code = None
        # From no version: the pod's own may be older than what the API server remembers.
        for change, pod in self._space.client.watch(Pod, fields={"metadata.name": self._pod}):
            self._seen.set()
            for status in (pod.status and pod.status.containerStatuses) or ():
                if status.state and status.state.terminated:
                    code = status.state.terminated.exitCode
            if change == "DELETED":
                break
        return code

    def exit_code(self) -> int | None:
        """Return the container's, when the pod is gone."""
        return self._code.result(LATEST)

    def log(self) -> list[dict[str, Any]]:
        """Return what the app has logged, when it has ended."""
        return self._log.result(LATEST)

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return those events of the app's log, when it has ended."""
        return [each for each in self.log() if each["event"] == event]


def paced(condition: Callable[[], T]) -> T:
    """Ask the API server five times a second, no more."""
    time.sleep(0.2)
    return condition()


def lines_of_json(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return those lines that are objects."""
    return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def namespace(target: Target) -> Iterator[Space]:
    """A namespace of its own, as long as it is needed."""
    name = f"e2e-{secrets.token_hex(4)}"
    with Client(KubeConfig.from_file(target.kubeconfig), namespace=name) as client:
        try:
            begin(client, name)
            yield Space(client, name, target)
        finally:
            end(client, name)


def begin(client: Client, name: str) -> None:
    """Make a namespace, and return when pods can be created in it."""
    client.create(Namespace.from_dict({"metadata": {"name": name}}))

    def prepared() -> bool:
        accounts = {each.metadata.name for each in client.list(ServiceAccount, namespace=name)}
        maps = {each.metadata.name for each in client.list(ConfigMap, namespace=name)}
        return "default" in accounts and "kube-root-ca.crt" in maps

    wait_for(lambda: paced(prepared), 2 * LATEST, f"the namespace {name} has its ServiceAccount")


def end(client: Client, name: str) -> None:
    """Delete a namespace; its pods at once, so that they do not load the next test's machine."""
    client.deletecollection(Pod, namespace=name, grace_period=0)
    client.delete(Namespace, name)
