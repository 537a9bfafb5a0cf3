"""Label selectors and field selectors, as an API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
Wanted = Callable[[Object], bool]


def selector(labels: str, fields: str) -> Wanted:
    """
    Return which objects are selected.

    Raises:
        ValueError: A selector cannot be read.
    """
    terms = [_label(each) for each in re.split(r",(?![^(]*\))", labels) if each.strip()]
    terms += [_field(each) for each in fields.split(",") if each.strip()]
    return lambda thing: all(term(thing) for term in terms)


def _labels_of(thing: Object) -> dict[str, str]:
    return thing["metadata"].get("labels") or {}


def _label(term: str) -> Wanted:
    term = term.strip()
    if match := re.fullmatch(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)", term):
        name, how, listed = match.groups()
        values = {each.strip() for each in listed.split(",")}
        return lambda thing: (_labels_of(thing).get(name) in values) == (how == "in")
    if match := re.fullmatch(r"([^\s=!]+)\s*(==?|!=)\s*([^\s=!]*)", term):
        name, how, value = match.groups()
        return lambda thing: (_labels_of(thing).get(name) == value) == (how != "!=")
    if match := re.fullmatch(r"(!?)([\w./-]+)", term):
        absent, name = match.groups()
        return lambda thing: (name in _labels_of(thing)) == (not absent)
    raise ValueError(f"unable to parse requirement: {term!r}")


def _field(term: str) -> Wanted:
    match = re.fullmatch(r"\s*([\w.]+)\s*(==?|!=)\s*([^=!]*?)\s*", term)
    if match is None:
        raise ValueError(f"invalid field selector: {term!r}")
    path, how, value = match.groups()

    def wanted(thing: Object) -> bool:
        found: Any = thing
        for part in path.split("."):
            found = found.get(part, {}) if isinstance(found, dict) else {}
        return ((found or "") == value) == (how != "!=")

    return wanted
