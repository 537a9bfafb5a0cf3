"""The rules of the Role: what lifecycle-kubernetes may do, by the options that the app gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OFF: Final = ("0", "false", "no", "off")

Rule = dict[str, Any]


def rules(env: Mapping[str, str], *, registers: bool) -> list[Rule]:
    """
    Return the rules that the plugin needs. Empty if it has nothing to do.

    Args:
        env: The variables of the app. They may turn reports about the pod off.
        registers: Whether the pod has app services, which the plugin registers.
    """
    status = env.get("LIFECYCLE_KUBERNETES_STATUS", "").strip().lower() not in _OFF
    events = env.get("LIFECYCLE_KUBERNETES_EVENTS", "").strip().lower() != "none"
    if not (registers or status or events):
        return []
    made = [_rule("pods", "get", *(["watch"] if registers else []))]
    if registers or status:
        # The annotations are patched here too. The right to patch pods would allow to change images.
        made.append(_rule("pods/status", "patch"))
    if registers:
        # A watch that starts again lists first.
        made.append(_rule("endpointslices", "list", "watch", group="discovery.k8s.io"))
    if events:
        made.append(_rule("events", "create"))
    return made


def _rule(resource: str, *verbs: str, group: str = "") -> Rule:
    return {"apiGroups": [group], "resources": [resource], "verbs": [*verbs]}
