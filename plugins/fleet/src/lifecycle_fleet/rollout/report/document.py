"""The result as JSON or YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.outcome import faults, outcome
from lifecycle_fleet.rollout.result import Rollout


def render(rollout: Rollout, form: str) -> str:
    """Return the result in a form: `json` or `yaml`."""
    found = document(rollout)
    if form == "json":
        return json.dumps(found, indent=2)
    import yaml

    return str(yaml.safe_dump(found, sort_keys=False)).rstrip("\n")


def document(rollout: Rollout) -> Mapping[str, Any]:
    """Return the result. Moments are seconds since the epoch, and durations are seconds."""
    return {
        "namespace": rollout.namespace,
        "deployment": rollout.name,
        "revision": rollout.revision or None,
        "verdict": str(rollout.verdict),
        "reasons": [*rollout.reasons],
        "clean": rollout.clean,
        "passed": rollout.passed,
        "gate": rollout.gate or None,
        "began": round(rollout.began, 3),
        "seconds": round(rollout.seconds, 3),
        "progress": rollout.progress._asdict(),
        "pods": [_pod(each, rollout) for each in rollout.lanes],
        "notes": [{"at": round(each.at, 3), "text": each.text} for each in rollout.notes],
    }


def _pod(lane: Lane, rollout: Rollout) -> Mapping[str, Any]:
    return {
        "name": lane.name,
        "uid": lane.uid,
        "new": rollout.is_new(lane),
        "revision": rollout.revisions.get(lane.hash) or None,
        "phase": str(lane.phase),
        "phases": [
            {"phase": str(each.phase), "begin": round(each.begin, 3), "end": _rounded(each.end)}
            for each in lane.spans
        ],
        "ready_after": _rounded(lane.ready_after),
        "not_ready_between": round(lane.gap, 3),
        "drained_in": _rounded(lane.drained_in),
        "out_of_slices_after": _rounded(lane.hidden_after),
        "grace": lane.grace,
        "restarts": lane.restarts,
        "exits": [
            {"container": each.container, "code": each.code, "reason": each.reason or None}
            for each in lane.last
        ],
        "outcome": str(outcome(lane)) or None,
        "faults": [{"kind": str(each.kind), "text": each.text} for each in faults(lane)],
        "problem": lane.problem or None,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
