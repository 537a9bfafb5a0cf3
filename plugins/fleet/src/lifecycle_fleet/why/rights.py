"""Reads everything that the person may read, and notes each missing right once."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, NamedTuple, TypeVar

from lifecycle_fleet.cluster.failures import FORBIDDEN, NOT_FOUND
from lifecycle_fleet.errors import ApiServerError
from lifecycle_fleet.why.facts import Missing

T = TypeVar("T")

FATAL: Final = ("unreachable", "untrusted", "unauthorized", "no access")
"""Failures after which no other request would be answered."""

ABSENT: Final = (NOT_FOUND, "refused (400)")
"""Failures of an object that does not exist. 400 is the answer for a log that is not kept."""


class NotThere(Exception):
    """The object that was asked for does not exist."""


class Right(NamedTuple):
    """
    A right that is needed to read something.

    Attributes:
        what: The name for people of the thing that is read.
        group: The API group of the resource. Empty for the core.
        resource: The resource, for example `pods/exec`.
        verbs: The verbs.
        cluster: Whether it needs a ClusterRole, because the resource has no namespace.
    """

    what: str
    group: str
    resource: str
    verbs: tuple[str, ...]
    cluster: bool = False

    @property
    def rule(self) -> str:
        """The right as a rule of a Role."""
        group = self.group or '""'
        verbs = ", ".join(self.verbs)
        return f"apiGroups: [{group}], resources: [{self.resource}], verbs: [{verbs}]"


PODS: Final = Right("pods", "", "pods", ("get", "list"))
DEPLOYMENTS: Final = Right("deployments", "apps", "deployments", ("get",))
REPLICA_SETS: Final = Right("replicasets", "apps", "replicasets", ("list",))
EVENTS: Final = Right("events", "", "events", ("list",))
SERVICES: Final = Right("services", "", "services", ("list",))
SLICES: Final = Right("endpointslices", "discovery.k8s.io", "endpointslices", ("list",))
BUDGETS: Final = Right("poddisruptionbudgets", "policy", "poddisruptionbudgets", ("list",))
NODES: Final = Right("nodes", "", "nodes", ("get",), cluster=True)
EXEC: Final = Right("the answers of the app", "", "pods/exec", ("get", "create"))
LOGS: Final = Right("logs", "", "pods/log", ("get",))
REVIEWS: Final = Right(
    "the permissions of the ServiceAccount",
    "authorization.k8s.io",
    "localsubjectaccessreviews",
    ("create",),
)
ALL: Final = (
    *(
        PODS,
        DEPLOYMENTS,
        REPLICA_SETS,
        EVENTS,
        SERVICES,
        SLICES,
        BUDGETS,
        NODES,
        EXEC,
        LOGS,
        REVIEWS,
    ),
)
"""All rights that `why` uses, if it has them."""


class Reader:
    """
    Reads several things, and notes what could not be read.

    Attributes:
        missing: The things that could not be read.
    """

    def __init__(self) -> None:
        self.missing: list[Missing] = []

    async def read(self, right: Right, asked: Awaitable[T], otherwise: T) -> T:
        """
        Return an answer, or another value if it cannot be read.

        Raises:
            ApiServerError: The API server cannot be reached, or does not know the person.
            NotThere: The object does not exist.
        """
        try:
            return await asked
        except ApiServerError as error:
            if error.state in FATAL:
                raise
            if error.state in ABSENT:
                raise NotThere from None
            self.note(right, error.state)
            return otherwise

    def note(self, right: Right, state: str) -> None:
        """Note that something could not be read."""
        rule = right.rule if state == FORBIDDEN else ""
        found = Missing(right.what, state, rule, right.cluster)
        if found not in self.missing:
            self.missing.append(found)
