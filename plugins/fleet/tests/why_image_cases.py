"""Images that cannot be pulled, as registries and kubelets say it."""

from __future__ import annotations

from typing import Any

from plugins.fleet.tests.why_cases import ALONE, Case, broken, changed, web
from plugins.fleet.tests.why_objects import Object, event, waiting


def pulling(message: str, *events: Object, image: str = "shop.example/web:1") -> Any:
    status = waiting("ImagePullBackOff", message, name="web")
    return broken(web(status, phase="Pending", image=image), *events, **ALONE)


PULLS = {
    "an image whose name contains a word of an error": Case(
        pulling(
            'Back-off pulling image "x/unauthorized:429": x/unauthorized:429: not found',
            image="x/unauthorized:429",
        ),
        ("image",),
        "The image x/unauthorized:429 of container web does not exist in its registry.",
        "kubectl -n shop set image deploy/web web=IMAGE",
    ),
    "an image of a Job": Case(
        broken(
            changed(
                web(waiting("InvalidImageName", name="web"), phase="Pending"),
                lambda each: each["metadata"].update(
                    ownerReferences=[{"kind": "Job", "name": "once", "controller": True}]
                ),
            ),
            **ALONE,
        ),
        ("image",),
        "The image name nginx:1.27 of container web is not valid.",
        "set image pod/orders-5d9c7b6f4-x2x8k web=IMAGE",
    ),
    "a pull secret that does not exist": Case(
        pulling(
            "pull access denied, repository does not exist or may require authorization",
            event(
                "FailedToRetrieveImagePullSecret",
                "Unable to retrieve some image pull secrets (regcred); attempting to pull the image "
                "may not succeed.",
                container="",
            ),
        ),
        ("image",),
        "The registry refuses the image shop.example/web:1 of container web, and the pull secret "
        "regcred of the pod cannot be read.",
        "Create the Secret regcred",
    ),
    "a registry with its own CA": Case(
        pulling("tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        ("image",),
        "The node does not trust the certificate of the registry",
    ),
    "a registry without TLS": Case(
        pulling("http: server gave HTTP response to HTTPS client"),
        ("image",),
        "The registry of the image shop.example/web:1 of container web uses plain HTTP",
    ),
    "a node without room for an image": Case(
        pulling("failed to extract layer: write /x: no space left on device"),
        ("image",),
        "The image shop.example/web:1 of container web does not fit on the disk",
    ),
}


DENIED = "The registry refuses the image"


UNREACHABLE = "The node cannot reach the registry"


ABSENT = "The image shop.example/web:1 of container web does not exist"


RATED = "The registry limits how often"


REGISTRIES = {
    "toomanyrequests: slow down": RATED,
    "unexpected status: 429 Too Many Requests": RATED,
    "You have reached your pull rate limit": RATED,
    "exec format error": "The image shop.example/web:1 of container web is not built",
    "requested access to the resource is denied": DENIED,
    "unauthorized": DENIED,
    "insufficient_scope: authorization failed": DENIED,
    "authentication required": DENIED,
    "unexpected status: 401": DENIED,
    "unexpected status: 403": DENIED,
    "dial tcp: lookup shop.example: no such host": UNREACHABLE,
    "dial tcp 10.0.0.1:443: i/o timeout": UNREACHABLE,
    "dial tcp 10.0.0.1:443: connect: connection refused": UNREACHABLE,
    "context deadline exceeded": UNREACHABLE,
    "connect: no route to host": UNREACHABLE,
    "connect: network is unreachable": UNREACHABLE,
    "lookup shop.example on 10.0.0.2:53: server misbehaving": UNREACHABLE,
    "shop.example/web:1: not found": ABSENT,
    "manifest unknown": ABSENT,
    "unexpected status: 404": ABSENT,
}
"""Messages of registries, each with the beginning of the sentence."""
