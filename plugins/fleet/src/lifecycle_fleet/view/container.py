"""The container of a pod in which pod-lifecycle runs, and how its command is called. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Object = Mapping[str, Any]

QOS_NAME: Final = "qos"
"""The name of the probe port in the manifests of `lifecycle manifests`."""
QOS_PORT: Final = "22222"
VARIABLE: Final = "LIFECYCLE_QOS_PORT"
PATHS: Final = ("/live", "/ready", "/startup", "/livez", "/readyz", "/startupz")
PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
DEFAULT: Final = "kubectl.kubernetes.io/default-container"
"""The annotation that names the container for kubectl."""
COMMAND: Final = ("lifecycle",)


def app_container(pod: Object, qos_port: int | None = None) -> str:
    """
    Return the name of the container in which pod-lifecycle runs, or empty if none is seen to.

    Args:
        pod: The pod.
        qos_port: The probe port, if it is known.
    """
    known = str(qos_port or "")
    found = (str(each["name"]) for each in containers(pod) if _has_lifecycle(each, known))
    return next(found, "")


def container_for_commands(pod: Object, qos_port: int | None = None) -> str:
    """Return the container in which to run a command: that of the app, else the one of kubectl."""
    names = [str(each["name"]) for each in containers(pod)]
    annotations = pod["metadata"].get("annotations") or {}
    marked = str(annotations.get(DEFAULT) or "")
    found = app_container(pod, qos_port) or (marked if marked in names else "")
    return found or next(iter(names), "")


def containers(pod: Object) -> Sequence[Object]:
    """Return the containers, without those that only initialize."""
    found: Sequence[Object] = (pod.get("spec") or {}).get("containers") or ()
    return found


def command_of(pod: Object, container: str) -> list[str]:
    """
    Return how `lifecycle` is called in a container.

    The preStop hook and the container's own command have its path, or that of its Python.
    """
    for each in containers(pod):
        if each["name"] == container:
            words = _hook_words(each)
            if words[1:] and words[-1] == "prestop" and "-c" not in words:
                return words[:-1]
            return _of_run(_words(each)) or [*COMMAND]
    return [*COMMAND]


def _of_run(words: Sequence[str]) -> list[str]:
    """Return how `lifecycle` is called in `lifecycle run …`, also after `tini --`. Empty without."""
    for at, word in enumerate(words):
        if word.rpartition("/")[2] != "lifecycle" or words[at + 1 : at + 2] != ["run"]:
            continue
        before = words[at - 1] if at else "--"
        if before == "-m":
            return [*words[max(0, at - 2) : at + 1]]
        return [word] if before == "--" else []
    return []


def _words(container: Object) -> list[str]:
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    return [str(each) for each in words]


def _hook(container: Object) -> Object:
    found: Object = (container.get("lifecycle") or {}).get("preStop") or {}
    return found


def _hook_words(container: Object) -> list[str]:
    return [str(each) for each in (_hook(container).get("exec") or {}).get("command") or ()]


def _has_lifecycle(container: Object, known: str) -> bool:
    ports = {QOS_NAME, known or _own_port(container)}
    declared = container.get("ports") or ()
    names = {str(each.get("name")) for each in declared}
    numbers = {str(each.get("containerPort")) for each in declared}
    if QOS_NAME in names or (known and known in numbers):
        return True
    hook = _hook(container).get("httpGet") or {}
    hooked = "prestop" in " ".join(_hook_words(container)).split() or hook.get("path") == "/prestop"
    probed = any(
        check.get("path") in PATHS and str(check.get("port")) in ports
        for check in ((container.get(each) or {}).get("httpGet") or {} for each in PROBES)
    )
    return bool(hooked or probed or _of_run(_words(container)))


def _own_port(container: Object) -> str:
    variables = container.get("env") or ()
    values = (str(each.get("value") or "") for each in variables if each.get("name") == VARIABLE)
    return next(values, "") or QOS_PORT
