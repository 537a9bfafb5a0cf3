"""What a server's command and its environment ask of it: workers, reloads, worker classes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from lifecycle.checks.commands.programs import SERVERS
from lifecycle.checks.node import digits

WORKERS: Final = ("--workers", "-w")
# Every option of these has a variable too: `--workers-lifetime` is GRANIAN_WORKERS_LIFETIME.
_BY_VARIABLE: Final = ("uvicorn", "granian")
_CONCURRENCY: Final = ("uvicorn", "gunicorn", "fastapi")
_OFF: Final = ("", "0", "false", "no", "off", "f", "n")
# What makes the server replace a worker that works: after requests, after a time, by its memory.
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
"""Options, and the values with which a server does not run the lifespan."""


@dataclass(frozen=True)
class ServerCommand:
    """
    A server as a command starts it.

    Attributes:
        words: The server's name, and what follows it.
        value: Gives an environment variable's value; None if it is not set, or not known.
    """

    words: Sequence[str]
    value: Callable[[str], str | None]

    @property
    def name(self) -> str:
        """The server: one of `SERVERS`."""
        return self.words[0]

    def given(self, *options: str) -> list[str]:
        """Return the values of some options, the command's first, then the environment's."""
        words = [*self.words[1:]]
        if self.name == "gunicorn":
            words += _split(self.value("GUNICORN_CMD_ARGS") or "")
        said = [value for name, value in read_options(words) if name in options]
        if self.name in _BY_VARIABLE:
            said += [
                value
                for option in options
                if option.startswith("--")
                and (value := self.value(_variable(self.name, option))) is not None
            ]
        return said

    @property
    def workers(self) -> int:
        """How many it is told to start; 1 if nothing says it."""
        said = self.given(*WORKERS)
        if self.name in _CONCURRENCY:
            said.append(self.value("WEB_CONCURRENCY") or "")
        return next((number for each in said if (number := digits(each)) is not None), 1)

    @property
    def reloads(self) -> str:
        """The option or command by which it watches its files; empty if it does not."""
        if self.name == "fastapi" and self.words[1] == "dev" and "--no-reload" not in self.words:
            return "fastapi dev"
        if "--reload" in (*self.words, *_split(self.value("GUNICORN_CMD_ARGS") or "")):
            return f"{self.name} --reload"
        variable = _variable(self.name, "--reload")
        on = self.name in _BY_VARIABLE and (self.value(variable) or "").lower() not in _OFF
        return variable if on else ""

    @property
    def recycles(self) -> str:
        """The option by which it replaces workers that work; empty if it does not."""
        for option in _RECYCLING.get(self.name, ()):
            value = next(iter(self.given(option)), "")
            if value.lower() not in _OFF:
                return f"{option} {value}"
        return ""

    @property
    def no_lifespan(self) -> str:
        """Why it does not run the app's lifespan; empty if it may."""
        if self.name == "daphne":
            return "daphne does not support the lifespan protocol"
        for option, wrong in _NO_LIFESPAN.get(self.name, {}).items():
            value = next(iter(self.given(*option.split("/"))), "")
            if re.fullmatch(wrong, value):
                shown = option.partition("/")[0]
                return f"{self.name} {shown} {value} does not run the lifespan of an ASGI app"
        return ""


def server_command(
    programs: Sequence[Sequence[str]], value: Callable[[str], str | None]
) -> ServerCommand | None:
    """Return the server among some programs; None if there is none, or a lifecycle runs it."""
    if any(words[0] == "lifecycle" for words in programs):
        return None
    for words in programs:
        if words[0] in SERVERS and (words[0] != "fastapi" or words[1:2] in (["run"], ["dev"])):
            return ServerCommand(words, value)
    return None


def read_options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give options with their values: `--name value`, `--name=value`, `-n4`, `-Pgevent`."""
    for word, after in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if re.fullmatch(r"-[a-z]\d+|-[kwP][a-z]\S*", word):
            name, equals, value = word[:2], "=", word[2:]
        yield name, value if equals else after


def _variable(server: str, option: str) -> str:
    return f"{server}_{option.removeprefix('--').replace('-', '_')}".upper()


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote without an end
        return text.split()
