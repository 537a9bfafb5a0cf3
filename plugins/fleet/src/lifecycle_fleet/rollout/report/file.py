"""Writes the report."""

from __future__ import annotations

import os

from lifecycle_fleet.errors import FleetError


class NotWritten(FleetError):
    """The report cannot be written."""

    help_entry = "errors.md#fleet-report"


def writable(path: str) -> None:
    """
    Refuse a path that cannot be written, before the start of a rollout.

    Raises:
        NotWritten: The folder is missing, or must not be written to, or the path is a folder.
    """
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise NotWritten(f"the report {path} cannot be written, because it is a folder")
    if not os.path.isdir(folder):
        raise NotWritten(
            f"the report {path} cannot be written, because there is no folder {folder}"
        )
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise NotWritten(f"the report {path} cannot be written, because you may not write there")


def write(path: str, page: str) -> None:
    """
    Write the report.

    Raises:
        NotWritten: The report cannot be written.
    """
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        raise NotWritten(f"the report {path} cannot be written: {error.strerror}") from None
