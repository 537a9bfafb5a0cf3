"""The error that ends a rehearsal without a result."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.exceptions import Explained


class CannotRehearse(Explained):
    """
    The rehearsal is not possible. The exit code is 2.

    Args:
        reason: A sentence for people about what is wrong and what to change.
        output: The last lines of the command's output.
        see: The page that explains the reason. Without it, the entry about options.
    """

    help_entry = "errors.md#option-of-rehearse"

    def __init__(self, reason: str, output: Sequence[str] = (), *, see: str = "") -> None:
        super().__init__(reason, see=see)
        self.output = tuple(output)

    def __str__(self) -> str:
        lines = [str(self.args[0]), *(f"  | {line}" for line in self.output)]
        return "\n".join(lines)
