"""The readiness gate of the pod, and the warnings about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lifecycle.calls.entry_points import entry_points

PLUGIN: Final = "lifecycle-kubernetes"
_NAME: Final = "kubernetes"
_MODULE: Final = "lifecycle_kubernetes."
PAGE: Final = "kubernetes.md#the-readiness-gate"
"""The page about the warnings, as `help_page` takes it."""


def is_turned_off(env: Mapping[str, str]) -> bool:
    """Tell whether the variables of an app turn lifecycle-kubernetes off."""
    plugins = env.get("LIFECYCLE_PLUGINS", "").split(",")
    enabled = env.get("LIFECYCLE_KUBERNETES_ENABLED", "")
    return f"no:{_NAME}" in map(str.strip, plugins) or enabled.strip().lower() == "false"


def is_installed() -> bool:
    """Tell whether lifecycle-kubernetes is installed in this environment."""
    return any(
        each.name == _NAME and each.value.startswith(_MODULE) for each in entry_points("lifecycle")
    )


def note(*, written: bool, asked: bool | None, env: Mapping[str, str]) -> str:
    """
    Return the warning about the gate of a pod with app services. Empty if nothing is unclear.

    Args:
        written: Whether the manifest has the gate.
        asked: The choice in the options. None if they leave it open.
        env: The variables of the app.
    """
    if written:
        return (
            f"the manifest has a readiness gate. If {PLUGIN} is not in the image, the pod never "
            f"becomes Ready. To write no gate, add --no-readiness-gate"
        )
    if asked is None and not is_turned_off(env):
        return (
            f"the manifest has no readiness gate, because {PLUGIN} is not installed here. If the "
            f"image has this plugin, add --readiness-gate"
        )
    return ""
