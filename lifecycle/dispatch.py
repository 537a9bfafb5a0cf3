"""
The one dispatcher: every call of a plugin passes here, isolated and bounded.

Rules of this file:

1. Async hooks run on the app's loop, plain ones in a thread, built-in ones here.
2. One outstanding run for each implementation: who asks meanwhile shares it, and
   what hangs is not started again, so nothing can pile up.
3. A call ends by its deadline, whatever the plugin does; the outcome says how.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

from lifecycle.crossing import run_in_thread, run_soon
from lifecycle.guest import Guest
from lifecycle.plugins import Implementation

MOST_ANSWERS: Final = 10_000
"""What a generator may give; one that never ends must not fill the memory."""


class Status(Enum):
    """How a call ended."""

    ANSWERED = auto()
    RAISED = auto()
    LATE = auto()  # it has begun, and not answered in time
    UNSTARTED = auto()  # the app's loop did not get round to it
    BUSY = auto()  # the run before it has not ended


class Outcome(NamedTuple):
    """What came of one call; `seconds` is how long it took."""

    status: Status
    seconds: float
    value: Any = None
    error: BaseException | None = None
    blocking: bool = False
    """True if it is this very call that holds up the app's loop."""

    def problem(self) -> str:
        """Say in a few words what went wrong; empty if it answered."""
        match self.status:
            case Status.RAISED:
                return f"raised {type(self.error).__name__}: {_text(self.error)}"
            case Status.LATE if self.blocking:
                return f"no answer for {self.seconds:.1f} s: it blocks the app's loop"
            case Status.LATE:
                return f"no answer for {self.seconds:.1f} s"
            case Status.UNSTARTED:
                return f"not started for {self.seconds:.1f} s: the app's loop is busy or gone"
            case Status.BUSY:
                return f"not started: the run before it goes on since {self.seconds:.1f} s"
        return ""


def _text(error: BaseException | None) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a stranger's __str__
        return "(its message cannot be shown)"


