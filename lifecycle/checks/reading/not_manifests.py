"""What lies beside manifests and is none: which kind of file it is."""

from __future__ import annotations

import enum
import os.path
import re
from typing import Final

from lifecycle.checks.node import Node

RENDER: Final = "Render it: helm template … | lifecycle check -"


class Foreign(enum.Enum):
    """A kind of file that is passed over: one of it, several of it, and what to do instead."""

    KUSTOMIZATION = (
        "kustomization",
        "kustomizations",
        "this kustomization is passed over. Build it: kustomize build … | lifecycle check -",
    )
    TEMPLATE = (
        "template",
        "templates",
        f"this template is passed over. {RENDER}",
    )
    CHART = ("chart file", "chart files", "this file of a Helm chart is passed over")
    COMPOSE = ("Compose file", "Compose files", "this Compose file is passed over")
    WORKFLOW = ("CI workflow", "CI workflows", "this CI workflow is passed over")
    PATCH = ("JSON patch", "JSON patches", "this JSON patch is passed over. Check what it changes")
    EMPTY = ("empty file", "empty files", "this file is empty")
    OTHER = ("other file", "other files", "this file is passed over")

    @property
    def sentence(self) -> str:
        """What a note says of it."""
        return self.value[2]

    def counted(self, number: int) -> str:
        """Say how many there are of it."""
        return f"{number:,} {self.value[number != 1]}"


KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
TEMPLATED: Final = re.compile(r"\{\{|\{%|<%")
_UNRENDERED: Final = re.compile(
    r"^\s*#@(\s|\w+/)|:\s+#@\s"  # ytt
    r"|[:-][ \t]+#\{[\w.-]+\}#?[ \t]*$"  # Azure Pipelines, which YAML takes for a comment
    r"|%\{~?\s*(if|else|endif|for|endfor)\b",  # Terraform
    re.MULTILINE,
)
"""What stands in comments or between lines: without it the YAML is another one, or none."""
_ASSERTED: Final = re.compile(r"\(.*\)", re.DOTALL)
"""An expression of Chainsaw, as a key or a value."""
_MANIFEST: Final = tuple(
    re.compile(rf"(^|[\s{{,-])[\"']?{key}[\"']?\s*:") for key in ("apiVersion", "kind")
)
_CHART: Final = re.compile(
    r"(Chart|requirements|values[\w.-]*|[\w.-]*values)\.(ya?ml|schema\.json)"
)
_FREE: Final = (
    "annotations", "args", "command", "data", "env", "rules", "status",
    "stringData", "value",
)  # fmt: skip
"""Where an app's own text stands, in which braces are the app's."""
_SHAPES: Final = (
    (Foreign.WORKFLOW, (r"^(stages|pipeline|steps|workflows):",)),
    (
        Foreign.WORKFLOW,
        (r"^jobs:", r"^([\"']?on[\"']?|trigger|pool|resources|[ ]*- (job|deployment)):"),
    ),
    (Foreign.COMPOSE, (r"^services:", r"(^|[ {,])(image|build|extends|env_file):")),
    (
        Foreign.PATCH,
        (r"^\s*[-[{\s]*[\"']?op[\"']?\s*:\s*[\"']?(add|remove|replace|move|copy|test)\b",),
    ),
)
"""What a text of each kind has, all of it."""
_YTT: Final = re.compile(r"^#@", re.MULTILINE)


def should_be_manifest(text: str) -> bool:
    """Tell whether a text has the two keys that every Kubernetes object has."""
    return all(each.search(text) for each in _MANIFEST)


def is_unrendered(text: str) -> bool:
    """Tell whether a manifest has what only its tool understands, in places that YAML does not see."""
    return bool(_UNRENDERED.search(text)) and should_be_manifest(text)


def may_be_template(text: str) -> bool:
    """Tell whether something in a text may have to be filled in; `is_template` knows it of an object."""
    return bool(TEMPLATED.search(text) or re.search(r"\)['\"]?\s*:|:\s*['\"]?\(", text))


def _is_open(text: str) -> bool:
    return bool(TEMPLATED.search(text) or _ASSERTED.fullmatch(text))


def foreign(text: str, file: str) -> Foreign:
    """Tell what a file without a Kubernetes object is, by its name and its text."""
    name = os.path.basename(file)
    if name in KUSTOMIZATIONS:
        return Foreign.KUSTOMIZATION
    if not text.strip():
        return Foreign.EMPTY
    if _CHART.fullmatch(name) and not _YTT.search(text):
        return Foreign.CHART
    found = next(
        (
            kind
            for kind, shapes in _SHAPES
            if all(re.search(each, text, re.MULTILINE) for each in shapes)
        ),
        None,
    )
    if found is None and TEMPLATED.search(text) and should_be_manifest(text):
        return Foreign.TEMPLATE
    return found or Foreign.OTHER


def is_template(node: Node) -> bool:
    """Tell whether an object has something to be filled in where Kubernetes has its own fields."""
    if isinstance(node.value, dict):
        return any(
            _is_open(key) or is_template(each)
            for key, each in node.value.items()
            if key not in _FREE
        )
    if isinstance(node.value, list):
        return any(is_template(each) for each in node.value)
    return isinstance(node.value, str) and _is_open(node.value)


def of_chart(file: str) -> Foreign | None:
    """Tell which part of a Helm chart a file is: beside a Chart.yaml, or under its `templates`."""
    folder = os.path.dirname(os.path.abspath(file))
    if _is_chart(folder):
        return Foreign.CHART
    while (parent := os.path.dirname(folder)) != folder:
        if os.path.basename(folder) == "templates":
            return Foreign.TEMPLATE if _is_chart(parent) else None
        folder = parent
    return None


def _is_chart(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "Chart.yaml"))
