"""
The profile `control-plane`: what runs `lifecycle fleet serve` in a cluster.

Rules of this file:

1. The server gets the rights that it uses, and no other: to read, and with `--auth token` to ask for
   reviews.
2. Without the options of a namespace, all namespaces are shown. A ClusterRoleBinding must then name
   the namespace of the ServiceAccount.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lifecycle.manifests.validation import Refused, check_label

NAME: Final = "control-plane"
"""The name of the profile."""
PORT: Final = 8080
API_SERVER: Final = (443, 6443, 8443, 16443)
"""The ports at which the API servers of usual clusters listen, behind their Service or directly."""
READ: Final[list[dict[str, Any]]] = [
    {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    },
]
"""The rights of the server."""
REVIEW: Final[list[dict[str, Any]]] = [
    {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["tokenreviews"],
        "verbs": ["create"],
    },
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["subjectaccessreviews"],
        "verbs": ["create"],
    },
]
"""More rights of a server that asks its readers for a token. A review is not stored anywhere."""
OPTIONS: Final = ("auth", "namespace", "namespaced", "allow_from")
"""The options that only this profile has."""
_RBAC: Final = "rbac.authorization.k8s.io"

Object = dict[str, Any]


@dataclass(frozen=True)
class ControlPlane:
    """
    The values of this profile.

    Attributes:
        namespace: The namespace of all objects. Empty leaves it to kubectl.
        namespaced: Only the pods of this namespace are shown.
        token: Readers need a token.
        allow_from: More namespaces whose pods may open the page.

    Raises:
        Refused: Kubernetes would refuse a value.
    """

    namespace: str = ""
    namespaced: bool = False
    token: bool = False
    allow_from: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option, name in (("--namespace", self.namespace), *_named(self.allow_from)):
            if name:
                check_label(option, name)
        if not self.namespace and (self.token or not self.namespaced):
            raise Refused(
                f"--namespace is missing. --profile={NAME} needs it, because rights for the whole "
                "cluster name the namespace of the ServiceAccount. To show only the namespace in "
                "which the page runs, add --namespaced"
            )

    @property
    def command(self) -> list[str]:
        """The command of the container."""
        scope = [] if self.namespaced else ["--all-namespaces"]
        auth = ["--auth", "token"] if self.token else []
        return ["lifecycle", "fleet", "serve", "--bind", f"0.0.0.0:{PORT}", *scope, *auth]


def _named(names: Iterable[str]) -> list[tuple[str, str]]:
    return [("--allow-from", name) for name in names]


def of_options(options: argparse.Namespace) -> ControlPlane | None:
    """
    Return the values of this profile. None for another profile.

    Args:
        options: The parsed options.

    Raises:
        Refused: The options contradict each other.
    """
    if options.profile != NAME:
        for name in OPTIONS:
            if getattr(options, name):
                raise Refused(
                    f"--{name.replace('_', '-')} is only for --profile={NAME}. Remove the option"
                )
        return None
    for name in ("command", "service", "metrics", "to"):
        if getattr(options, name):
            what = "the command, after --," if name == "command" else f"--{name}"
            raise Refused(
                f"--profile={NAME} has its own command and its own service. Remove {what}"
            )
    if options.output == "kustomize":
        raise Refused(f"--profile={NAME} writes whole objects. Remove -o kustomize")
    return ControlPlane(
        options.namespace or "",
        options.namespaced,
        options.auth == "token",
        tuple(dict.fromkeys(options.allow_from)),
    )


def completed(options: argparse.Namespace, plane: ControlPlane) -> argparse.Namespace:
    """Return the options as those of an app: with its command and its service."""
    made = copy.copy(options)
    made.command = plane.command
    made.service = [f"{options.name}:{PORT}"]
    made.readiness_gate = bool(options.readiness_gate)  # its rights are more than to read
    if made.readiness_gate:
        made.env = [*options.env, "LIFECYCLE_KUBERNETES_ENABLED=true"]
    return made


def objects(plane: ControlPlane, name: str, labels: Object, made: list[Object]) -> list[Object]:
    """
    Return the objects of an app, and those that only this profile has.

    Args:
        plane: The values.
        name: The name of the objects.
        labels: The labels that select the pods.
        made: The objects of the app, the ServiceAccount first.
    """
    account, *others = made
    account["automountServiceAccountToken"] = True
    for each in others:
        if each["kind"] == "Deployment":
            each["spec"]["template"]["spec"]["automountServiceAccountToken"] = True
    found = [account, *rights(plane, name, labels), network_policy(plane, name, labels), *others]
    for each in found:
        if plane.namespace and not each["kind"].startswith("Cluster"):
            own = each["metadata"]
            each["metadata"] = {"name": own["name"], "namespace": plane.namespace} | own
    return found


def rights(plane: ControlPlane, name: str, labels: Mapping[str, str]) -> list[Object]:
    """Return the roles and their bindings."""
    if not plane.namespaced:
        everywhere = READ + (REVIEW if plane.token else [])
        return _role("Cluster", name, everywhere, plane.namespace, labels)
    found = _role("", f"{name}-read", READ, plane.namespace, labels, account=name)
    if plane.token:  # reviews belong to no namespace
        found += _role("Cluster", f"{name}-review", REVIEW, plane.namespace, labels, account=name)
    return found


def _role(
    scope: str,
    name: str,
    rules: list[Object],
    namespace: str,
    labels: Mapping[str, str],
    *,
    account: str = "",
) -> list[Object]:
    kind = f"{scope}Role"
    # A name for the whole cluster has the namespace in it, so that two pages do not share one.
    full = f"{name}-{namespace}" if scope else name
    metadata = {"name": full, "labels": dict(labels)}
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": dict(metadata),
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": full},
            "subjects": [_account(account or name, namespace)],
        },
    ]


def _account(name: str, namespace: str) -> Object:
    return {"kind": "ServiceAccount", "name": name} | (
        {"namespace": namespace} if namespace else {}
    )


def network_policy(plane: ControlPlane, name: str, labels: Mapping[str, str]) -> Object:
    """
    Return the NetworkPolicy: who may open the page, and that the server asks the API server only.

    The kubelet is always let in, and so is `kubectl port-forward`.
    """
    sources: list[Object] = [{"podSelector": {}}]
    for namespace in plane.allow_from:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        sources.append({"namespaceSelector": selector})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "podSelector": {"matchLabels": dict(labels)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": sources, "ports": [{"protocol": "TCP", "port": PORT}]}],
            "egress": [{"ports": [{"protocol": "TCP", "port": each} for each in API_SERVER]}],
        },
    }
