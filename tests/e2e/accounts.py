"""Service accounts of a namespace, with tokens that can be taken back."""

from __future__ import annotations

import base64
from pathlib import Path

from lightkube.models.authentication_v1 import TokenReviewSpec
from lightkube.resources.authentication_v1 import TokenReview
from lightkube.resources.core_v1 import ConfigMap, Secret

from tests.e2e.kit import Space


def token(space: Space, name: str, account: str) -> str:
    """Make a token of an account that lasts as long as the Secret of its name."""
    annotation = {"kubernetes.io/service-account.name": account}
    space.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "annotations": annotation},
            "type": "kubernetes.io/service-account-token",
        }
    )
    made = space.wait(lambda: (space.client.get(Secret, name).data or {}).get("token"), "a token")
    return base64.b64decode(made).decode()


def take_back(space: Space, name: str, token: str) -> None:
    """Return when the API server refuses a token."""
    space.client.delete(Secret, name)

    def refused() -> bool:
        asked = space.client.create(TokenReview(spec=TokenReviewSpec(token=token)))
        return not (asked.status and asked.status.authenticated)

    space.wait(refused, f"the token of {name} is refused")


def folder(space: Space, path: Path, token: str) -> str:
    """Make the folder that a pod finds its account in."""
    path.mkdir()
    trust = space.client.get(ConfigMap, "kube-root-ca.crt").data or {}
    for name, content in {
        "token": token,
        "ca.crt": trust["ca.crt"],
        "namespace": space.name,
    }.items():
        (path / name).write_text(content)
    return str(path)
