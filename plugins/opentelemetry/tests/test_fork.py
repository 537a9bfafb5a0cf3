"""A forked child of an app, as of `multiprocessing`: it exports nothing of its parent."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from plugins.opentelemetry.tests.receiver import LIMIT, Receiver

CODE = """
import multiprocessing
import os
import sys
from lifecycle_opentelemetry.instruments import meters_of, own_provider
from lifecycle_opentelemetry.own import exporter_classes
from lifecycle_opentelemetry.settings import Signal
from lifecycle_opentelemetry.spans import Outbox
from opentelemetry.sdk.resources import Resource
from plugins.opentelemetry.tests.snapshots import started

parent, reads, problems = os.getpid(), [], []
classes = exporter_classes
resource = Resource({})
metrics = own_provider(classes(Signal.METRICS, os.environ), resource, problems.append)
spans = Outbox([kind() for kind in classes(Signal.TRACES, os.environ)], resource)

def read():
    reads.append(os.getpid())
    return started()

def export(name):
    spans.provider.get_tracer("shop").start_span(name).end()
    problem = spans.send()
    metrics.force_flush()
    return problem

def child():
    problem = export("of the child")
    metrics.shutdown()
    sys.exit(problem or [each for each in reads if each != parent] or 0)

meters_of(metrics).of(read)
problems.append(export("before"))
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(LIMIT)
meters_of(metrics).of(read)
problems.append(export("after"))
print(process.exitcode, [*filter(None, problems)])
"""


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_forked_child_exports_nothing(protocol: str, collector: Receiver) -> None:
    """Neither spans nor metrics, and it does not use the connection of its parent."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("LIMIT", str(LIMIT))],
        env=os.environ | collector.env(protocol),
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )
    assert done.stdout.strip() == "0 []", done.stderr
    assert collector.names() == ["before", "after"]
    assert len(collector.resources) == 2
