"""Containers of a pod, with their probes, hooks and settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from lifecycle.checks.commands.hosts import is_own
from lifecycle.checks.commands.http_requests import Fetch, fetches
from lifecycle.checks.commands.lifecycle_run import LifecycleRun, lifecycle_run
from lifecycle.checks.commands.programs import (
    SERVERS,
    exports,
    programs,
    runs,
    script_of,
    unwrapped,
)
from lifecycle.checks.commands.scripts import slept
from lifecycle.checks.commands.servers import (
    ALL_SERVERS,
    ServerCommand,
    read_options,
    server_command,
)
from lifecycle.checks.commands.steps import steps
from lifecycle.checks.node import Node, digits
from lifecycle.checks.workloads.kubelet_texts import expanded, filled, path_of, referred, undoubled
from lifecycle.config import KILL_MARGIN, Config, core_variables
from lifecycle.environment_variables import is_service_link, variable
from lifecycle.exceptions import ConfigError

KINDS: Final = {"live": "liveness", "ready": "readiness", "startup": "startup"}
PROBE_PATHS: Final = {f"/{name}{z}": kind for name, kind in KINDS.items() for z in ("", "z")}
DEFAULT_QOS: Final = 22222
_SUBSTITUTED: Final = re.compile(r"\$\(([^()]+)\)")
_UNKNOWN: Final = {"grace_period": "86400", "settle": "0", "quiet": "0", "stop_timeout": "0"}
"""Assumed values of times that the manifest does not show. They fit into every budget."""


@dataclass(frozen=True)
class Probe:
    """
    One of the three probes of a container.

    Attributes:
        kind: `startup`, `readiness` or `liveness`.
        node: The probe in the manifest.
        container: The container of the probe.
    """

    kind: str
    node: Node
    container: Container

    def __str__(self) -> str:
        return f"{self.container.name}: {self.kind}Probe"

    @property
    def http(self) -> Node:
        """The httpGet of the probe. Empty if there is none."""
        return self.node.at("httpGet")

    @property
    def path(self) -> str:
        """The path of the HTTP request, without the query."""
        return self.fetch.path if self.fetch else path_of(self.http)

    @property
    def command(self) -> list[str]:
        """The command of the probe's exec."""
        return [undoubled(each.text()) for each in self.node.at("exec", "command").each()]

    @cached_property
    def fetches(self) -> list[Fetch]:
        """The HTTP requests of the exec to this pod. Requests inside `$(…)` come last."""
        sent = [each for step in steps(self.command) for each in fetches(step.words)]
        for script in _SUBSTITUTED.findall(script_of(unwrapped(self.command)) or ""):
            compared = [
                each for step in steps(["sh", "-c", script]) for each in fetches(step.words)
            ]
            sent += [replace(each, fails=True) for each in compared]
        return [each for each in sent if is_own(each.host) and not (each.socket or each.elsewhere)]

    @cached_property
    def fetch(self) -> Fetch | None:
        """The request of the exec to the QOS port, if possible for readiness. None if there is none."""
        port = self.container.qos_port
        sent = [each for each in self.fetches if each.by_setting or each.port == port]
        return max(sent, key=lambda each: each.path in ("/ready", "/readyz"), default=None)

    @property
    def port(self) -> Node:
        """The number or name of the port."""
        handlers = [self.node.at(each, "port") for each in ("httpGet", "tcpSocket", "grpc")]
        return next((each for each in handlers if each), Node())

    @property
    def asks_qos_port(self) -> bool:
        """Whether the probe sends an HTTP request to the QOS port."""
        by_kubelet = bool(self.http) and self._number == self.container.qos_port
        return by_kubelet or self.fetch is not None

    @property
    def _number(self) -> float | None:
        return self.container.number_of(self.port)

    @cached_property
    def asked(self) -> str:
        """The kind of probe result that the QOS port returns. Empty if it returns none."""
        if self.asks_qos_port:
            first = "/" + self.path.split("/")[1]  # /ready/NAME is the result of one plugin
            return PROBE_PATHS.get(first, "")
        return KINDS.get(self.probed, "")

    @property
    def probed(self) -> str:
        """The argument of `lifecycle probe`. Empty if the exec does not run this command."""
        for words in programs(self.command):
            if words[:2] == ["lifecycle", "probe"]:
                return next((word for word in words[2:] if not re.match(r"-|\d", word)), "")
        return ""

    @property
    def is_qos(self) -> bool:
        """Whether the QOS port answers the probe."""
        return self.asked != ""

    @property
    def timeout(self) -> float:
        """The timeoutSeconds of the probe."""
        return self.node.at("timeoutSeconds").number(1)

    @property
    def patience(self) -> float:
        """The time for which the probe may fail, in seconds."""
        return self.node.at("periodSeconds").number(10) * self.node.at("failureThreshold").number(3)

    def handler(self) -> object:
        """Return the handlers of the probe as plain values, for comparison."""
        keys = ("httpGet", "tcpSocket", "grpc", "exec")
        return {key: self.node.at(key).plain() for key in keys}


