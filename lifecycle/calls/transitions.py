"""
Changes the state of the app, and reports each transition to the hooks.

Rules of this file:

1. Only the code here changes the state.
2. The hooks are the only way to learn about a transition, also for the built-in plugins.
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
from lifecycle.links import help_page
from lifecycle.log import Log
from lifecycle.states import Event, Machine, State, Transition, reachable


class Transitions:
    """
    The state machine of one app, with the hooks that get its transitions. For the control loop.

    Args:
        life: The `Lifecycle` of the app, which is passed to the hooks.
        log: The log, for every transition and for hooks that fail.

    Attributes:
        since: The time at which the app reached its state, in seconds since the epoch.
        reached: For each state, the event that the app has reached it. For any thread.
        became_ready: The event that the app is READY. It fails when the app drains, or with the
            error that makes READY impossible.
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
        """The current state. May be read from any thread."""
        return self._machine.state

    @property
    def history(self) -> list[Transition]:
        """The transitions so far."""
        return self._machine.history

    def tell(self, call: Delivery) -> None:
        """Report all further transitions to one more hook."""
        self._mailboxes.append(Mailbox(call, self._complain))

    def tell_no_more(self, registrations: Collection[object]) -> None:
        """Report no further transitions to the hooks of a plugin that is removed."""
        for mailbox in [each for each in self._mailboxes if each.registration in registrations]:
            self._mailboxes.remove(mailbox)
            mailbox.close()

    def _complain(self, plugin: str, problem: str) -> None:
        self._log.warning(
            "plugin", plugin=plugin, problem=problem, see=help_page("plugin-hook-failed")
        )

    def fire(self, event: Event, cause: str) -> None:
        """
        Change the state by one event, log the transition and report it to the hooks.

        Raises:
            IllegalTransition: The event is not allowed in this state. Nothing has changed.
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
                moment.fail(
                    Draining(
                        f"the app is {transition.after} and can no longer be {state}",
                        see="draining",
                    )
                )
        if transition.after.leaving:
            self.became_ready.fail(
                Draining(f"the app is draining (cause: {cause})", see="draining")
            )

    async def close(self, timeout: float) -> None:
        """Deliver the last transitions to the hooks, within `timeout` seconds, and then stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                for mailbox in tuple(self._mailboxes):  # a plugin may be removed meanwhile
                    await mailbox.empty()
        for mailbox in self._mailboxes:
            mailbox.close()

    def over(self, error: Exception) -> None:
        """Report that no transition will come any more. All waiters get the error."""
        for moment in (*self.reached.values(), self.became_ready):
            moment.fail(error)
