"""Label selectors, as Kubernetes matches them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle_fleet.why.reading import Object, labels, objects, text, texts


def selects(selector: Object, pod: Mapping[str, str]) -> bool:
    """
    Return whether a selector with `matchLabels` and `matchExpressions` matches the labels of a pod.

    An empty selector matches each pod.
    """
    wanted = labels(selector, "matchLabels")
    if any(pod.get(name) != value for name, value in wanted.items()):
        return False
    return all(_holds(each, pod) for each in objects(selector, "matchExpressions"))


def _holds(expression: Object, pod: Mapping[str, str]) -> bool:
    value = pod.get(text(expression, "key"))
    values = texts(expression, "values")
    match text(expression, "operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def differences(wanted: Mapping[str, str], pod: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """
    Return the labels in which a pod differs from the selector of a Service.

    Returns:
        For each label, the wanted value and that of the pod, which is empty without the label.
    """
    return {
        name: (value, pod.get(name, "")) for name, value in wanted.items() if pod.get(name) != value
    }
