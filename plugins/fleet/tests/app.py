"""An app of pod-lifecycle in a pod of the fake API server, as its command shows it."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

from plugins.fleet.tests.api_exec import Call, NotStarted


class App:
    """
    Answers `lifecycle …` in the pods of a fake API server: `api.execute = App("orders", "admin")`.

    Args:
        services: The names of its app services.

    Attributes:
        held: For each pod, the app services that a person has taken offline.
        calls: The pod and the words of each command.
        fails: For a subcommand, the exit code and what it says on stderr.
        hangs: Subcommands that wait for the client to go away.
        program: What the command is called. Another one is not found.
    """

    def __init__(self, *services: str) -> None:
        self.services = services
        self.held: dict[str, set[str]] = {}
        self.calls: list[tuple[str, list[str]]] = []
        self.fails: dict[str, tuple[int, str]] = {}
        self.hangs: set[str] = set()
        self.program = "lifecycle"

    def __call__(self, call: Call) -> int:
        program, word, *rest = call.words
        self.calls.append((call.pod, [word, *rest]))
        if program != self.program:
            raise NotStarted(f'exec: "{program}": executable file not found in $PATH')
        held = self.held.setdefault(call.pod, set())
        if word in ("offline", "online"):
            names = {each for each in self.services if fnmatchcase(each, rest[0])}
            self.held[call.pod] = held | names if word == "offline" else held - names
        if word in self.hangs:
            call.gone.wait(30)
        if word in self.fails:
            code, text = self.fails[word]
            call.err(text)
            return code
        if word in ("offline", "online"):
            call.out(f"OK: {', '.join(sorted(names))}\n")
        elif "--json" in rest:
            call.out(json.dumps(self.status(held) if word == "status" else IN_FLIGHT))
        else:
            call.out(f"{word} of {call.pod}: \x1b[31mred\x1b[0m\n")
        return 0

    def status(self, held: set[str]) -> dict[str, object]:
        """Return a status."""
        services = [
            {"name": each, "held_by": {"operator": "a test"} if each in held else {}}
            for each in self.services
        ]
        return {"state": "ready", "since": 1.0, "services": services, "probes": []}


IN_FLIGHT = {"in_flight": 1, "shown": 1, "entries": [{"name": "GET /\x1b[31m"}]}
