"""
One pod on two kubelets: the real one, and ours of `lifecycle.testing`.

`both` makes a test of a scenario: what it claims must hold on either, and the events that
they have said must be the same ones.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightkube import ApiError
from lightkube.resources.core_v1 import Pod

from lifecycle.testing import BlockingKubelet, BlockingPod, Container, PodSpec
from lifecycle.testing.specs import RestartPolicy
from tests.cluster.fixtures import Target
from tests.e2e import kit, translation
from tests.e2e.kit import LATEST, Departure, Space
from tests.process.kit import background, wait_for

FILES = Path(__file__).parents[1] / "testing"
SERVER = ("python3", "$(APP)/probed.py")
TOLD = {"Unhealthy", "ProbeWarning", "Killing", "FailedPreStopHook", "LifecycleHTTPFallback"}
"""The events that are compared."""


class Played(ABC):
    """A pod of the probed server (tests/testing/probed.py), on one of the two."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    @abstractmethod
    def ready(self) -> bool: ...

    @abstractmethod
    def started(self) -> bool: ...

    @abstractmethod
    def finished(self) -> bool: ...

    @abstractmethod
    def restarts(self) -> int: ...

    @abstractmethod
    def log(self) -> list[dict[str, Any]]:
        """Return what its container has written, and maybe those before it: lines of JSON."""

    @abstractmethod
    def events(self) -> list[tuple[str, str]]: ...

    @abstractmethod
    def touch(self, name: str) -> None:
        """Make a file where the server looks for it."""

    @abstractmethod
    def delete(self, grace: int | None = None) -> None:
        """Delete it; a second time, to shorten its grace period."""

    @abstractmethod
    def gone(self) -> int | None:
        """Wait for the end of what is being deleted; return the container's exit code."""

    @abstractmethod
    def end(self) -> None:
        """Have it leave at once."""

    def said(self) -> set[tuple[str, str]]:
        """Return its events, without what is the pod's own in them and what is a race."""
        return {
            (reason, re.sub(r"\b[\d.]{7,}:\d+\b", "POD", message))
            for reason, message in self.events()
            if reason in TOLD and "refused" not in message  # it had not listened yet
        }

    def record(self, *whats: str) -> list[dict[str, Any]]:
        """Return what the server has seen."""
        return [each for each in self.log() if each["what"] in whats]

    def asked(self) -> Counter[str]:
        """Return how often the server has seen each path."""
        return Counter(each["path"] for each in self.record("request"))

    def until(self, condition: Callable[[], object], what: str, *, within: float = LATEST) -> None:
        wait_for(
            lambda: kit.paced(condition),
            within,
            lambda: f"{self}: {what}\n{self.events()}\n{self.log()[-20:]}",
        )


class Real(Played):
    """On the cluster."""

    def __init__(self, space: Space, name: str) -> None:
        super().__init__(name)
        self._space = space
        self._departure: Departure | None = None

    def ready(self) -> bool:
        return self._space.ready(self.name)

    def started(self) -> bool:
        return self._space.started(self.name)

    def finished(self) -> bool:
        status = self._space.client.get(Pod, self.name).status
        return status is not None and status.phase in ("Succeeded", "Failed")

    def restarts(self) -> int:
        return self._space.restarts(self.name)

    def log(self) -> list[dict[str, Any]]:
        if self._departure:
            return self._departure.log()
        return self._space.log(self.name)

    def events(self) -> list[tuple[str, str]]:
        return self._space.events(self.name)

    def touch(self, name: str) -> None:
        self._space.run(self.name, "python3", "-c", f"open('{name}', 'w')")

    def delete(self, grace: int | None = None) -> None:
        self._departure = self._departure or Departure(self._space, self.name)
        self._space.client.delete(Pod, self.name, grace_period=grace)

    def gone(self) -> int | None:
        assert self._departure
        return self._departure.exit_code()

    def end(self) -> None:
        with suppress(ApiError):  # it may have gone
            self._space.client.delete(Pod, self.name, grace_period=0)


class Ours(Played):
    """On the kubelet of `lifecycle.testing`."""

    def __init__(self, pod: BlockingPod, folder: Path) -> None:
        super().__init__(pod.name)
        self._pod = pod
        self._folder = folder

    def ready(self) -> bool:
        return self._pod.ready

    def started(self) -> bool:
        return self._pod.started

    def finished(self) -> bool:
        return self._pod.finished

    def restarts(self) -> int:
        return self._pod.restart_count

    def log(self) -> list[dict[str, Any]]:
        return kit.lines_of_json(self._pod.output.splitlines())

    def events(self) -> list[tuple[str, str]]:
        return [(each.reason, each.message) for each in self._pod.events]

    def touch(self, name: str) -> None:
        (self._folder / name).touch()

    def delete(self, grace: int | None = None) -> None:
        self._deletion = self._pod.delete(grace)

    def gone(self) -> int | None:
        return self._deletion.wait(LATEST).exit_code

    def end(self) -> None:
        self._pod.delete(0)


Scenario = Callable[[Played], None]


def both(
    *,
    env: Mapping[str, str] | None = None,
    grace_period: float = 30,
    restart_policy: RestartPolicy = "Always",
    **container: Any,
) -> Callable[[Scenario], Callable[..., None]]:
    """Make a test of a scenario: of a pod with this container, on both kubelets."""
    settings = {"PORT": "$(PORT_HTTP)", "RECORD": "/dev/stdout", **(env or {})}
    container = {"command": SERVER, **container}

    def make(scenario: Scenario) -> Callable[..., None]:
        name = scenario.__name__.removeprefix("test_").replace("_", "-")

        @pytest.mark.timeout(300)
        def test(pods: Mapping[str, tuple[Played, Played]]) -> None:
            real, ours = pods[name]
            played = [background(lambda pod=pod: scenario(pod)) for pod in (real, ours)]
            for each in played:
                each.result(LATEST * 3)
            wait_for(
                lambda: ours.said() == real.said(),
                10,
                lambda: f"they say the same: {ours.said()} {real.said()}",
            )
            for pod in (real, ours):
                pod.end()

        test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
        test.__module__ = scenario.__module__
        own = Container(env=settings, ports={"http": 0}, **container)
        spec = PodSpec(own, name, grace_period, restart_policy)
        test.spec = spec  # type: ignore[attr-defined]
        return test

    return make


@pytest.fixture(scope="module")
def pods(
    request: pytest.FixtureRequest, target: Target, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, tuple[Played, Played]]]:
    """The pods of all tests of a module, begun at once: real and ours by name."""
    begun: dict[str, tuple[Played, Played]] = {}
    with kit.namespace(target) as space, BlockingKubelet() as kubelet:
        space.files("probed", FILES / "probed.py", FILES / "certificate.pem")
        for item in request.session.items:
            if getattr(item, "module", None) is not request.module:
                continue
            spec: PodSpec = item.function.spec  # type: ignore[attr-defined]
            space.create(translation.pod(spec, space.image, "probed"))
            folder = tmp_path_factory.mktemp(spec.name)
            env = {"APP": str(FILES), **spec.container.env}
            own = replace(spec.container, env=env, cwd=str(folder))
            pod = kubelet.run(replace(spec, container=own))
            begun[spec.name] = Real(space, spec.name), Ours(pod, folder)
        yield begun
