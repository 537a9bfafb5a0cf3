"""
A test of sqs_worker.py: deleted as Kubernetes does it, in the middle of a batch, no message is lost.

Needs `pip install pod-lifecycle boto3 moto flask flask-cors pytest`. Run `pytest test_sqs_worker.py`.
"""

from __future__ import annotations

import time

import boto3
from moto.server import ThreadedMotoServer

from lifecycle.testing import Container, Exec, HttpGet, PodSpec, Probe

ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


def worker(name: str, **env: str) -> PodSpec:
    container = Container(
        ["python", "sqs_worker.py"],
        ports={"qos": 0},  # a free one
        env={"LIFECYCLE_QOS_PORT": "$(PORT_QOS)", "LONG_POLL": "1", **ACCOUNT, **env},
        startup=Probe(HttpGet("qos", "/startup"), period=0.2, failure_threshold=100),
        readiness=Probe(HttpGet("qos", "/ready"), period=0.2),
        pre_stop=Exec(["lifecycle", "prestop"]),
    )
    return PodSpec(container, name=name, grace_period=30)


def test_every_message_is_done_once(kubelet, monkeypatch):
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(port=0)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    sqs = boto3.client("sqs", endpoint_url=endpoint)
    attributes = {"VisibilityTimeout": "600"}  # a message that is not given back stays hidden
    url = sqs.create_queue(QueueName="orders", Attributes=attributes)["QueueUrl"]

    pods = []
    for name in ("old", "new"):
        pods.append(kubelet.run(worker(name, QUEUE_URL=url, AWS_ENDPOINT_URL=endpoint)))
        pods[-1].until_ready()
    for number in range(40):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    deletion = pods[0].delete().wait()
    done = []
    deadline = time.monotonic() + 20
    while len(done) < 40 and time.monotonic() < deadline:
        time.sleep(0.1)
        lines = [line for pod in pods for line in pod.output.splitlines()]
        done = [int(line.removeprefix("done ")) for line in lines if line.startswith("done ")]
    server.stop()

    assert sorted(done) == list(range(40))
    assert deletion.exit_code == 0
    assert not deletion.killed
    assert pods[0].said("FailedPreStopHook") == []
