"""One container of a pod: what it runs, and what the kubelet does to it."""

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
    programs,
    runs,
    script_of,
    stages,
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
from lifecycle.checks.workloads.kubelet_texts import expanded, path_of, undoubled
from lifecycle.config import KILL_MARGIN, Config, core_variables
from lifecycle.environment_variables import is_service_link, variable
from lifecycle.exceptions import ConfigError

KINDS: Final = {"live": "liveness", "ready": "readiness", "startup": "startup"}
PROBE_PATHS: Final = {f"/{name}{z}": kind for name, kind in KINDS.items() for z in ("", "z")}
DEFAULT_QOS: Final = 22222
_REFERRED: Final = re.compile(r"\$\$|\$\(([^)]*)\)")
_OF_SHELL: Final = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}$]*))?\})")
_SUBSTITUTED: Final = re.compile(r"\$\(([^()]+)\)")
_UNKNOWN: Final = {"grace_period": "86400", "settle": "0", "quiet": "0", "stop_timeout": "0"}
"""What is assumed of times that stand elsewhere: no budget is called too small for them."""


@dataclass(frozen=True)
class Probe:
    """One of a container's three probes."""

    kind: str
    node: Node
    container: Container

    def __str__(self) -> str:
        return f"{self.container.name}: {self.kind}Probe"

    @property
    def http(self) -> Node:
        """Its httpGet."""
        return self.node.at("httpGet")

    @property
    def path(self) -> str:
        """What is asked for over HTTP, without the query."""
        return self.fetch.path if self.fetch else path_of(self.http)

    @property
    def command(self) -> list[str]:
        """Its exec."""
        return [undoubled(each.text()) for each in self.node.at("exec", "command").each()]

    @cached_property
    def fetches(self) -> list[Fetch]:
        """The HTTP requests that its exec sends to the pod itself; what it compares, in the end."""
        sent = [each for step in steps(self.command) for each in fetches(step.words)]
        for script in _SUBSTITUTED.findall(script_of(unwrapped(self.command)) or ""):
            compared = [
                each for step in steps(["sh", "-c", script]) for each in fetches(step.words)
            ]
            sent += [replace(each, fails=True) for each in compared]
        return [each for each in sent if is_own(each.host) and not (each.socket or each.elsewhere)]

    @cached_property
    def fetch(self) -> Fetch | None:
        """The request of its exec to the QOS port, rather for readiness; None if there is none."""
        port = self.container.qos_port
        sent = [each for each in self.fetches if each.by_setting or each.port == port]
        return max(sent, key=lambda each: each.path in ("/ready", "/readyz"), default=None)

    @property
    def port(self) -> Node:
        """The number or the name that it asks."""
        handlers = [self.node.at(each, "port") for each in ("httpGet", "tcpSocket", "grpc")]
        return next((each for each in handlers if each), Node())

    @property
    def asks_qos_port(self) -> bool:
        """Whether it sends an HTTP request to the QOS port."""
        by_kubelet = bool(self.http) and self._number == self.container.qos_port
        return by_kubelet or self.fetch is not None

    @property
    def _number(self) -> float | None:
        return self.container.number_of(self.port)

    @cached_property
    def asked(self) -> str:
        """The kind of verdict that it asks a lifecycle for; empty if it asks for none."""
        if self.asks_qos_port:
            first = "/" + self.path.split("/")[1]  # /ready/NAME asks for one of several
            return PROBE_PATHS.get(first, "")
        return KINDS.get(self.probed, "")

    @property
    def probed(self) -> str:
        """The verdict that `lifecycle probe` asks for; empty if that is not what it runs."""
        for words in programs(self.command):
            if words[:2] == ["lifecycle", "probe"]:
                return next((word for word in words[2:] if not re.match(r"-|\d", word)), "")
        return ""

    @property
    def is_qos(self) -> bool:
        """Whether it asks a lifecycle for a verdict."""
        return self.asked != ""

    @property
    def timeout(self) -> float:
        """Its timeoutSeconds."""
        return self.node.at("timeoutSeconds").number(1)

    @property
    def patience(self) -> float:
        """For how many seconds it may fail."""
        return self.node.at("periodSeconds").number(10) * self.node.at("failureThreshold").number(3)

    def handler(self) -> object:
        """Return what is asked, to be compared."""
        keys = ("httpGet", "tcpSocket", "grpc", "exec")
        return {key: self.node.at(key).plain() for key in keys}


