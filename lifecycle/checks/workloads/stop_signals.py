"""Stop signals of known servers."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from lifecycle.checks.commands.programs import programs
from lifecycle.checks.workloads.container import Container


class Stops(NamedTuple):
    """
    The signals at which a server stops.

    Attributes:
        finishing: Signals at which the server finishes the requests in flight, if it ever does.
        at_once: Signals at which the server cuts the requests in flight.
    """

    finishing: tuple[str, ...]
    at_once: tuple[str, ...] = ()


_ASYNCIO: Final = Stops(("SIGTERM", "SIGINT"))
STOPS: Final = {
    "uvicorn": _ASYNCIO,
    "hypercorn": _ASYNCIO,
    "granian": _ASYNCIO,
    "daphne": _ASYNCIO,
    "fastapi": _ASYNCIO,
    "gunicorn": Stops(("SIGTERM",), ("SIGINT", "SIGQUIT")),
    "celery": Stops(("SIGTERM", "SIGINT"), ("SIGQUIT",)),
    "waitress-serve": Stops(("SIGINT",)),
    "nginx": Stops(("SIGQUIT",), ("SIGTERM", "SIGINT")),
    "haproxy": Stops(("SIGUSR1",), ("SIGTERM", "SIGINT")),
    "httpd": Stops(("SIGWINCH",), ("SIGTERM",)),
    "php-fpm": Stops(("SIGQUIT",), ("SIGTERM", "SIGINT")),
}
_ALIASES: Final = {
    "nginx-unprivileged": "nginx",
    "openresty": "nginx",
    "httpd-foreground": "httpd",
    "apache2": "httpd",
    "apache2-foreground": "httpd",
}
_REAL_TIME: Final = re.compile(r"SIGRTMIN(\+([1-9]|1[0-5]))?|SIGRTMAX(-([1-9]|1[0-4]))?")
_NAMES: Final = frozenset((
    "SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL",
    "SIGINT", "SIGIO", "SIGIOT", "SIGKILL", "SIGPIPE", "SIGPOLL", "SIGPROF", "SIGPWR", "SIGQUIT",
    "SIGSEGV", "SIGSTKFLT", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN",
    "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGWINCH", "SIGXCPU", "SIGXFSZ",
))  # fmt: skip


def is_signal(name: str) -> bool:
    """Tell whether Kubernetes knows a signal of this name, on Linux."""
    return name in _NAMES or bool(_REAL_TIME.fullmatch(name))


def known_server(container: Container) -> str:
    """Return the server in the command or image of a container. Empty if not known."""
    names = [words[0] for words in programs(container.words)]
    if not container.node.at("command"):
        names.append(image_name(container))
    named = (_ALIASES.get(each, each) for each in names)
    return next((each for each in named if each in STOPS), "")


def image_name(container: Container) -> str:
    """Return the last part of the name of a container's image, without the tag."""
    image = container.node.at("image").text().partition("@")[0]
    return image.rpartition("/")[2].partition(":")[0]
