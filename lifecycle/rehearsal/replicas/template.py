"""The template of the replicas: command, environment and probe of the container."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field

from lifecycle.rehearsal.plan import Plan
from lifecycle.rehearsal.replicas.prestop import Hook, choose
from lifecycle.testing import Container, HttpGet, PodSpec, Probe, TcpSocket
from lifecycle.testing.environment import own_environment

PERIOD = 0.25
"""Seconds between two readiness probes. One second would only make rehearsals slower."""


@dataclass(frozen=True)
class Template:
    """
    The template of the replicas.

    Args:
        plan: The plan of the rehearsal.
        folder: A folder for the files of the replicas.
        qos: Whether the app answers on the QOS port.
        token: The token that a preStop hook over HTTP sends.
    """

    plan: Plan
    folder: str
    qos: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    @property
    def hook(self) -> Hook:
        """The preStop hook."""
        token = self.variables().get("LIFECYCLE_PRESTOP_TOKEN", self.token)
        return choose(self.plan.prestop, qos=self.qos, grace=self.plan.grace, token=token)

    @property
    def readiness(self) -> str:
        """The condition for readiness, in words."""
        if self.qos:
            return "/ready on the QOS port"
        return f"{self.plan.ready} on the app's port" if self.plan.ready else "the port is open"

    def scout(self) -> PodSpec:
        """Return the pod that shows which ports the app opens, without probes and restarts."""
        return PodSpec(
            self._container("scout", None, Hook("none")), "scout", restart_policy="Never"
        )

    def replica(self, name: str) -> PodSpec:
        """Return the pod of one replica."""
        handler: HttpGet | TcpSocket
        if self.qos:
            handler = HttpGet("qos", "/ready")
        elif self.plan.ready is not None:
            handler = HttpGet("http", self.plan.ready)
        else:
            handler = TcpSocket("http")
        container = self._container(name, Probe(handler, period=PERIOD), self.hook)
        return PodSpec(container, name, grace_period=self.plan.grace)

    def variables(self) -> dict[str, str]:
        """Return the variables of the plan, and those of pod-lifecycle in this environment."""
        given = {name: v for name, v in own_environment().items() if name.startswith("LIFECYCLE_")}
        return given | dict(self.plan.env)

    def _container(self, name: str, readiness: Probe | None, hook: Hook) -> Container:
        run_dir = os.path.join(self.folder, name)
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        env = {"LIFECYCLE_GRACE_PERIOD": f"{self.plan.grace:g}"} | self.variables()
        if hook.token:
            env["LIFECYCLE_PRESTOP_TOKEN"] = hook.token
        return Container(
            [_word(word) for word in self.plan.command],
            env={name: _word(value) for name, value in env.items()}
            | {
                "PORT": "$(PORT_HTTP)",
                "LIFECYCLE_QOS_PORT": "$(PORT_QOS)",
                "LIFECYCLE_RUN_DIR": run_dir,
            },
            ports={"http": 0, "qos": 0},
            readiness=readiness,
            pre_stop=hook.handler,
            cwd=self.plan.cwd,
            name=name,
        )


def _word(text: str) -> str:
    """Insert the port. Escape everything that a manifest would expand."""
    return text.replace("$", "$$").replace("{port}", "$(PORT_HTTP)")
