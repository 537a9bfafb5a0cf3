"""What runs in the containers of a pod, and a pod with what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Callable

from plugins.fleet.tests.api_exec import Call, NotStarted
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.why_cases import GONE
from plugins.fleet.tests.why_objects import PROC, Object, budget, node, service


def answering(found: Object | None, tables: str = PROC, **outputs: str) -> Callable[[Call], int]:
    """What runs in the containers: `lifecycle` with this status, and `cat` with these tables."""

    def run(call: Call) -> int:
        if call.words[0] == "cat":
            call.out(tables)
            return 0
        if found is None:
            raise NotStarted('exec: "lifecycle": executable file not found in $PATH')
        asked = call.words[1]
        call.out(outputs.get(asked) or (json.dumps(found) if asked == "status" else "true\n"))
        return 0

    return run


def shop(api: ApiServer, found: Object, *events: Object, slices: tuple[Object, ...] = GONE) -> None:
    """Put a pod, and what belongs to it, into the API server."""
    api.put("pods", found)
    api.put("services", service())
    for each in slices:
        api.put("endpointslices", each)
    api.put("poddisruptionbudgets", budget())
    api.put("nodes", node())
    for each in events:
        api.put("events", each)
