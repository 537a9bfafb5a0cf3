"""Files that are not manifests, by kind."""

from __future__ import annotations

import enum
import os.path
import re
from typing import Final

from lifecycle.checks.node import Node

RENDER: Final = "Render the template: helm template … | lifecycle check -"


class Foreign(enum.Enum):
    """A kind of file that is passed over: its name, its plural, and the sentence of the note."""

    KUSTOMIZATION = (
        "kustomization",
        "kustomizations",
        "this kustomization is not checked. Build it: kustomize build … | lifecycle check -",
    )
    TEMPLATE = (
        "template",
        "templates",
        f"this template is not checked. {RENDER}",
    )
    CHART = ("chart file", "chart files", "this file of a Helm chart is not checked")
    COMPOSE = ("Compose file", "Compose files", "this Compose file is not checked")
    WORKFLOW = ("CI workflow", "CI workflows", "this CI workflow is not checked")
    PATCH = (
        "JSON patch",
        "JSON patches",
        "this JSON patch is not checked. Check the patched object instead",
    )
    EMPTY = ("empty file", "empty files", "this file is empty")
    OTHER = ("other file", "other files", "this file is not checked")

    @property
    def sentence(self) -> str:
        """The sentence of the note about such a file."""
        return self.value[2]

    def counted(self, number: int) -> str:
        """Return a number and the name of the kind, in the plural if needed."""
        return f"{number:,} {self.value[number != 1]}"


KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
TEMPLATED: Final = re.compile(r"\{\{|\{%|<%")
_UNRENDERED: Final = re.compile(
    r"^\s*#@(\s|\w+/)|:\s+#@\s"  # ytt
    r"|[:-][ \t]+#\{[\w.-]+\}#?[ \t]*$"  # Azure Pipelines, a comment in YAML
    r"|%\{~?\s*(if|else|endif|for|endfor)\b",  # Terraform
    re.MULTILINE,
)
"""Template code in comments or between lines. Without this code, the YAML changes or breaks."""
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
"""Fields with text of the app, in which braces belong to the app."""
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
"""Patterns of each kind of file. A text of that kind matches all of them."""
_YTT: Final = re.compile(r"^#@", re.MULTILINE)


def should_be_manifest(text: str) -> bool:
    """Tell whether a text has `apiVersion` and `kind`, as every Kubernetes object does."""
    return all(each.search(text) for each in _MANIFEST)


def is_unrendered(text: str) -> bool:
    """Tell whether a manifest has template code where a YAML reader does not find it."""
    return bool(_UNRENDERED.search(text)) and should_be_manifest(text)


def may_be_template(text: str) -> bool:
    """Tell whether a text may contain template code. `is_template` decides for one object."""
    return bool(TEMPLATED.search(text) or re.search(r"\)['\"]?\s*:|:\s*['\"]?\(", text))


def _is_open(text: str) -> bool:
    return bool(TEMPLATED.search(text) or _ASSERTED.fullmatch(text))


def foreign(text: str, file: str) -> Foreign:
    """
    Return the kind of a file without a Kubernetes object.

    Args:
        text: The text of the file.
        file: Name of the file.
    """
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
    """Tell whether an object has template code in a field of Kubernetes."""
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
    """Return the kind of a file in a Helm chart. None for files outside charts."""
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
