"""The probe `memory`, which fails if the working set is above a share of the memory limit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import lifecycle
from lifecycle_probes.options import check_range

if TYPE_CHECKING:
    from lifecycle_probes.cgroup import Cgroups, Level, Pressure


@dataclass(frozen=True)
class MemoryOptions:
    """
    The options `LIFECYCLE_MEMORY_*`. The probe is off until one of them is set.

    Raises:
        ValueError: A threshold is not a percentage.
    """

    max_percent: float | None = field(
        default=None, metadata={"describe": "Allowed working set, in percent of the limit."}
    )
    max_pressure: float | None = field(
        default=None,
        metadata={"describe": "Allowed time in which all tasks wait for memory, in percent."},
    )

    @property
    def enabled(self) -> bool:
        """True if the probe is on, because it has a threshold."""
        return self.max_percent is not None or self.max_pressure is not None

    def __post_init__(self) -> None:
        if self.max_percent is not None:
            check_range("max_percent", self.max_percent, 1, 100, "percent")
        if self.max_pressure is not None:
            check_range("max_pressure", self.max_pressure, 0, 100, "percent")


class MemoryProbe:
    """
    The plugin.

    Args:
        root: The folder to use as `/`, with `/proc` and the cgroup mounts in it.
        environ: The environment, which shows whether this is a pod.
    """

    def __init__(self, root: str = "/", environ: Mapping[str, str] = os.environ) -> None:
        self._root = root
        self._in_pod = "KUBERNETES_SERVICE_HOST" in environ

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[MemoryOptions]:
        """Return the options class."""
        return MemoryOptions

    @lifecycle.hookimpl
    def lifecycle_readiness(self, me: lifecycle.Me) -> list[lifecycle.ProbeResult]:
        """Compare the working set and the memory pressure with their limits."""
        return [self.look(me.options(MemoryOptions))]

    def look(self, options: MemoryOptions) -> lifecycle.ProbeResult:
        """Read the values of the kernel, and compare them with the thresholds."""
        from lifecycle_probes.cgroup import Cgroups  # imported only if the probe is on

        cgroups = Cgroups(self._root)
        use_ok, use = self._use(cgroups, options.max_percent)
        pressure_ok, pressure = _judge_pressure(cgroups.pressure(), options.max_pressure)
        reason = "; ".join(filter(None, (use, pressure, self._eviction(cgroups))))
        return lifecycle.ProbeResult(use_ok and pressure_ok, reason)

    def _use(self, cgroups: Cgroups, allowed: float | None) -> tuple[bool, str]:
        levels, node = cgroups.levels(), cgroups.node_memory()
        if not levels or node is None:
            return True, "not measured, because no memory cgroup is visible"
        return judge_use(levels, node, allowed)

    def _eviction(self, cgroups: Cgroups) -> str:
        from lifecycle_probes.eviction import MEANING, class_from_paths, class_from_score

        seen = class_from_paths(cgroups.all_paths())
        if seen is None and self._in_pod:
            seen = class_from_score(cgroups.oom_score_adj())
        if seen is not None:
            return f"QoS class {seen}: {MEANING[seen]}"
        where = "neither cgroup nor oom_score_adj show it" if self._in_pod else "not a pod"
        return f"QoS class unknown ({where})"


def judge_use(levels: list[Level], node: int, allowed: float | None) -> tuple[bool, str]:
    """Check the cgroup nearest to its limit. Without a limit, use the memory of the node."""
    from lifecycle_probes.quantities import show_bytes

    # In v1, "no limit" is a number larger than any memory.
    limited = [(e, e.limit) for e in levels if e.limit is not None and 0 < e.limit < node]
    if limited:
        level, limit = max(limited, key=lambda each: each[0].working_set / each[1])
        of = f"the limit {show_bytes(limit)}"
        if level is not levels[0]:
            of += f" of the cgroup {level.name} above"
        advice = (
            "At 100 % the kernel kills the container. Raise its memory limit, or find what grows"
        )
    else:
        level, limit = levels[0], node
        of = f"the node's {show_bytes(node)}, because no memory limit is set"
        advice = "Set a memory limit, or find what grows"
    percent = 100 * level.working_set / limit
    said = f"working set {show_bytes(level.working_set)} is {percent:.1f} % of {of}"
    if allowed is None or percent <= allowed:
        return True, said
    return False, f"{said}, {allowed:g} % allowed. {advice}"


def _judge_pressure(found: Pressure | None, allowed: float | None) -> tuple[bool, str]:
    if found is None:
        unknown = "max_pressure is not checked, because the kernel has no memory pressure"
        return True, unknown if allowed is not None else ""
    whose = "the node" if found.of_node else "this container"
    said = f"in {whose} all tasks waited for memory {found.full:g} % of the last 10 s"
    if allowed is None:
        return True, said
    if found.of_node:
        return True, f"{said} (max_pressure is not checked, because only the node's is known)"
    if found.full <= allowed:
        return True, said
    return False, f"{said}, {allowed:g} % allowed. It reclaims memory instead of working"
