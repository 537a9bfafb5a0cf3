"""Rules about a container's environment variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.rule import DOCS, Found, Severity, Table
from lifecycle.checks.rules.spelling import intended
from lifecycle.checks.workloads.variable_references import unreplaced, unreplaced_elsewhere
from lifecycle.checks.workloads.workload import Workload
from lifecycle.config import core_variables
from lifecycle.environment_variables import is_service_link

RULES: Final = Table()


@RULES.add(
    "unknown-variable",
    Severity.ERROR,
    sources=("config.md",),
    fix="Use the name in the message. To list all variables that are read, run `lifecycle config`.",
)
def unknown_variable(workload: Workload) -> Iterator[Found]:
    """The name of a LIFECYCLE variable is misspelt.

    pod-lifecycle does not read this variable, so the setting keeps its default. The app starts and only logs a warning.
    For example, with `LIFECYCLE_GRACE_PERIODS` set to 60, a drain still ends after 30 s.

    Scope:
        The rule finds names that are very close to a setting, even if the prefix is misspelt. The rule ignores variables of plugins, because it does not know their names.
    """
    known = core_variables()
    for container in workload.containers:
        if not container.is_lifecycle:
            continue
        for name, node in container.env.items():
            value = node.at("value")
            text = value.value if isinstance(value.value, str) else ""
            wanted = "" if is_service_link(name, text) else intended(name, known)
            if wanted:
                message = f"{container.name}: {name} is not a setting. Did you mean {wanted}?"
                yield Found(node, message)


@RULES.add(
    "variable-reference",
    Severity.ERROR,
    sources=(f"{DOCS}/tasks/inject-data-application/define-interdependent-environment-variables/",),
    fix=(
        "Define the variable in env, above the place that uses it. If you want the text itself, write "
        "`$$(NAME)`. In a hook, use a shell, for example `sh -c 'exec app $NAME'`."
    ),
)
def variable_reference(workload: Workload) -> Iterator[Found]:
    """A reference to a variable is not replaced.

    The kubelet replaces `$(NAME)` in env only if NAME is defined further up in the same list, in envFrom, or by a Service.
    Otherwise your app gets the text `$(NAME)`, for example `http://$(HOST):80`. Kubernetes reports no error.
    In command and args, the kubelet replaces every variable of the container. It replaces none in the hooks of a container, and none in the headers and paths of httpGet. In the exec of a probe, a variable from `valueFrom` is empty.

    Severity:
        If the manifest does not define the variable anywhere, the finding is a warning, because another tool may fill it in, for example kustomize with its vars.
    """
    for container in workload.containers:
        found = [] if workload.is_partial else [*unreplaced(container)]
        for each in (*found, *unreplaced_elsewhere(container)):
            severity = None if each.certain else Severity.WARNING
            yield Found(each.node, f"{container.name}: $({each.name}) {each.why}", severity)
