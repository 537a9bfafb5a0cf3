"""Output of the objects: YAML, JSON, or a kustomize component."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from lifecycle.checks.reading.yaml_nodes import EXTRA
from lifecycle.manifests.objects import around, deployment, monitor, objects
from lifecycle.manifests.plan import Plan
from lifecycle.manifests.pod import TMP, Object
from lifecycle.manifests.validation import Refused

REPLACE: Final = ("$patch", "replace")
_WORD: Final = re.compile(r"[A-Za-z/].")
"""The start of a text that neither PyYAML nor Go reads as a number."""
_SPECIAL: Final = ("y", "yes", "on", "n", "no", "off", "true", "false", "null")
"""Words that PyYAML or Go may read as a boolean or null, in any case of letters."""


def as_json(plan: Plan) -> str:
    """Return all objects as one List in JSON."""
    made = {"apiVersion": "v1", "kind": "List", "items": objects(plan)}
    return json.dumps(made, indent=2) + "\n"


def as_yaml(made: Iterable[Object]) -> str:
    """
    Return objects as YAML documents. Keys keep their order.

    Raises:
        Refused: PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError:
        raise Refused(EXTRA) from None

    class Dumper(yaml.SafeDumper):
        """A dumper that quotes every text that is not a plain word."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        plain = _WORD.match(value) and value.lower() not in _SPECIAL
        style = None if plain else "'"
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    return "---\n".join(
        yaml.dump(json.loads(json.dumps(each)), Dumper=Dumper, sort_keys=False, width=100)
        for each in made
    )


def component(plan: Plan) -> dict[str, str]:
    """Return the texts of a kustomize component, by file name."""
    selector = {"kind": "Deployment", "name": plan.name, "fieldPath": "spec.selector.matchLabels"}
    selecting = ["PodDisruptionBudget", *(each["kind"] for each in monitor(plan))]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["resources.yaml"],
        "patches": [{"path": "patch.yaml"}],
        "replacements": [
            {
                "source": selector,
                "targets": [
                    {
                        "select": {"kind": kind, "name": plan.name},
                        "fieldPaths": ["spec.selector.matchLabels"],
                    }
                    for kind in selecting
                ],
            }
        ],
    }
    return {
        "kustomization.yaml": as_yaml([kustomization]),
        "patch.yaml": as_yaml([patch(plan)]),
        "resources.yaml": as_yaml(around(plan)),
    }


def _leave_tmp(*lists: list[Object]) -> None:
    for each in lists:
        each[:] = [volume for volume in each if volume["name"] != TMP]


def patch(plan: Plan) -> Object:
    """Return the patch for an existing Deployment. Replicas, labels and image stay as they are."""
    made = deployment(plan)
    spec, pod = made["spec"], made["spec"]["template"]["spec"]
    made["metadata"] = {"name": plan.name}
    del spec["replicas"], spec["selector"], spec["template"]["metadata"]["labels"]
    spec["strategy"][REPLACE[0]] = REPLACE[1]
    app = pod["containers"][0]
    # A merge would keep the old handler next to ours.
    for part in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle"):
        app[part][REPLACE[0]] = REPLACE[1]
    # A Service may use the names of the app's ports.
    app["ports"] = [each for each in app["ports"] if each["name"] == "qos"]
    for each in app["env"]:  # the Deployment may have the other form, and Kubernetes refuses both
        each |= {"value": each.get("value"), "valueFrom": each.get("valueFrom")}
    if not plan.guaranteed:
        del app["resources"]
    if plan.user is None:  # the image may need root, a capability, or its own files
        del pod["securityContext"], app["securityContext"]
        _leave_tmp(pod["volumes"], app["volumeMounts"])
    if plan.command:
        app["args"] = None  # old arguments would follow the new command
    return made