class Container:
    """
    One that runs as long as the pod does.

    Args:
        node: Where it stands.
        is_native_sidecar: It is an init container that is always restarted: it ends after the app.
        file: Gives the text of a file of its image; None if it is not there to be read.
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
        """What it runs, as far as the manifest says."""
        given = [each.text() for key in ("command", "args") for each in self.node.at(key).each()]
        return [_REFERRED.sub(self._referred, each) for each in given]

    def _referred(self, found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else self.value(found[1]) or found[0]

    @property
    def command(self) -> Node:
        """Where it says what it runs."""
        return self.node.at("command" if self.node.at("command") else "args")

    def options(self) -> Iterator[tuple[str, str]]:
        """Give the options of its commands: `--name value`, `--name=value`, `-n4`."""
        for words in programs(self.words):
            yield from read_options(words)

    @cached_property
    def probes(self) -> dict[str, Probe]:
        """Its probes by kind."""
        given = {
            kind: self.node.at(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")
        }
        return {kind: Probe(kind, node, self) for kind, node in given.items() if node}

    @property
    def pre_stop(self) -> Node:
        """Its preStop hook."""
        return self.node.at("lifecycle", "preStop")

    @property
    def pre_stop_words(self) -> list[str]:
        """What an exec hook runs."""
        return [each.text() for each in self.pre_stop.at("exec", "command").each()]

    @property
    def ports(self) -> list[Node]:
        """The ports that it declares."""
        return self.node.at("ports").each()

    def number_of(self, port: Node) -> float | None:
        """Return a port's number; None if no port has that name, or none is asked."""
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
        """Its own variables, by name."""
        return {each.at("name").text(): each for each in self.node.at("env").each()}

    def value(self, name: str) -> str | None:
        """Return what a variable is set to; None if it is not set, or not here."""
        value = self.env.get(name, Node()).at("value")
        return expanded(value.text()) if value else None

    def is_known(self, field: str) -> bool:
        """Tell whether this manifest says what a setting is: given here, or the default."""
        name = variable(field)
        return self.value(name) is not None or not (name in self.env or self.node.at("envFrom"))

    @cached_property
    def settings(self) -> Config | ConfigError:
        """The app's settings, as far as they are known; or why it refuses them."""
        known = {name: self.value(name) for name in core_variables()}
        known |= {variable(k): v for k, v in _UNKNOWN.items() if not self.is_known(k)}
        try:
            return Config.from_environ({k: v for k, v in known.items() if v is not None})
        except ConfigError as error:
            return error

    @property
    def config(self) -> Config | None:
        """The app's settings, as far as they are known; None if it refuses them."""
        return self.settings if isinstance(self.settings, Config) else None

    @property
    def qos_port(self) -> int:
        """Where its probes are."""
        return self.config.qos_port if self.config else DEFAULT_QOS

    # How it ends

    @property
    def pre_stop_sleep(self) -> float:
        """Seconds that its preStop hook sleeps."""
        by_kubelet = self.pre_stop.at("sleep", "seconds").number(0)
        return by_kubelet or slept(self.pre_stop_words)

    def drain_time(self, *, registered: bool = True) -> float:
        """
        Return the seconds that its drain takes by its settings; 0 if it refuses them.

        Args:
            registered: Whether clients may know of it. Until then nobody has to be waited for.
        """
        config = self.config
        if config is None:
            return 0
        known = config.settle + config.quiet if registered else 0
        return known + config.stop_timeout + KILL_MARGIN

    @property
    def has_read_only_root(self) -> bool:
        """Whether nothing can be written but to its volumes."""
        return self.node.at("securityContext", "readOnlyRootFilesystem").value is True

    # Whose it is

    @cached_property
    def is_lifecycle(self) -> bool:
        """Whether it runs under a lifecycle, as far as can be seen."""
        return (
            self.lifecycle_run is not None
            or runs(self.pre_stop_words, "lifecycle", "prestop")
            or any(_is_ours(name, node) for name, node in self.env.items())
            or any(each.probed for each in self.probes.values())
            or (self.server != "" and any(each.is_qos for each in self.probes.values()))
            or (self.server != "" and self._asks_the_qos_port_to_drain)
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
        """Whether its preStop asks a lifecycle to drain, rightly or not."""
        words = [step.words for step in steps(self.pre_stop_words)]
        sent = [each.path for one in words for each in fetches(one)]
        return (
            path_of(self.pre_stop.at("httpGet")) == "/prestop"
            or "/prestop" in sent
            or any(each[:2] == ["lifecycle", "prestop"] for each in words)
        )

    @property
    def has_plugins(self) -> bool:
        """Whether it asks for plugins, which may serve paths of their own on the QOS port."""
        own = self.lifecycle_run.options if self.lifecycle_run else ()
        return any(name == "-p" for name, _ in read_options(own)) or (
            not self.is_known("plugins") or self.value("LIFECYCLE_PLUGINS") is not None
        )

    @cached_property
    def lifecycle_run(self) -> LifecycleRun | None:
        """The `lifecycle run` of its command; None if it has none."""
        return lifecycle_run([self._filled(each) for each in self.words])

    @property
    def server_command(self) -> ServerCommand | None:
        """The other server that it runs by itself; None if it runs none, as far as is seen."""
        return None if self.lifecycle_run else self._server(SERVERS)

    @property
    def wrapped_server(self) -> ServerCommand | None:
        """The server that `lifecycle run --` starts in it; None if it starts none that is known."""
        return self._server(ALL_SERVERS) if self.is_wrapped else None

    @property
    def is_wrapped(self) -> bool:
        """Whether it is a command under `lifecycle run --`."""
        return self.lifecycle_run is not None and bool(self.lifecycle_run.command)

    def _server(self, known: Sequence[str]) -> ServerCommand | None:
        exported = self._exported
        commands = [[*map(self._filled, words)] for words in programs(self.words)]
        return server_command(
            commands,
            lambda name: exported.get(name) or self.value(name),
            self._file,
            known=known,
        )

    @property
    def _exported(self) -> dict[str, str]:
        """The variables that its command sets with `export` or `env`."""
        setters = [each[1:] for each in stages(self.words) if each[:1] in (["export"], ["env"])]
        parts = [word.partition("=") for words in setters for word in words]
        return {name: self._filled(value) for name, equals, value in parts if equals}

    def _filled(self, word: str) -> str:
        """Put in the variables of a shell's word, as far as the manifest says their values."""

        def put(found: re.Match[str]) -> str:
            name, default = found[1] or found[2], found[3]
            if name in self.env or self.node.at("envFrom"):
                default = None
            return self.value(name) or default or found[0]

        return _OF_SHELL.sub(put, word)

    @property
    def server(self) -> str:
        """The name of that server; empty if there is none."""
        return self.server_command.name if self.server_command else ""


def _is_ours(name: str, node: Node) -> bool:
    # LIFECYCLE_ENV may be anybody's: only what we read is a sign.
    return name in core_variables() and not is_service_link(name, node.at("value").text())


def pairs(containers: list[Container]) -> Iterator[tuple[Container, Container]]:
    """Give every two of them, each pair once."""
    for at, first in enumerate(containers):
        for second in containers[at + 1 :]:
            yield first, second


def probes_of(containers: Iterable[Container], *kinds: str) -> Iterator[Probe]:
    """Give the probes of some containers; of some kinds, or all of them."""
    for container in containers:
        for kind, probe in container.probes.items():
            if not kinds or kind in kinds:
                yield probe
