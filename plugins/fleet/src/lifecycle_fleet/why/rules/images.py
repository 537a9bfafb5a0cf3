"""Rules on containers that cannot be created: image, configuration, command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.why.events import Event
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import text

RULES: Final[Table[Facts]] = Table()

PULLS: Final = (
    "ErrImagePull",
    "ImagePullBackOff",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
NAME_OF_OBJECT: Final = re.compile(r'\b(configmap|secret)s? "([^"]+)" not found', re.IGNORECASE)
SECRETS: Final = re.compile(r"image pull secrets \(([^)]+)\)")
KEY: Final = re.compile(r"couldn't find key (\S+) in (ConfigMap|Secret) (\S+)", re.IGNORECASE)

NO_IMAGE: Final = Saying(
    "The image {image} of container {container} does not exist in its registry.",
    "kubectl -n {ns} set image {owner} {container}=IMAGE",
)
DENIED: Final = Saying(
    "The registry refuses the image {image} of container {container}. Either the image does not "
    "exist, or the pod has no password for this registry.",
    "Check the name of the image, and spec.imagePullSecrets of the pod",
)
NO_SECRET: Final = Saying(
    "The registry refuses the image {image} of container {container}, and the pull secret {secret} of "
    "the pod cannot be read.",
    "Create the Secret {secret} in the namespace {ns}, or correct spec.imagePullSecrets of the pod",
)
UNTRUSTED: Final = Saying(
    "The node does not trust the certificate of the registry of the image {image} of container "
    "{container}.",
    "Configure the CA of the registry in the container runtime of the node {node}",
)
PLAIN: Final = Saying(
    "The registry of the image {image} of container {container} uses plain HTTP, but the node expects "
    "HTTPS.",
    "Configure the registry as insecure in the container runtime of the node {node}",
)
FULL: Final = Saying(
    "The image {image} of container {container} does not fit on the disk of the node {node}.",
    "Remove images from the node, or use a larger disk",
)
NO_REGISTRY: Final = Saying(
    "The node cannot reach the registry of the image {image} of container {container}.",
    "Check the host name in the image, and the network of the node {node}",
)
NO_PLATFORM: Final = Saying(
    "The image {image} of container {container} is not built for the architecture of the node.",
    "Build the image for this architecture, for example with docker buildx build --platform",
)
RATE: Final = Saying(
    "The registry limits how often the image {image} of container {container} may be pulled.",
    "Wait, or set spec.imagePullSecrets with an account of the registry",
)
NOT_PULLED: Final = Saying(
    "The image {image} of container {container} cannot be pulled.",
    "kubectl -n {ns} describe pod {pod}",
)
NEVER: Final = Saying(
    "The image {image} of container {container} is not on the node, and imagePullPolicy is Never.",
    "Load the image into the node {node}, or set imagePullPolicy: IfNotPresent",
)
BAD_NAME: Final = Saying(
    "The image name {image} of container {container} is not valid.",
    "kubectl -n {ns} set image {owner} {container}=IMAGE",
)


@RULES.add(
    "image",
    *(BAD_NAME, NEVER, NO_IMAGE, DENIED, NO_SECRET, NO_REGISTRY, NO_PLATFORM, RATE),
    *(UNTRUSTED, PLAIN, FULL, NOT_PULLED),
)
def image(facts: Facts) -> Iterator[Found]:
    """
    The image of a container cannot be pulled.

    The kubelet tries again, with pauses of up to 5 minutes. The event `Failed` has the answer of the
    registry. Many registries answer "denied" for an image that does not exist.
    """
    for each in _all(facts):
        known = {"InvalidImageName": BAD_NAME, "ErrImageNeverPull": NEVER}
        if (saying := known.get(each.waiting)) is None and each.waiting not in PULLS:
            continue
        event = next(
            (
                event
                for event in reversed(facts.events_of("Failed", "InspectFailed"))
                if event.container in ("", each.name) and not event.message.startswith("Error: ")
            ),
            None,
        )
        said = f"{event.message if event else ''} {each.waiting_message}"
        saying = saying or _of_pull(_without_image(said, text(each.spec, "image")))
        secrets = facts.events_of("FailedToRetrieveImagePullSecret")[-1:]
        named = [found[1] for one in secrets if (found := SECRETS.search(one.message))]
        yield (NO_SECRET if saying is DENIED and named else saying).found(
            f"status: container {each.name} waits: {each.waiting}",
            event.quoted(facts.now) if event else each.waiting_message,
            f"{each.path}.image: {text(each.spec, 'image')}",
            *(one.quoted(facts.now) for one in secrets),
            **_fields(facts, each),
            secret=", ".join(named),
        )


def _without_image(said: str, image: str) -> str:
    """Return a message without the name of the image, which may contain any word."""
    for name in (image, image.partition("@")[0], image.rpartition(":")[0]):
        said = said.replace(name, "") if name else said
    return said


def _of_pull(said: str) -> Saying:
    for pattern, saying in (
        (r"x509|failed to verify certificate", UNTRUSTED),
        (r"HTTP response to HTTPS client", PLAIN),
        (r"no space left", FULL),
        (r"toomanyrequests|\b429\b|rate limit", RATE),
        (r"no match for platform|exec format", NO_PLATFORM),
        (r"denied|unauthorized|authoriz|authentication required|\b40[13]\b", DENIED),
        (
            r"no such host|i/o timeout|refused|deadline exceeded|no route|unreachable|misbehaving",
            NO_REGISTRY,
        ),
        (r"not found|manifest unknown|\b404\b", NO_IMAGE),
    ):
        if re.search(pattern, said, re.IGNORECASE):
            return saying
    return NOT_PULLED


MISSING: Final = Saying(
    "Container {container} needs the {kind} {name}, which does not exist.",
    "Create the {kind} {name} in the namespace {ns}, or correct the name in the manifest",
)
NO_KEY: Final = Saying(
    "Container {container} needs the key {key} of the {kind} {name}, which does not have this key.",
    "kubectl -n {ns} edit {kind} {name}",
)
ROOT: Final = Saying(
    "Container {container} has runAsNonRoot, but its image runs as root, or names its user in place "
    "of a number.",
    "In the manifest, set securityContext.runAsUser: 10001",
)
CONFIG: Final = Saying(
    "The kubelet cannot configure container {container}.",
    "kubectl -n {ns} describe pod {pod}",
)


@RULES.add("container-config", MISSING, NO_KEY, ROOT, CONFIG)
def config(facts: Facts) -> Iterator[Found]:
    """
    A container needs something that does not exist.

    The state `CreateContainerConfigError` means that a ConfigMap, a Secret or one of their keys is
    missing, or that the security context contradicts the image.
    """
    for each in _all(facts):
        if each.waiting != "CreateContainerConfigError":
            continue
        said = each.waiting_message
        fields = _fields(facts, each)
        evidence = f"status: container {each.name} waits: {each.waiting}: {said}"
        if found := NAME_OF_OBJECT.search(said):
            yield MISSING.found(evidence, **fields, kind=found[1].lower(), name=found[2])
        elif found := KEY.search(said):
            name = found[3].rpartition("/")[2]
            yield NO_KEY.found(evidence, **fields, key=found[1], kind=found[2].lower(), name=name)
        else:
            yield (ROOT if "runAsNonRoot" in said else CONFIG).found(evidence, **fields)


NO_COMMAND: Final = Saying(
    "The image of container {container} does not have the program {program}.",
    "Correct the command in the manifest, or install the program in the image",
)
NOT_CREATED: Final = Saying(
    "The node cannot start container {container}.",
    "kubectl -n {ns} describe pod {pod}",
)
PROGRAM: Final = re.compile(
    r'exec: \\?"([^"\\]+)\\?"|exec (\S+): |stat (\S+): no such file|fork/exec (\S+): '
)


@RULES.add("container-start", NO_COMMAND, NOT_CREATED)
def start(facts: Facts) -> Iterator[Found]:
    """
    The command of a container cannot be started.

    The container runtime has found no such program in the image, or the program is not executable.
    The program `lifecycle` is in the image only if pod-lifecycle is installed there.
    """
    for each in _all(facts):
        last = text(each.ended, "reason")
        told = text(each.ended, "message")
        if each.waiting in ("CreateContainerError", "RunContainerError"):
            reason, said = each.waiting, each.waiting_message or told
        elif last in ("StartError", "ContainerCannotRun") and not each.running:
            reason, said = last, told
        else:
            continue
        found = PROGRAM.search(said) if "no such file" in said or "not found" in said else None
        program = next((word for word in found.groups() if word), "") if found else ""
        yield (NO_COMMAND if program else NOT_CREATED).found(
            f"status: container {each.name}: {reason}: {said}",
            f"{each.path}.command: {' '.join(each.words)}" if each.words else "",
            **_fields(facts, each),
            program=program,
        )


NO_NETWORK: Final = Saying(
    "The node {node} cannot set up the network of the pod, so no container starts.",
    "Check the pods of the network plugin (CNI) on the node {node}",
)
NO_SANDBOX: Final = Saying(
    "The node {node} cannot create the sandbox of the pod, so no container starts.",
    "kubectl -n {ns} describe pod {pod}",
)
UNDER_WAY: Final = ("Pulling", "Pulled", "Created", "Started")
"""The reasons of events after the volumes are mounted and the sandbox is created."""


@RULES.add("sandbox", NO_NETWORK, NO_SANDBOX)
def sandbox(facts: Facts) -> Iterator[Found]:
    """
    The node cannot create the sandbox of the pod.

    The sandbox has the network of the pod, and is created before all containers. The kubelet tries
    again and again. The event `FailedCreatePodSandBox` has the answer of the container runtime or of
    the network plugin (CNI).
    """
    event = next(iter(facts.events_of("FailedCreatePodSandBox")[-1:]), None)
    if event is None or not is_created(facts) or is_past(facts, event):
        return
    network = re.search(r"network|\bcni\b", event.message, re.IGNORECASE)
    yield (NO_NETWORK if network else NO_SANDBOX).found(
        event.quoted(facts.now),
        node=text(facts.spec, "nodeName"),
        ns=facts.namespace,
        pod=facts.name,
    )


def is_created(facts: Facts) -> bool:
    """Return whether containers of the pod wait for the kubelet to create them."""
    found = (*facts.init_containers, *facts.containers)
    waits = any(each.waiting in ("ContainerCreating", "PodInitializing") for each in found)
    return waits and not facts.leaving and not facts.over


def is_past(facts: Facts, event: Event) -> bool:
    """Return whether the kubelet has gone on since an event about the volumes or the sandbox."""
    return any(each.last > event.last for each in facts.events_of(*UNDER_WAY))


def _all(facts: Facts) -> tuple[Container, ...]:
    return () if facts.leaving or facts.over else (*facts.init_containers, *facts.containers)


def _fields(facts: Facts, container: Container) -> dict[str, object]:
    return {
        "container": container.name,
        "image": text(container.spec, "image"),
        "node": text(facts.spec, "nodeName") or "of the pod",
        "ns": facts.namespace,
        "pod": facts.name,
        "owner": _editable(facts),
    }


def _editable(facts: Facts) -> str:
    """Return the object whose image can be changed. The template of a Job, for example, cannot."""
    kind, _, _ = facts.workload.partition("/")
    return facts.workload if kind in ("deploy", "sts", "ds") else f"pod/{facts.name}"
