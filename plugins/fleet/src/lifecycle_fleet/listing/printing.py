"""Prints pods, in the form that is wanted."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from lifecycle_fleet.view.pod import PodView
from lifecycle_fleet.view.problem import problem
from lifecycle_fleet.view.record import record
from lifecycle_fleet.view.table import COLUMNS, Table

VERSION = 1
"""The version of the JSON. It changes with a field that is renamed or removed."""


class Printer(Protocol):
    """Prints all pods, and then those that have changed."""

    printed: bool

    def all(self, pods: Sequence[PodView]) -> None:
        """Print all pods."""

    def one(self, pod: PodView) -> None:
        """Print one pod that has changed."""


def printer_of(options: argparse.Namespace) -> Printer:
    """Return the printer of a form of output."""
    if options.output in ("json", "yaml"):
        return Data(yaml=options.output == "yaml", lines=options.watch)
    return Lines(
        sys.stdout,
        wide=options.output == "wide",
        namespaces=options.all_namespaces,
        headers=not options.no_headers,
    )


class Lines:
    """
    Prints a table.

    Args:
        stream: Where to.
        wide: With all columns.
        namespaces: With the namespaces.
        headers: With the titles.
    """

    def __init__(self, stream: TextIO, *, wide: bool, namespaces: bool, headers: bool) -> None:
        self.printed = False
        self._stream = stream
        self._headers = headers
        self._wide = wide
        self._columns = [
            each
            for each in COLUMNS
            if (wide or not each.wide) and (namespaces or wide or each.title != "NAMESPACE")
        ]
        self._table: Table | None = None

    def all(self, pods: Sequence[PodView]) -> None:
        """Print all pods, if there are any."""
        if pods:
            self._begin(pods)
        for each in pods:
            self.one(each)
        if self._table is not None and self._table.left_out and is_terminal(self._stream):
            left_out = ", ".join(self._table.left_out)
            print(f"Not shown for lack of space: {left_out}. Use -o wide.", file=sys.stderr)

    def one(self, pod: PodView) -> None:
        """Print one pod."""
        if self._table is None:
            self._begin([pod])
        if self._table is not None:
            print(self._table.line(pod, time.time()), file=self._stream, flush=True)

    def _begin(self, pods: Sequence[PodView]) -> None:
        limit = 0
        if is_terminal(self._stream) and not self._wide:
            limit = shutil.get_terminal_size().columns
        colour = is_coloured(self._stream, os.environ)
        self._table = Table(pods, time.time(), self._columns, limit=limit, colour=colour)
        self.printed = True
        if self._headers:
            print(self._table.head(), file=self._stream)


class Data:
    """
    Prints JSON or YAML.

    Args:
        yaml: Whether it is YAML.
        lines: Whether each pod is a separate object, on one line or in one document.
    """

    def __init__(self, *, yaml: bool, lines: bool) -> None:
        self.printed = False
        self._yaml = yaml
        self._lines = lines

    def all(self, pods: Sequence[PodView]) -> None:
        """Print one object with all pods, or each pod."""
        if self._lines:
            for each in pods:
                self.one(each)
            return
        self._print({"version": VERSION, "pods": [_record(each) for each in pods]}, indent=2)

    def one(self, pod: PodView) -> None:
        """Print one pod."""
        self._print(_record(pod), indent=None)

    def _print(self, thing: Any, indent: int | None) -> None:
        self.printed = True
        if self._yaml:
            import yaml

            text = yaml.safe_dump(thing, sort_keys=False, explicit_start=self._lines)
            print(text, end="", flush=True)
        else:
            print(json.dumps(thing, indent=indent), flush=True)


def _record(pod: PodView) -> dict[str, Any]:
    now = time.time()
    return record(pod, problem(pod, now, now if pod.hook_failed else 0.0).text)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal."""
    return stream.isatty()


def is_coloured(stream: TextIO, environ: Any) -> bool:
    """Tell whether to colour: on a terminal, if NO_COLOR is not set."""
    return is_terminal(stream) and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
