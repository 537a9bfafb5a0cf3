"""Why there is no result."""

from __future__ import annotations

from collections.abc import Sequence


class CannotRehearse(Exception):
    """
    It could not be rehearsed: exit code 2.

    Args:
        reason: What a person can act on.
        output: The last lines that the command said.
    """

    def __init__(self, reason: str, output: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.output = tuple(output)

    def __str__(self) -> str:
        lines = [str(self.args[0]), *(f"  | {line}" for line in self.output)]
        return "\n".join(lines)
