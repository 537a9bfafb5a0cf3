"""The options that each subcommand has, named as those of kubectl."""

from __future__ import annotations

import argparse
from typing import Final

OUTPUTS: Final = ("wide", "json", "yaml")


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Declare which cluster and which namespace."""
    parser.add_argument("--kubeconfig", default="", metavar="FILE", help="the kubeconfig to use")
    parser.add_argument("--context", default="", metavar="NAME", help="the context to use")
    parser.add_argument(
        "-n",
        "--namespace",
        default="",
        metavar="NAME",
        help="the namespace (default: the context's)",
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declare which objects of the namespace, or of all."""
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="use all namespaces")
    parser.add_argument(
        "-l", "--selector", default="", metavar="LABELS", help="only pods with these labels"
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Declare the form of the output."""
    parser.add_argument(
        "-o", "--output", choices=OUTPUTS, metavar="FORM", help=f"print {', '.join(OUTPUTS)}"
    )
    parser.add_argument("-w", "--watch", action="store_true", help="print each change until Ctrl-C")


def namespace_of(options: argparse.Namespace, default: str) -> str:
    """Return the namespace to ask for, empty for all."""
    if getattr(options, "all_namespaces", False):
        return ""
    return options.namespace or default
