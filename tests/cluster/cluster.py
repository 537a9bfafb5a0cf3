"""A Kubernetes of one node on this machine, from nothing to Ready in seconds, and to nothing."""

from __future__ import annotations

import json
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from tests.cluster.build import programs
from tests.cluster.image import app_image, pause_image
from tests.cluster.machine import Machine
from tests.cluster.settings import NODE, PORT, Settings
from tests.process.kit import wait_for

LATEST = 120.0
"""Seconds that a step may take on a busy machine."""


class Cluster:
    """A context manager: while it lasts, `kubeconfig` is a cluster's, which has `image`."""

    def __enter__(self) -> Self:
        built = programs()
        archive, self.image = app_image()
        pause_archive, pause = pause_image(built / "pause")
        with ExitStack() as stack:
            self.machine = stack.enter_context(Machine())
            self._settings = Settings(self.machine, built, pause)
            self._commands = self._settings.commands()
            self.kubeconfig = self._settings.kubeconfig
            self.kubectl = f"{built / 'node'} kubectl"
            for name in ("etcd", "containerd", "kube-apiserver"):
                self.start(name)
            self._wait(self._containerd_answers, "containerd answers")
            for image in (pause_archive, archive):
                self.machine.run("ctr", "--namespace=k8s.io", "images", "import", str(image))
            self._wait_for_api_server()
            for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"):
                self.start(name)
            self._wait(self._node_is_ready, "the node is Ready")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, name: str) -> None:
        """Start a program of the cluster, such as `kube-apiserver`."""
        self.machine.start(name, self._commands[name])

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a program a signal and wait for its end; `start` starts it again."""
        self.machine.kill(name, number)

    def bring_back_api_server(self) -> None:
        """Start the API server unless it runs, and return when it is ready."""
        if "kube-apiserver" not in self.machine.running():
            self.start("kube-apiserver")
        self._wait_for_api_server()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """For a while, let nothing reach the API server: connections stay, and say nothing."""
        chain = "silence input { type filter hook input priority -300; }"
        self.machine.run("nft", f"add table inet silence; add chain inet {chain}")
        self.machine.run("nft", f"add rule inet silence input tcp dport {PORT} drop")
        try:
            yield
        finally:
            self.machine.run("nft", "delete table inet silence")

    def _wait_for_api_server(self) -> None:
        self._wait(lambda: self.get("/readyz") == b"ok", "the API server is ready")

    def get(self, path: str) -> bytes:
        """Return what the API server answers the administrator; nothing if it does not."""
        config = json.loads(self.kubeconfig.read_text())
        token = config["users"][0]["user"]["token"]
        try:
            request = urllib.request.Request(
                self._settings.url + path, headers={"Authorization": f"Bearer {token}"}
            )
            trust = ssl.create_default_context(
                cafile=config["clusters"][0]["cluster"]["certificate-authority"]
            )
            with urllib.request.urlopen(request, timeout=10, context=trust) as response:
                return bytes(response.read())
        except OSError:
            return b""

    def _containerd_answers(self) -> bool:
        try:
            self.machine.run("ctr", "version")
        except RuntimeError:
            return False
        return True

    def _node_is_ready(self) -> bool:
        node = json.loads(self.get(f"/api/v1/nodes/{NODE}") or "{}")
        conditions = node.get("status", {}).get("conditions", [])
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        return ready and not node["spec"].get("taints")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            if ended := self.machine.ended():
                logs = "\n".join(self.machine.log(name)[-3000:] for name in ended)
                raise RuntimeError(f"ended: {ended}\n{logs}")
            return condition()

        wait_for(holds, LATEST, what)
