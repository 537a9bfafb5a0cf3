"""What `lifecycle manifests` writes, applied by kubectl as it is where `restricted` is enforced."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any, Final

from lightkube.resources.core_v1 import Pod

from lifecycle.manifests.objects import LABEL
from lifecycle.testing.environment import handed_on
from tests.cluster.fixtures import Target
from tests.e2e.kit import LATEST, Space
from tests.process.kit import cli

APP: Final = ("lifecycle", "run", "--asgi", "orders:app", "--service", "orders")


def written(*options: str, name: str = "orders", command: Sequence[str] = APP) -> str:
    """Run `lifecycle manifests`, as on a laptop; return what it has written to stdout."""
    argv = ("manifests", "--name", name, *options, *(("--", *command) if command else ()))
    done = cli(*argv, env=handed_on())
    assert done.returncode == 0, done.stderr
    gate = "lifecycle: the manifest has a readiness gate. "
    said = ("lifecycle: the command is now: ", gate, "See ")
    assert all(line.startswith(said) for line in done.stderr.splitlines()), done.stderr
    return done.stdout


class Kubectl:
    """kubectl in a test's namespace, which enforces `restricted` from here on."""

    def __init__(self, target: Target, space: Space) -> None:
        self._argv = target.kubectl(space.name)
        self._space = space
        modes = (f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn"))
        self("label", "namespace", space.name, *modes)

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        """Run it; return what it has written to stdout."""
        done = subprocess.run(
            [*self._argv, *words],
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
            timeout=LATEST + 30,
        )
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def apply(self, *words: str, stdin: str | None = None) -> None:
        """Apply without a warning, a field that is unknown, or one that is deprecated."""
        self("apply", "--validate=strict", "--warnings-as-errors", *words, stdin=stdin)

    def rolled_out(self, deployment: str) -> list[Pod]:
        """Return a Deployment's pods when its rollout is complete."""
        try:
            self("rollout", "status", f"deployment/{deployment}", f"--timeout={LATEST:g}s")
        except AssertionError as error:
            noted = "\n".join(f"  {reason}: {text}" for reason, text in self._space.events())
            raise AssertionError(f"{error}\n{noted}") from None
        return pods(self._space, deployment)

    def status(self, pod: str) -> dict[str, Any]:
        """Return what `lifecycle status` says in a pod."""
        found: dict[str, Any] = json.loads(self("exec", pod, "--", "lifecycle", "status", "--json"))
        return found


def pods(space: Space, name: str) -> list[Pod]:
    """Return the pods of a Deployment or a Job that are not on their way out."""
    found = space.client.list(Pod, labels={LABEL: name})
    return [each for each in found if each.metadata and not each.metadata.deletionTimestamp]


def conditions(pod: Pod) -> dict[str, str]:
    """Return the status of each of a pod's conditions."""
    each = (pod.status and pod.status.conditions) or ()
    return {condition.type: condition.status for condition in each}
