"""
A fake cluster on the fake API server: a controller of Deployments, and a kubelet, both in a hurry.

The controller does what kube-controller-manager does in a rolling update, also while a Deployment is
paused. What happens to the pods of a version, `Behaviour` says.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from plugins.fleet.tests.api_objects import Name, Object
from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.rollout_objects import NAME, NAMESPACE, deployment, event, stamp
from plugins.fleet.tests.rollout_specs import (
    HASH,
    REVISION,
    Behaviour,
    is_ready,
    limits_of,
    owner_reference,
    plain_template,
    revision_of,
    version_of,
    wanted_template,
)


class Cluster(ApiServer):
    """
    A cluster with one Deployment. A context manager.

    Args:
        replicas: The replicas of the Deployment.
        surge: Its maxSurge.
        unavailable: Its maxUnavailable.
        ahead: Seconds by which the clock of the API server is ahead of this machine.
        node_ahead: Seconds by which the clock of the nodes is.
        more: Other parts of its spec.

    Attributes:
        versions: The behaviour of each version. The version is the tag of the image.
        patched: Each patch of the Deployment.
        slow: The seconds that such a patch takes.
    """

    def __init__(
        self,
        replicas: int = 3,
        *,
        surge: Any = 1,
        unavailable: Any = 0,
        ahead: float = 0.0,
        node_ahead: float = 0.0,
        **more: Any,
    ) -> None:
        super().__init__()
        self.ahead = ahead
        self.node_ahead = node_ahead
        self.versions: dict[str, Behaviour] = {}
        self.patched: list[Object] = []
        self.slow = 0.0
        self._changes = threading.Event()
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count(1)
        self._ending = False
        first = deployment(
            "1", replicas=replicas, generation=1, surge=surge, unavailable=unavailable
        )
        first["spec"] |= more
        first["status"] = {}
        first["metadata"]["annotations"] = {}
        self.put("deployments", first)

    def __enter__(self) -> Self:
        super().__enter__()
        self._controller = threading.Thread(target=self._reconcile)
        self._controller.start()
        self.wait(self.complete, "the first rollout")
        self.asked.clear()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending = True
        self._changes.set()
        self._controller.join(LATEST)
        assert not self._controller.is_alive()
        super().__exit__(*exc)

    # What tests ask and do

    def now(self) -> float:
        """Return the time of the API server."""
        return time.time() + self.ahead

    def node_now(self) -> float:
        """Return the time of the nodes."""
        return time.time() + self.node_ahead

    @property
    def deployment(self) -> Object:
        """The Deployment."""
        return self.objects["deployments", NAMESPACE, NAME]

    @property
    def pods(self) -> list[Object]:
        """The pods."""
        return [each for name, each in sorted(self.objects.items()) if name[0] == "pods"]

    def apply(self, version: str, **more: Any) -> None:
        """Change the image, as somebody else does."""
        containers = [{"name": "app", "image": f"orders:{version}"}]
        spec = {"template": {"spec": {"containers": containers}}} | more
        self.patch("deployments", NAMESPACE, NAME, {"spec": spec})

    def images(self) -> set[str]:
        """Return the versions of the pods that are there."""
        return {version_of(each["spec"]) for each in self.pods}

    def complete(self) -> bool:
        """Tell whether the rollout is over, and the old pods are gone."""
        found, status = self.deployment, self.deployment["status"]
        wanted = found["spec"]["replicas"]
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("updatedReplicas") == status.get("availableReplicas") == wanted
            and len(self.pods) == wanted
        )

    def patch(self, plural: str, namespace: str, name: str, change: Object) -> Object:
        if plural == "deployments" and "status" not in change:
            self.patched.append(change)
            time.sleep(self.slow)
        return super().patch(plural, namespace, name, change)

    def _store(self, name: Name, new: Object) -> Object:
        old = self.objects.get(name)
        if name[0] == "deployments" and old and old["spec"] != new["spec"]:
            new["metadata"] = new["metadata"] | {"generation": old["metadata"]["generation"] + 1}
        found = super()._store(name, new)
        self._changes.set()
        return found

    # The loop

    def _reconcile(self) -> None:
        while not self._ending:
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()
            self._changes.clear()
            if self._ending:  # or what woke it would be forgotten
                return
            with self._lock:
                if ("deployments", NAMESPACE, NAME) in self.objects:
                    self._sync()
            wait = self._timers[0][0] - time.monotonic() if self._timers else LATEST
            self._changes.wait(max(0.0, wait))

    def _after(self, seconds: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), action))

    # The controller

    def _sets(self) -> list[Object]:
        return [each for name, each in self.objects.items() if name[0] == "replicasets"]

    def _sync(self) -> None:
        found = self.deployment
        new = next(
            (each for each in self._sets() if plain_template(each) == wanted_template(found)), None
        )
        if not found["spec"].get("paused"):
            new = new or self._create_set(found)
            self._renumber(new)
            self._roll(found, new)
        elif new is not None:
            self._fill(found, new)
        for each in self._sets():
            self._sync_pods(each)
        self._status(found, new)

    def _create_set(self, found: Object) -> Object:
        number = f"hash{next(self._numbers)}"
        template = copy.deepcopy(found["spec"]["template"])
        template["metadata"]["labels"][HASH] = number
        return self.put(
            "replicasets",
            {
                "metadata": {
                    "namespace": NAMESPACE,
                    "name": f"{NAME}-{number}",
                    "labels": {"app": NAME, HASH: number},
                    "annotations": {REVISION: "0"},
                    "ownerReferences": [owner_reference("Deployment", found)],
                    "creationTimestamp": stamp(self.now()),
                },
                "spec": {"replicas": 0, "template": template},
                "status": {},
            },
        )

    def _renumber(self, new: Object) -> None:
        highest = (
            max(revision_of(each) for each in self._sets() if each is not new)
            if len(self._sets()) > 1
            else 0
        )
        if revision_of(new) <= highest:
            self._change(
                new, "replicasets", {"metadata": {"annotations": {REVISION: str(highest + 1)}}}
            )

    def _roll(self, found: Object, new: Object) -> None:
        wanted, surge, unavailable = limits_of(found)
        new = self.objects["replicasets", NAMESPACE, new["metadata"]["name"]]
        old = [each for each in self._sets() if each["metadata"]["name"] != new["metadata"]["name"]]
        total = sum(each["spec"]["replicas"] for each in (new, *old))
        now = new["spec"]["replicas"]
        grown = min(wanted, now + max(0, wanted + surge - total)) if now < wanted else wanted
        if grown != now:
            self._scale(new, grown)
            if grown > now and total + grown - now < wanted + surge:
                return
        total += grown - now
        missing = grown - self._available(new)
        spare = total - (wanted - unavailable) - missing
        for each in old:
            sick = each["spec"]["replicas"] - self._available(each)
            less = min(each["spec"]["replicas"], max(spare, 0), max(sick, 0))
            healthy = self._available(new) + sum(map(self._available, old))
            less = max(less, min(each["spec"]["replicas"], healthy - (wanted - unavailable), spare))
            if less > 0:
                self._scale(each, each["spec"]["replicas"] - less)
                spare -= less

    def _fill(self, found: Object, new: Object) -> None:
        """Scale in proportion, as the controller does while a Deployment is paused."""
        wanted, surge, _ = limits_of(found)
        active = [each for each in self._sets() if each["spec"]["replicas"]]
        if len(active) < 2:
            return
        if self._available(new) == new["spec"]["replicas"] == wanted:
            for each in active:
                if each["metadata"]["name"] != new["metadata"]["name"]:
                    self._scale(each, 0)
            return
        room = wanted + surge - sum(each["spec"]["replicas"] for each in active)
        if room > 0:
            largest = max(active, key=lambda each: each["spec"]["replicas"])
            self._scale(largest, largest["spec"]["replicas"] + room)

    def _scale(self, each: Object, replicas: int) -> None:
        self._change(each, "replicasets", {"spec": {"replicas": replicas}})

    def _change(self, thing: Object, plural: str, change: Object) -> Object:
        return super().patch(plural, NAMESPACE, thing["metadata"]["name"], change)

    def _of(self, each: Object) -> list[Object]:
        uid = each["metadata"]["uid"]
        return [pod for pod in self.pods if pod["metadata"]["ownerReferences"][0]["uid"] == uid]

    def _available(self, each: Object) -> int:
        return sum(is_ready(pod) for pod in self._of(each))

    def _sync_pods(self, each: Object) -> None:
        alive = [pod for pod in self._of(each) if "deletionTimestamp" not in pod["metadata"]]
        for _ in range(each["spec"]["replicas"] - len(alive)):
            self._create_pod(each)
        for pod in sorted(alive, key=is_ready)[: max(0, len(alive) - each["spec"]["replicas"])]:
            self._delete_pod(pod)

    def _status(self, found: Object, new: Object | None) -> None:
        alive = [pod for pod in self.pods if "deletionTimestamp" not in pod["metadata"]]
        ours = {pod["metadata"]["name"] for pod in self._of(new)} if new else set()
        updated = [pod for pod in alive if pod["metadata"]["name"] in ours]
        wanted, available = found["spec"]["replicas"], sum(map(is_ready, alive))
        over = len(updated) == len(alive) == wanted == available
        reason = "NewReplicaSetAvailable" if over else "ReplicaSetUpdated"
        before = found["status"].get("conditions", [{}])[0].get("reason")
        if before == "NewReplicaSetAvailable" and len(updated) == len(alive):
            reason = before
        status = {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": len(alive),
            "updatedReplicas": len(updated),
            "availableReplicas": available,
            "conditions": [{"type": "Progressing", "status": "True", "reason": reason}],
        }
        if status != found["status"]:
            super().patch("deployments", NAMESPACE, NAME, {"status": status})

    # The kubelet

    def _create_pod(self, owner: Object) -> None:
        name = f"{owner['metadata']['name']}-{next(self._numbers)}"
        template = owner["spec"]["template"]
        self.put(
            "pods",
            {
                "metadata": {
                    "namespace": NAMESPACE,
                    "name": name,
                    "labels": template["metadata"]["labels"],
                    "creationTimestamp": stamp(self.now()),
                    "ownerReferences": [owner_reference("ReplicaSet", owner)],
                },
                "spec": copy.deepcopy(template["spec"]),
                "status": {"phase": "Pending", "conditions": []},
            },
        )
        self._after(0.01, lambda: self._start_pod(name))

    def _behaviour(self, pod: Object) -> Behaviour:
        return self.versions.get(version_of(pod["spec"]), Behaviour())

    def _set(self, name: str, state: Object, *, ready: bool = False, **container: Any) -> bool:
        if ("pods", NAMESPACE, name) not in self.objects:
            return False
        now = stamp(self.node_now())
        conditions = [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": now},
            {"type": "Ready", "status": str(ready), "lastTransitionTime": now},
        ]
        status = {"name": "app", "state": state, "restartCount": 0} | container
        super().patch(
            "pods",
            NAMESPACE,
            name,
            {
                "status": {
                    "phase": "Running",
                    "conditions": conditions,
                    "containerStatuses": [status],
                }
            },
        )
        return True

    def _start_pod(self, name: str) -> None:
        pod = self.objects.get(("pods", NAMESPACE, name))
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return
        does = self._behaviour(pod)
        if not does.image:
            self._set(name, {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
            return
        running = {"running": {"startedAt": stamp(self.node_now())}}
        self._set(name, running, containerID="c")
        if does.crash is not None:
            self._after(0.05, lambda: self._crash(name, does.crash))
        elif does.start is not None:
            self._after(does.start, lambda: self._ready(name, running))

    def _ready(self, name: str, running: Object) -> None:
        pod = self.objects.get(("pods", NAMESPACE, name))
        if pod is not None and "deletionTimestamp" not in pod["metadata"]:
            self._set(name, running, ready=True, containerID="c")

    def _crash(self, name: str, code: int | None) -> None:
        ended = {"exitCode": code, "reason": "Error", "finishedAt": stamp(self.node_now())}
        self._set(
            name,
            {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            lastState={"terminated": ended},
            restartCount=1,
            containerID="c",
        )

    def _delete_pod(self, pod: Object) -> None:
        does, name = self._behaviour(pod), pod["metadata"]["name"]
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        mark = {
            "deletionTimestamp": stamp(self.now() + grace),
            "deletionGracePeriodSeconds": grace,
        }
        self._change(pod, "pods", {"metadata": mark})
        if not does.hook:
            self.put("events", event(pod, "FailedPreStopHook", "exit 1", at=self.node_now()))
        self._after(does.drain, lambda: self._end_pod(name, does))

    def _end_pod(self, name: str, does: Behaviour) -> None:
        ended = {
            "exitCode": does.code,
            "reason": "Completed" if does.code == 0 else "Error",
            "finishedAt": stamp(self.node_now()),
        }
        if not does.told or self._set(name, {"terminated": ended}, containerID="c"):
            self._after(0.01, lambda: self.delete("pods", NAMESPACE, name))
