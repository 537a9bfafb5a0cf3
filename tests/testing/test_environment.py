"""A container's environment, and the `$(NAME)` in what it runs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.testing import Container, Kubelet, PodSpec, free_port, ports
from lifecycle.testing.environment import environment, expand

RESTLESS = str(Path(__file__).with_name("restless.py"))


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("a$(A)b$(B)", "a1b2"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$$", "$$"),
        ("$A ${A} $(A", "$A ${A} $(A"),
        ("", ""),
    ],
)
def test_references(text: str, expanded: str):
    """`$(NAME)` is replaced as Kubernetes does it, and nothing else is."""
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_environment(monkeypatch: pytest.MonkeyPatch):
    """This process's, without `LIFECYCLE_*`; ports by name; later variables see earlier ones."""
    monkeypatch.setenv("LIFECYCLE_SETTLE", "9")
    monkeypatch.setenv("COLOUR", "blue")
    container = Container(["a"], env={"PORT": "$(PORT_MY_WEB)", "URL": "http://me:$(PORT)"})
    env = environment(container, {"my-web": 8080})

    assert "LIFECYCLE_SETTLE" not in env
    assert (env["COLOUR"], env["PORT"], env["URL"]) == ("blue", "8080", "http://me:8080")
    assert env["PATH"].split(os.pathsep)[0] == os.path.dirname(sys.executable)


def test_an_environment_that_changes():
    """A thread that sets variables, as pytest does, disturbs nothing that is started."""
    changed = subprocess.run(
        [sys.executable, RESTLESS], capture_output=True, text=True, timeout=30, check=False
    )
    assert (changed.returncode, changed.stderr) == (0, "")


def test_ports_are_given_once():
    """No port is given twice, nor to two processes, however the global `random` is seeded."""
    take = "from lifecycle.testing import free_port; print(*[free_port() for _ in range(200)])"
    words = [sys.executable, "-c", f"{take}; import sys; sys.stdout.flush(); sys.stdin.read()"]
    with subprocess.Popen(words, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        random.seed(1)
        ours = {free_port() for _ in range(200)}
        random.seed(1)
        ours |= {free_port() for _ in range(200)}

        assert (len(theirs), len(ours)) == (200, 400)
        assert not theirs & ours
        assert not any(ports._claim(port) for port in theirs)
        other.communicate(timeout=10)


async def test_a_command_is_expanded(node: Kubelet, tmp_path: Path):
    """What runs has its references replaced, and keeps its port over a restart."""
    container = Container(
        ["sh", "-c", "echo $(PORT_HTTP); exit 1"], ports={"http": 0}, cwd=str(tmp_path)
    )
    pod = await node.run(PodSpec(container))
    await pod.until(lambda pod: pod.restart_count >= 1 and len(pod.output.split()) >= 2)

    assert set(pod.output.split()) == {str(pod.port("http"))}
    with pytest.raises(ValueError, match=r"couldn't find port: qos \(there are: http\)"):
        pod.port("qos")
