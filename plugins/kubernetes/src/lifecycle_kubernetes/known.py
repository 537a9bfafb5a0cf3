"""Which value of the annotation the pod has, as far as this process can know."""

from __future__ import annotations

import itertools


class Known:
    """
    The value on the pod, from the requests and their answers.

    Two requests that run at the same time may arrive in any order. If their values differ, the
    value on the pod is then unknown, and has to be written once more.

    Attributes:
        text: The value on the pod. None if it is unknown.
    """

    def __init__(self) -> None:
        self.text: str | None = None
        self._numbers = itertools.count()
        self._open: dict[int, str | None] = {}
        self._mixed = False

    def sent(self, text: str | None) -> int:
        """
        Note a request.

        Args:
            text: The value that it writes.

        Returns:
            The number of the request, for `answered`.
        """
        number = next(self._numbers)
        self._open[number] = text
        self._mixed = self._mixed or len(set(self._open.values())) > 1
        return number

    def answered(self, number: int, *, accepted: bool) -> None:
        """Note the answer to a request, or that no answer has come."""
        text = self._open.pop(number)
        self.text = text if accepted and not self._mixed else None
        if not self._open:
            self._mixed = False
