"""The flush of one provider of the app, each of its processors in a separate thread."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from lifecycle_opentelemetry.app_providers import parts_of
from lifecycle_opentelemetry.flushing import Call, Ending
from lifecycle_opentelemetry.quiet import Heard, overheard

FAILED: Final = "Not everything was sent."
AT_THE_LIMIT: Final = 0.1
"""Seconds before the time limit. A failure this late counts as no answer."""


class AppFlush:
    """
    The flush of one provider of the app.

    A provider of the SDK flushes one processor after the other. If one hangs, the next ones are
    never flushed. So each is called by itself.

    Args:
        what: Its name in messages.
        provider: The provider.
        ending: The end of the app.
    """

    def __init__(self, what: str, provider: Any, ending: Ending) -> None:
        self._provider = provider
        self._ending = ending
        self._parts = {f"{what} {n}": part for n, part in enumerate(_flushed(provider))}
        self._heard: dict[str, Heard] = {}
        self._on_time: set[str] = set()

    @property
    def calls(self) -> dict[str, Call]:
        """The calls that flush it, to be called side by side."""
        return {name: partial(self._flush, name, part) for name, part in self._parts.items()}

    def _flush(self, name: str, part: Any) -> str:
        ending = self._ending
        ending.written.wait(ending.left() / 2)
        problem = FAILED
        with overheard() as heard:
            self._heard[name] = heard
            try:
                done = part.force_flush(int(ending.left() * 1000))
                # A processor of the SDK returns True even if its exporter has failed.
                problem = FAILED if done is False or heard.error else ""
            finally:
                if not problem or ending.left() > AT_THE_LIMIT:
                    self._on_time.add(name)
        return problem

    def problem(self, problems: Mapping[str, str]) -> str:
        """
        Return the problem of the provider, or an empty text.

        Args:
            problems: The problems of its calls.
        """
        for name in self._parts:
            if problem := problems.get(name, ""):
                heard = self._heard.get(name)
                return f"{problem} {heard.reason}".strip() if heard else problem
        return ""

    def leave_the_late(self) -> None:
        """
        Keep the exit from a second wait for processors that have not answered in time.

        The SDK shuts its providers down when the process exits, and waits up to 30 s. The time for
        this is already over. The processors that have answered are shut down then as before.
        """
        on_time = {*self._on_time}
        if on_time >= {*self._parts}:
            return
        handlers = ("_atexit_handler", "_at_exit_handler")
        is_registered = any(getattr(self._provider, name, None) for name in handlers)
        if (shutdown := getattr(self._provider, "shutdown", None)) is not None:
            atexit.unregister(shutdown)
        if is_registered:
            for name in on_time:
                atexit.unregister(self._parts[name].shutdown)  # of an app before, in this process
                atexit.register(self._parts[name].shutdown)


def _flushed(provider: Any) -> list[Any]:
    parts = parts_of(provider)
    known = len(parts) > 1 and all(callable(getattr(each, "force_flush", None)) for each in parts)
    return parts if known else [provider]
