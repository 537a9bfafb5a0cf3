"""
The machine, fired, and told to everybody who wants to know.

Rules of this file:

1. The machine is fired here, and here only.
2. What it decides is told to the hooks; nothing else learns it another way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection

from lifecycle.calls.dispatch import Delivery
from lifecycle.calls.mailbox import Mailbox
from lifecycle.calls.moment import Moment
from lifecycle.exceptions import Draining
from lifecycle.log import Log
from lifecycle.states import Event, Machine, State, Transition, reachable


class Transitions:
    """
    The machine of one app, and who is told of its transitions. Lives on the control loop.

    Args:
        life: The app's handle, which the hooks are given.
        log: Told of every transition, and of hooks that fail.

    Attributes:
        since: When the state was entered, in seconds since the epoch.
        reached: For each state the moment in which it is entered; for any thread.
        became_ready: The moment in which READY is reached. It fails once the app leaves, or
            with what holds READY up for good.
    """

    def __init__(self, life: object, log: Log) -> None:
        self._machine = Machine()
        self.since = time.time()
        self.reached: dict[State, Moment[None]] = {state: Moment() for state in State}
        self.reached[State.STARTING].set(None)
        self.became_ready: Moment[None] = Moment()
        self._life = life
        self._log = log
        self._mailboxes: list[Mailbox] = []

    @property
    def state(self) -> State:
        """The state; from any thread."""
        return self._machine.state

    @property
    def history(self) -> list[Transition]:
        """The transitions so far."""
        return self._machine.history

    def tell(self, call: Delivery) -> None:
        """From now on, tell one more hook."""
        self._mailboxes.append(Mailbox(call, self._complain))

    def tell_no_more(self, registrations: Collection[object]) -> None:
        """From now on, tell nothing to the hooks of a plugin that is taken out."""
        for mailbox in [each for each in self._mailboxes if each.registration in registrations]:
            self._mailboxes.remove(mailbox)
            mailbox.close()

    def _complain(self, plugin: str, problem: str) -> None:
        self._log.warning("plugin", plugin=plugin, problem=problem)

    def fire(self, event: Event, cause: str) -> None:
        """
        Move the machine, and tell everybody.

        Raises:
            IllegalTransition: The event has no place in this state. Nothing has changed.
        """
        transition = self._machine.fire(event, cause=cause, at=time.time())
        self.since = transition.at
        self._log.info(transition.after.value, previous=transition.before.value, cause=cause)
        for mailbox in self._mailboxes:
            mailbox.put(life=self._life, transition=transition)
        self.reached[transition.after].set(None)
        possible = reachable(transition.after)
        for state, moment in self.reached.items():
            if state not in possible and not moment.happened:
                moment.fail(Draining(f"{state} can no longer be reached: {transition.after}"))
        if transition.after.leaving:
            self.became_ready.fail(Draining(f"the app is leaving: {cause}"))

    async def close(self, timeout: float) -> None:
        """Tell the hooks the last of it, in so many seconds, and nothing more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                for mailbox in tuple(self._mailboxes):  # a plugin may be taken out meanwhile
                    await mailbox.empty()
        for mailbox in self._mailboxes:
            mailbox.close()

    def over(self, error: Exception) -> None:
        """Take note that nothing comes any more: whoever waits for a state gets the error."""
        for moment in (*self.reached.values(), self.became_ready):
            moment.fail(error)
