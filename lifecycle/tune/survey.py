"""All reports of the logs, by service."""

from __future__ import annotations

from typing import BinaryIO, Final, NamedTuple

from lifecycle.plain import one_line
from lifecycle.tune.formats import report_in
from lifecycle.tune.log_lines import LogScan
from lifecycle.tune.seen_drain import BadReport, OldReport, seen_drain
from lifecycle.tune.tally import Tally

MOST_SERVICES: Final = 500
"""Services that are told apart, because the logs choose their names."""


class Unread(NamedTuple):
    """
    A line with the text of a report that cannot be used.

    Attributes:
        where: The file and the line.
        why: The reason.
    """

    where: str
    why: str


class Survey:
    """
    The reports of several logs.

    Attributes:
        tallies: The drains by service. A pod with several services has them all in its name.
        lines: The number of lines.
        reports: The number of reports that were used.
        old: The number of reports without the fields that are needed.
        others: The number of reports of further services, beyond `MOST_SERVICES`.
        unread: The number of lines with a report that could not be read.
        first_unread: The first of them.
        kinds: The kind of each log, by name. See `LogScan.kind`.
    """

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.lines = self.reports = self.old = self.others = self.unread = 0
        self.first_unread: Unread | None = None
        self.kinds: dict[str, str] = {}

    def read(self, name: str, stream: BinaryIO) -> None:
        """
        Read a log to its end.

        Raises:
            OSError: The log cannot be read.
        """
        scan = LogScan(stream)
        for line in scan:
            self._line(f"{name}:{line.number}", line.text)
        self.lines += scan.lines
        self.kinds[name] = scan.kind

    def _line(self, where: str, text: bytes) -> None:
        report = report_in(text.decode("utf-8", "replace"))
        if report is None:
            self._skip(where, "the report is cut off, or in a format for people")
            return
        try:
            drain = seen_drain(report)
        except OldReport:
            self.old += 1
            return
        except BadReport as bad:
            self._skip(where, str(bad))
            return
        name = ", ".join(map(one_line, drain.services))
        tally = self.tallies.get(name)
        if tally is None:
            if len(self.tallies) >= MOST_SERVICES:
                self.others += 1
                return
            tally = self.tallies[name] = Tally(drain)
        tally.add(drain, where)
        self.reports += 1

    def _skip(self, where: str, why: str) -> None:
        self.unread += 1
        self.first_unread = self.first_unread or Unread(where, why)