class _Run:
    """One run under way; all of it belongs to the control loop but `begin`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, forget: Callable[[], None]) -> None:
        self.loop = loop
        self.forget = forget
        self.started_at = loop.time()
        self.begun = False
        self.cancelled = False
        self.task: asyncio.Task[Any] | None = None
        self.done: asyncio.Future[Outcome] = loop.create_future()

    def finish(self, value: Any, error: BaseException | None) -> None:
        """Say how it ended; from any thread."""
        run_soon(self.loop, lambda: self._finish(value, error))

    def _finish(self, value: Any, error: BaseException | None) -> None:
        status = Status.ANSWERED if error is None else Status.RAISED
        if self.cancelled and isinstance(error, asyncio.CancelledError):
            status = Status.LATE  # our own doing: it was late, and has ended for that
        self.end(Outcome(status, self.age(), value, error))

    def end(self, outcome: Outcome) -> None:
        self.forget()
        if not self.done.done():
            self.done.set_result(outcome)

    def age(self) -> float:
        return self.loop.time() - self.started_at


class Call:
    """
    How one implementation of one hook is called. Lives on the control loop.

    Args:
        implementation: What to call.
        guest: The app's loop.
        timeout: Seconds; None: until the caller is cancelled.
        start_within: Seconds after which a busy app loop is waited for no longer;
            None: `timeout`. The run stays queued, once, until the loop is back.
    """

    def __init__(
        self,
        implementation: Implementation,
        guest: Guest,
        timeout: float | None,
        start_within: float | None = None,
    ) -> None:
        self.implementation = implementation
        self.plugin = implementation.plugin
        self.timeout = implementation.options.timeout or timeout
        self._start_within = start_within
        self._guest = guest
        self._run: _Run | None = None

    async def __call__(self, *given: Any, **offered: Any) -> Outcome:
        """Call it, or share the run that is under way. Never raises what a plugin raised."""
        run = self._run or self._start(self._bind(given, offered))
        try:
            await self._wait(run, self._start_within if not run.begun else self.timeout)
            if run.begun and self._start_within is not None:
                await self._wait(run, self.timeout)
        except asyncio.CancelledError:
            self._abandon(run)
            raise
        if run.done.done():
            return run.done.result()
        blocking = run.task is not None and self._guest.runs(run.task)
        outcome = Outcome(
            Status.LATE if run.begun else Status.UNSTARTED, run.age(), blocking=blocking
        )
        if run.begun:
            self._abandon(run)
        return outcome

    async def in_turn(self, *given: Any, **offered: Any) -> Outcome:
        """Call it as soon as no other run is outstanding, and share none: BUSY if one hangs."""
        now = asyncio.get_running_loop().time
        until = now() + (self.timeout or 0.0)
        while (run := self._run) is not None:
            left = min(until - now(), (self.timeout or 0.0) - run.age())
            await asyncio.wait({run.done}, timeout=max(0.0, left))
            if not run.done.done():
                return Outcome(Status.BUSY, run.age())
        return await self(*given, **offered)

    async def _wait(self, run: _Run, limit: float | None) -> None:
        if not run.done.done():
            limit = self.timeout if limit is None else limit
            left = None if limit is None else max(0.0, limit - run.age())
            await asyncio.wait({run.done}, timeout=left)

    def now(self, **offered: Any) -> Outcome:
        """Call a built-in that is no coroutine function, here and now."""
        run = self._start(self._bind((), offered))
        return run.done.result()

    @property
    def immediate(self) -> bool:
        """True if `now` may be used."""
        return self.implementation.inline and not _is_async(self.implementation.function)

    @property
    def threaded(self) -> bool:
        """True if each run has a thread, which nobody can end."""
        return not self.implementation.inline and not _is_async(self.implementation.function)

    def _forget(self) -> None:
        self._run = None

    async def until_idle(self) -> None:
        """Wait until no run is outstanding."""
        if self._run is not None:
            await asyncio.wait({self._run.done})

    def _bind(self, given: tuple[Any, ...], offered: dict[str, Any]) -> Callable[[], Any]:
        each = self.implementation
        return partial(each.function, *given, **each.arguments(offered))

    def _start(self, call: Callable[[], Any]) -> _Run:
        run = self._run = _Run(asyncio.get_running_loop(), self._forget)
        function = self.implementation.function
        if self.implementation.inline:
            run.begun = True
            self._run_here(run, call)
        elif _is_async(function):
            if not self._guest.post(lambda: self._run_on_app_loop(run, call)):
                run.end(Outcome(Status.UNSTARTED, 0.0))
        else:
            run.begun = True
            try:
                run_in_thread(
                    lambda: _plain(call()),
                    run.finish,
                    name=f"lifecycle-{self.plugin}",
                )
            except RuntimeError as error:
                run._finish(None, error)
        return run

    def _run_here(self, run: _Run, call: Callable[[], Any]) -> None:
        try:
            value = call()
        except Exception as error:  # noqa: BLE001 - isolation is this file's purpose
            run._finish(None, error)
            return
        if inspect.isawaitable(value):
            run.task = asyncio.create_task(_guard(value, run))
        else:
            run._finish(value, None)

    def _run_on_app_loop(self, run: _Run, call: Callable[[], Any]) -> None:
        if run.cancelled and self.timeout is None:
            run.finish(None, asyncio.CancelledError())
            return
        run.begun = True
        try:
            awaitable = call()
        except Exception as error:  # noqa: BLE001 - an argument too many, a decorator's own
            run.finish(None, error)
            return
        run.task = self._guest.run_hook(_guard(awaitable, run), f"lifecycle-{self.plugin}")

    def _abandon(self, run: _Run) -> None:
        # Asked once: a task that ignores it stays outstanding, and is not started again.
        if run.cancelled:
            return
        run.cancelled = True
        task = run.task
        if task is None:
            return
        if self.implementation.inline:
            task.cancel()
        else:
            self._guest.post(task.cancel)


async def _guard(awaitable: Awaitable[Any], run: _Run) -> None:
    try:
        value = await awaitable
    except asyncio.CancelledError as error:
        run.finish(None, error)
    except BaseException as error:  # noqa: BLE001 - a plugin's SystemExit must not end the loop
        run.finish(None, error)
    else:
        run.finish(value, None)


def _plain(value: Any) -> Any:
    if inspect.isgenerator(value):
        several = list(islice(value, MOST_ANSWERS + 1))  # here, because it may take time
        if len(several) > MOST_ANSWERS:
            raise TypeError(f"gave more than {MOST_ANSWERS} answers")
        return several
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("returned a coroutine: declare the hook itself with `async def`")
    return value


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - for objects with an async call
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


class Mailbox:
    """
    Delivers transitions to one plugin, in order, one at a time.

    A plugin that is slow delays its own next one only.
    """

    def __init__(self, call: Call, on_problem: Callable[[str, str], None]) -> None:
        self._call = call
        self._on_problem = on_problem
        self._waiting: deque[dict[str, Any]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, **offered: Any) -> None:
        """Deliver now if it is a built-in, soon otherwise. On the control loop."""
        if self._call.immediate:
            self._note(self._call.now(**offered))
            return
        self._waiting.append(offered)
        if self._task is None:
            self._task = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        while self._waiting:
            self._note(await self._call(**self._waiting.popleft()))
            await self._call.until_idle()
        # At once: what is put after this step needs a new task.
        self._task = None

    def _note(self, outcome: Outcome) -> None:
        if problem := outcome.problem():
            self._on_problem(self._call.plugin, problem)

    async def empty(self) -> None:
        """Wait until everything is delivered."""
        while self._task is not None:
            await asyncio.wait({self._task})

    def close(self) -> None:
        """Deliver nothing more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None
