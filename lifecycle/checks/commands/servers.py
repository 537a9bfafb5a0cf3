"""Options of servers, from their command, variables and configuration file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from lifecycle.checks.commands import gunicorn_config
from lifecycle.checks.commands.programs import MORE_SERVERS, SERVERS
from lifecycle.checks.node import digits

WORKERS: Final = ("--workers", "-w")
# Servers with a variable for every option. `--workers-lifetime` is GRANIAN_WORKERS_LIFETIME.
_BY_VARIABLE: Final = ("uvicorn", "granian")
_CONCURRENCY: Final = ("uvicorn", "gunicorn", "fastapi")
_OFF: Final = ("", "0", "false", "no", "off", "f", "n")
# Options that replace a healthy worker after a number of requests, a time, or by its memory.
_RECYCLING: Final = {
    "gunicorn": ("--max-requests",),
    "hypercorn": ("--max-requests",),
    "uvicorn": ("--limit-max-requests",),
    "granian": ("--workers-lifetime", "--workers-max-rss"),
}
_WSGI_WORKERS: Final = (
    r"(.*[.#])?(sync|gthread|gevent|gevent_pywsgi|gevent_wsgi|eventlet)(\.\w+Worker)?"
)
_NO_LIFESPAN: Final = {
    "uvicorn": {"--lifespan": "off", "--interface": "wsgi"},
    "granian": {"--interface": "wsgi|rsgi|asginl"},
    "gunicorn": {"--worker-class/-k": _WSGI_WORKERS},
}
"""Options, and values with which a server does not run the lifespan."""
_DEFAULTS: Final = {
    "gunicorn": (("--worker-class", "-k", "--config", "-c"), "its default worker is sync"),
    "granian": (("--interface",), "its default interface is rsgi"),
}
"""Options without which a server does not run the lifespan, and what the server does by default."""
VARIABLES: Final = {"gunicorn": "GUNICORN_CMD_ARGS", "granian": "GRANIAN_INTERFACE"}
"""Variables that may contain these options."""
_NAME: Final = r"[A-Za-z_]\w*"
_APP: Final = re.compile(rf"({_NAME}(?:\.{_NAME})*):{_NAME}[\w.]*(?:\(.*\))?")
_WSGI_MODULE: Final = re.compile(rf"(?:{_NAME}\.)*wsgi")
_FOLDERS: Final = ("--app-dir", "--chdir", "--working-dir", "--pythonpath")
"""Options for the folder of the app."""
_CONFIGS: Final = ("--config", "-c")
_DAEMONS: Final = {
    "gunicorn": ("--daemon", "-D"),
    "uwsgi": ("--daemonize", "-d", "--daemonize2"),
    "sanic": ("--daemon", "-D"),
}
"""Options with which the first process exits at once, and another process serves."""


@dataclass(frozen=True)
class ServerCommand:
    """
    A server in a command.

    Attributes:
        words: Name of the server, and the words after it.
        value: Returns the value of an environment variable. None if not set or not known.
        file: Returns the text of a file of the image. None if not known.
    """

    words: Sequence[str]
    value: Callable[[str], str | None]
    file: Callable[[str], str | None] = lambda _: None

    @property
    def name(self) -> str:
        """Name of the server, from `SERVERS` or `MORE_SERVERS`."""
        return "uwsgi" if self.words[0] == "pyuwsgi" else self.words[0]

    @cached_property
    def _arguments(self) -> list[str]:
        """The words after the name. For gunicorn, with those in GUNICORN_CMD_ARGS."""
        added = self.value("GUNICORN_CMD_ARGS") if self.name == "gunicorn" else None
        return [*self.words[1:], *_split(added or "")]

    @cached_property
    def settings(self) -> dict[str, str]:
        """The known settings in the file of `gunicorn -c`."""
        if self.name != "gunicorn":
            return {}
        said = [value for name, value in read_options(self._arguments) if name in _CONFIGS]
        path = gunicorn_config.path_of(said)
        text = self.file(path) if path else None
        return {} if text is None else gunicorn_config.settings_of(text, self.value)

    @property
    def default_host(self) -> str:
        """The host from a variable with a special name. Empty if there is none."""
        return (self.value("FLASK_RUN_HOST") or "") if self.name == "flask" else ""

    @property
    def default_port(self) -> str:
        """The port from a variable with a special name. Empty if there is none."""
        variable = {"flask": "FLASK_RUN_PORT", "fastapi": "PORT", "gunicorn": "PORT"}.get(self.name)
        if self.name == "gunicorn" and self.given("-c", "--config"):
            return ""  # the file may set the address
        return (self.value(variable) or "") if variable else ""

    def given(self, *options: str) -> list[str]:
        """Return the values of some options: from the command, the variables, and the file."""
        said = [value for name, value in read_options(self._arguments) if name in options]
        if self.name in _BY_VARIABLE:
            said += [
                value
                for option in options
                if option.startswith("--")
                and (value := self.value(_variable(self.name, option))) is not None
            ]
        names = [each[2:].replace("-", "_") for each in options if each.startswith("--")]
        return said + [self.settings[each] for each in names if each in self.settings]

    @property
    def workers(self) -> int:
        """Number of workers. 1 if not set."""
        said = self.given(*WORKERS)
        if self.name in _CONCURRENCY:
            said.append(self.value("WEB_CONCURRENCY") or "")
        return next((number for each in said if (number := digits(each)) is not None), 1)

    @property
    def reloads(self) -> str:
        """The option or command that makes the server watch its files. Empty if it does not."""
        if self.name == "fastapi" and self.words[1] == "dev" and "--no-reload" not in self.words:
            return "fastapi dev"
        if "--reload" in self._arguments or self.settings.get("reload") == "True":
            return f"{self.name} --reload"
        variable = _variable(self.name, "--reload")
        on = self.name in _BY_VARIABLE and (self.value(variable) or "").lower() not in _OFF
        return variable if on else ""

    @property
    def recycles(self) -> str:
        """The option that replaces healthy workers. Empty if there is none."""
        for option in _RECYCLING.get(self.name, ()):
            value = next(iter(self.given(option)), "")
            if value.lower() not in _OFF:
                return f"{option} {value}"
        return ""

    @property
    def daemonizes(self) -> str:
        """The option that turns the server into a daemon. Empty if there is none."""
        options = _DAEMONS.get(self.name, ())
        given = (each.partition("=")[0] for each in self._arguments)
        by_file = "daemon" if self.settings.get("daemon") == "True" else ""
        return next((each for each in given if each in options), by_file)

    @property
    def no_lifespan(self) -> str:
        """Why the server does not run the lifespan of the app. Empty if it may do so."""
        if self.name == "daphne":
            return "daphne does not support the lifespan protocol"
        for option, wrong in _NO_LIFESPAN.get(self.name, {}).items():
            value = next(iter(self.given(*option.split("/"))), "")
            if re.fullmatch(wrong, value):
                shown = option.partition("/")[0]
                return f"{self.name} {shown} {value} does not run the lifespan of an ASGI app"
        return ""

    @property
    def default_mode(self) -> str:
        """The default with which the server does not run the lifespan. Empty if options change it."""
        options, default = _DEFAULTS.get(self.name, ((), ""))
        by_file = self.name == "gunicorn" and self.file(gunicorn_config.DEFAULT) is not None
        return "" if by_file or self.given(*options) else default

    @property
    def runs_wsgi(self) -> bool:
        """Whether the app is a WSGI app by its name, as in `gunicorn shop.wsgi`."""
        is_wsgi = self.name == "gunicorn" and self.app_module.rpartition(".")[2] == "wsgi"
        return is_wsgi and self.default_mode != ""

    @property
    def app_module(self) -> str:
        """The module of the app, such as `shop.main`. Empty if not known."""
        if self.name == "fastapi":
            path = next((each for each in self.words if each.endswith(".py")), "")
            return path.removeprefix("./").removesuffix(".py").replace("/", ".")
        named = (found[1] for each in self.words[1:] if (found := _APP.fullmatch(each)))
        short = (each for each in self.words[1:] if _WSGI_MODULE.fullmatch(each))
        return next(named, "") or next(short, "")

    @property
    def runs_elsewhere(self) -> bool:
        """Whether an option sets another folder for the modules of the app."""
        return bool(self.given(*_FOLDERS))


def server_command(
    programs: Sequence[Sequence[str]],
    value: Callable[[str], str | None],
    file: Callable[[str], str | None] = lambda _: None,
    *,
    known: Sequence[str] = SERVERS,
) -> ServerCommand | None:
    """
    Return the server among some commands. None if there is none, or if `lifecycle` is among them.

    Args:
        programs: Commands. The first word of each is the name of its program.
        value: Returns the value of an environment variable. None if not set or not known.
        file: Returns the text of a file of the image. None if not known.
        known: Names of the servers to look for.
    """
    if any(words[0] == "lifecycle" for words in programs):
        return None
    for words in programs:
        if words[0] in known and _serves(words):
            return ServerCommand(words, value, file)
    return None


def _serves(words: Sequence[str]) -> bool:
    """Tell whether a command starts a server, as `flask run` does and `flask db` does not."""
    match words[0]:
        case "fastapi":
            return list(words[1:2]) in (["run"], ["dev"])
        case "flask":
            return "run" in words
    return True


ALL_SERVERS: Final = (*SERVERS, *MORE_SERVERS)


def read_options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give names and values of options: `--name value`, `--name=value`, `-n4`, `-Pgevent`."""
    for word, after in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if re.fullmatch(r"-[a-z]\d+|-[kwP][a-z]\S*|-b\S*:\d+", word):
            name, equals, value = word[:2], "=", word[2:]
        yield name, value if equals else after


def _variable(server: str, option: str) -> str:
    return f"{server}_{option.removeprefix('--').replace('-', '_')}".upper()


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote without an end
        return text.split()
