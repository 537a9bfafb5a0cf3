"""Runs a pod of two processes with a kubelet, says which, and waits to be killed."""

from __future__ import annotations

import time

from lifecycle.testing import BlockingKubelet, Container, PodSpec

with BlockingKubelet() as kubelet:
    pod = kubelet.run(PodSpec(Container(["sh", "-c", "sleep 300 & echo $$$$ $!; wait"])))
    pod.until(lambda pod: pod.output.endswith("\n"))
    print(pod.output, end="", flush=True)
    time.sleep(300)