class Container:
    """
    A container that runs as long as the pod.

    Args:
        node: The container in the manifest.
        is_native_sidecar: Whether it is an init container with restartPolicy Always. Kubernetes
            stops such a container after the app.
        file: Returns the text of a file of the image. None if the file is not known.
    """

    def __init__(
        self,
        node: Node,
        *,
        is_native_sidecar: bool = False,
        file: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self.node = node
        self._file = file
        self.name = node.at("name").text()
        self.is_native_sidecar = is_native_sidecar

    @cached_property
    def words(self) -> list[str]:
        """The words of command and args."""
        given = [each.text() for key in ("command", "args") for each in self.node.at(key).each()]
        return [referred(each, self.value) for each in given]

    @property
    def command(self) -> Node:
        """The place of the command, or of args if there is no command."""
        return self.node.at("command" if self.node.at("command") else "args")

    @property
    def has_hidden_entrypoint(self) -> bool:
        """Whether the ENTRYPOINT of the image, which no manifest shows, starts the args."""
        return bool(self.node.at("args")) and not self.node.at("command")

    def options(self) -> Iterator[tuple[str, str]]:
        """Give names and values of options: `--name value`, `--name=value`, `-n4`."""
        for words in programs(self.words):
            yield from read_options(words)

    @cached_property
    def probes(self) -> dict[str, Probe]:
        """The probes by kind."""
        given = {
            kind: self.node.at(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")
        }
        return {kind: Probe(kind, node, self) for kind, node in given.items() if node}

    @property
    def pre_stop(self) -> Node:
        """The preStop hook."""
        return self.node.at("lifecycle", "preStop")

    @property
    def pre_stop_words(self) -> list[str]:
        """The command of an exec hook for preStop."""
        return [each.text() for each in self.pre_stop.at("exec", "command").each()]

    @property
    def ports(self) -> list[Node]:
        """The declared ports."""
        return self.node.at("ports").each()

    def number_of(self, port: Node) -> float | None:
        """Return the number of a port. None if no port has the name, or the name is missing."""
        if isinstance(port.value, (int, float)):
            return port.number(0)
        name = port.text()
        for each in self.ports:
            if name and each.at("name").text() == name:
                return each.at("containerPort").number(0)
        return digits(name)

    # Its environment

    @cached_property
    def env(self) -> dict[str, Node]:
        """The variables in env, by name."""
        return {each.at("name").text(): each for each in self.node.at("env").each()}

    def value(self, name: str) -> str | None:
        """Return the value of a variable. None if the manifest does not show it."""
        value = self.env.get(name, Node()).at("value")
        return expanded(value.text()) if value else None

    def may_have(self, name: str) -> bool:
        """Tell whether a variable may have a value that this manifest does not show."""
        given = name in self.env or bool(self.node.at("envFrom"))
        return given and self.value(name) is None

    def is_known(self, field: str) -> bool:
        """Tell whether the manifest shows the value of a setting, or the default holds."""
        name = variable(field)
        return self.value(name) is not None or not (name in self.env or self.node.at("envFrom"))

    @cached_property
    def settings(self) -> Config | ConfigError:
        """The known settings of the app, or the error with which the app refuses them."""
        known = {name: self.value(name) for name in core_variables()}
        known |= {variable(k): v for k, v in _UNKNOWN.items() if not self.is_known(k)}
        try:
            return Config.from_environ({k: v for k, v in known.items() if v is not None})
        except ConfigError as error:
            return error

    @property
    def config(self) -> Config | None:
        """The known settings of the app. None if the app refuses them."""
        return self.settings if isinstance(self.settings, Config) else None

    @property
    def qos_port(self) -> int:
        """The QOS port of the app."""
        return self.config.qos_port if self.config else DEFAULT_QOS

    # How it ends

    @property
    def pre_stop_sleep(self) -> float:
        """The time that the preStop hook sleeps, in seconds."""
        by_kubelet = self.pre_stop.at("sleep", "seconds").number(0)
        return by_kubelet or slept(self.pre_stop_words)

    def drain_time(self, *, registered: bool = True) -> float:
        """
        Return the shortest time of a drain in seconds. 0 if the app refuses its settings.

        Args:
            registered: Whether clients may already use the app. If not, there is no wait for them.
        """
        config = self.config
        if config is None:
            return 0
        known = config.settle + config.quiet if registered else 0
        return known + config.stop_timeout + KILL_MARGIN

    @property
    def has_read_only_root(self) -> bool:
        """Whether the root file system is read-only."""
        return self.node.at("securityContext", "readOnlyRootFilesystem").value is True

    # Whose it is

    @cached_property
    def is_lifecycle(self) -> bool:
        """Whether the manifest shows that the app runs under pod-lifecycle."""
        return (
            self.lifecycle_run is not None
            or runs(self.pre_stop_words, "lifecycle", "prestop")
            or any(_is_ours(name, node) for name, node in self.env.items())
            or any(each.probed for each in self.probes.values())
            or (self.server != "" and any(each.is_qos for each in self.probes.values()))
            or (self.server != "" and self._asks_the_qos_port_to_drain)
        )

    @property
    def needs_lifecycle(self) -> bool:
        """Whether a probe or preStop only works if pod-lifecycle runs in the pod."""
        return (
            any(each.is_qos for each in self.probes.values())
            or runs(self.pre_stop_words, "lifecycle", "prestop")
            or self._asks_the_qos_port_to_drain
        )

    @property
    def _asks_the_qos_port_to_drain(self) -> bool:
        hook = self.pre_stop.at("httpGet")
        sent = [each for step in steps(self.pre_stop_words) for each in fetches(step.words)]
        asked = {(each.path, each.port) for each in sent if is_own(each.host)}
        asked.add((path_of(hook), int(self.number_of(hook.at("port")) or 0)))
        return ("/prestop", self.qos_port) in asked

    @cached_property
    def asks_to_drain(self) -> bool:
        """Whether preStop tries to start a drain, even with a wrong request."""
        words = [step.words for step in steps(self.pre_stop_words)]
        sent = [each.path for one in words for each in fetches(one)]
        return (
            path_of(self.pre_stop.at("httpGet")) == "/prestop"
            or "/prestop" in sent
            or any(each[:2] == ["lifecycle", "prestop"] for each in words)
        )

    @property
    def has_plugins(self) -> bool:
        """Whether the app may load plugins, which can add paths to the QOS port."""
        own = self.lifecycle_run.options if self.lifecycle_run else ()
        return any(name == "-p" for name, _ in read_options(own)) or (
            not self.is_known("plugins") or self.value("LIFECYCLE_PLUGINS") is not None
        )

    @cached_property
    def lifecycle_run(self) -> LifecycleRun | None:
        """The `lifecycle run` in the command. None if there is none."""
        return lifecycle_run([self._filled(each) for each in self.words])

    @property
    def server_command(self) -> ServerCommand | None:
        """The server that the command starts without `lifecycle run`. None if not known."""
        return None if self.lifecycle_run else self._server(SERVERS)

    @property
    def wrapped_server(self) -> ServerCommand | None:
        """The server that `lifecycle run --` starts. None if not known."""
        return self.any_server if self.is_wrapped else None

    @property
    def any_server(self) -> ServerCommand | None:
        """The server that the command starts, with `lifecycle run --` or without. None if not known."""
        return self._server(ALL_SERVERS)

    @property
    def is_wrapped(self) -> bool:
        """Whether `lifecycle run --` starts the command."""
        return self.lifecycle_run is not None and bool(self.lifecycle_run.command)

    def _server(self, known: Sequence[str]) -> ServerCommand | None:
        exported = {name: self._filled(value) for name, value in exports(self.words)}
        commands = [[*map(self._filled, words)] for words in programs(self.words)]
        return server_command(
            commands,
            lambda name: exported.get(name) or self.value(name),
            self._file,
            known=known,
        )

    def _filled(self, word: str) -> str:
        hidden = bool(self.node.at("envFrom"))
        return filled(word, self.value, lambda name: hidden or name in self.env)

    @property
    def server(self) -> str:
        """The name of the server that the command starts without `lifecycle run`. Or empty."""
        return self.server_command.name if self.server_command else ""


def _is_ours(name: str, node: Node) -> bool:
    # LIFECYCLE_ENV may belong to any program. Only variables of pod-lifecycle count.
    return name in core_variables() and not is_service_link(name, node.at("value").text())


def probes_of(containers: Iterable[Container], *kinds: str) -> Iterator[Probe]:
    """Give the probes of some containers. Without kinds, give all probes."""
    for container in containers:
        for kind, probe in container.probes.items():
            if not kinds or kind in kinds:
                yield probe
