"""Pods for the page: a few that are all different, and many."""

from __future__ import annotations

import time
from typing import Final

from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.pods import HASH, ended, piece, pod, told
from plugins.fleet.tests.serving import Served

HOSTS: Final = ("data", "payments", "shop", "warehouse", "web")
"""Namespaces."""
GONE: Final = f"orders-{HASH}-gone1"
"""The pod that ends badly."""


def mixed(api: ApiServer, now: float = 0.0) -> None:
    """Put ten pods, and one that ends."""
    now = now or time.time()
    for number in range(4):
        api.put("pods", pod(f"orders-{HASH}-0000{number}", annotation=told(since=now - 5000)))
    api.put(
        "pods",
        pod(
            f"orders-{HASH}-x0001",
            annotation=told("draining", since=now - 7),
            deleted=now + 23,
            ready=False,
        ),
    )
    new = "orders-5f4d3c2b1"
    starting = told("starting", since=now - 7, online=[], start=None)
    api.put("pods", pod(f"{new}-x0002", annotation=starting, ready=False))
    api.put(
        "pods",
        pod(
            f"{new}-x0003",
            annotation=None,
            ready=False,
            gate=True,
            state="waiting CrashLoopBackOff",
            created=now - 660,
            restarts=7,
            last=ended(1, now - 60),
        ),
    )
    offline = told(offline=["billing"], online=[], since=now - 900)
    api.put("pods", pod("billing-6b5d4c3a2-x0001", annotation=offline))
    api.put(
        "pods",
        pod(
            "billing-6b5d4c3a2-x0002",
            annotation=told(online=["billing"], since=now - 900),
            restarts=1,
            last=ended(137, now - 900, "OOMKilled"),
        ),
    )
    mail = told(online=["mail"], since=now - 3 * 86400)
    api.put("pods", pod("mail-0", "post", annotation=mail, workload=("StatefulSet", "mail")))
    found = {f"orders-{HASH}-0000{number}": True for number in range(4)}
    api.put("endpointslices", piece(found | {f"orders-{HASH}-x0001": False}))
    gone = pod(
        GONE,
        annotation=told("draining", since=now - 40),
        deleted=now,
        ready=False,
        status={"containerStatuses": [{"state": {"terminated": ended(124, now - 3)}}]},
    )
    api.put("pods", gone)


def end_badly(api: ApiServer, server: Served) -> None:
    """Let a pod have ended badly."""
    api.delete("pods", "shop", GONE)
    with server.reader() as reader:
        reader.whole()
        reader.until(lambda: reader.ends and f"shop/{GONE}" not in reader.pods)


def fill(api: ApiServer, workloads: int, each: int, name: str = "web") -> None:
    """Put pods that are all READY: so many workloads, with so many pods each."""
    now = time.time()
    for group in range(workloads):
        namespace = HOSTS[group % len(HOSTS)]
        for number in range(each):
            since = told(since=now - 3600 - number * 60, online=[name])
            api.put(
                "pods", pod(f"{name}-{group:02}-{HASH}-{number:05}", namespace, annotation=since)
            )
