"""The options that each subcommand has, named as those of kubectl."""

from __future__ import annotations

import argparse
import re
from typing import Final

from lifecycle_fleet.errors import FleetError

OUTPUTS: Final = ("wide", "json", "yaml")
DATA: Final = ("json", "yaml")
BEFORE: Final = "before_"
"""The beginning of the names under which options before the subcommand are kept."""
CLUSTER: Final = ("kubeconfig", "context", "namespace")
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", re.ASCII)
"""Matches the name of a namespace or of an object."""


def add_cluster(parser: argparse.ArgumentParser, *, prefix: str = "") -> None:
    """
    Declare which cluster and which namespace.

    Args:
        parser: The parser of a subcommand, or the one above.
        prefix: The beginning of the names under which the values are kept.
    """
    parser.add_argument(
        "--kubeconfig",
        default="",
        metavar="FILE",
        dest=f"{prefix}kubeconfig",
        help="the kubeconfig to use",
    )
    parser.add_argument(
        "--context",
        default="",
        metavar="NAME",
        dest=f"{prefix}context",
        help="the context to use",
    )
    parser.add_argument(
        "-n",
        "--namespace",
        default="",
        metavar="NAME",
        dest=f"{prefix}namespace",
        help="the namespace (default: that of the context)",
    )


def use_those_before(options: argparse.Namespace) -> None:
    """Use what was given before the subcommand, as in `-n shop ls`, if nothing is given after it."""
    for name in CLUSTER:
        given = getattr(options, BEFORE + name, "")
        if given and not getattr(options, name, ""):
            setattr(options, name, given)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declare which objects of the namespace, or of all."""
    parser.add_argument(
        "-A", "--all-namespaces", action="store_true", help="show the pods of all namespaces"
    )
    parser.add_argument(
        "-l", "--selector", default="", metavar="LABELS", help="only pods with these labels"
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Declare the form of the output."""
    parser.add_argument(
        "-o",
        "--output",
        choices=OUTPUTS,
        metavar="FORM",
        help="form of the output: wide, json or yaml",
    )
    parser.add_argument("-w", "--watch", action="store_true", help="print each change until Ctrl-C")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Declare that the output may be data."""
    parser.add_argument(
        "-o", "--output", choices=DATA, metavar="FORM", help="form of the output: json or yaml"
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="output", help="print JSON"
    )


def add_pod(parser: argparse.ArgumentParser) -> None:
    """Declare one pod, and its container."""
    parser.add_argument(
        "target",
        metavar="POD",
        help="the name of a pod, or KIND/NAME such as deploy/orders for one of its pods",
    )
    add_container(parser)


def add_container(parser: argparse.ArgumentParser) -> None:
    """Declare the container."""
    parser.add_argument(
        "-c",
        "--container",
        default="",
        metavar="NAME",
        help="the container of the app (default: the one with the probes of pod-lifecycle)",
    )


def seconds(text: str) -> float:
    """Return a number of seconds, or raise ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds, above 0 and at most 86400"
        )
    return value


def namespace_of(options: argparse.Namespace, default: str) -> str:
    """
    Return the namespace to ask for, empty for all.

    Raises:
        FleetError: The name of the namespace is not one.
    """
    if getattr(options, "all_namespaces", False):
        return ""
    found: str = options.namespace or default
    if not NAME.fullmatch(found):
        raise FleetError(
            f"{found!r} is not the name of a namespace. Use lower-case letters, digits and -",
            see="errors.md#fleet-pod",
        )
    return found
