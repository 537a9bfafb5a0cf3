"""
What a user gets wrong, and strict type checkers refuse: each line that is marked, and no other.

`check.py` reads this file; nothing runs it.
"""

from __future__ import annotations

from starlette.applications import Starlette

import lifecycle
from lifecycle import hookimpl
from lifecycle.asgi import Managed, Middleware

life = lifecycle.current()
config = lifecycle.Config()


def text_check() -> str:
    """Answer text, which is true whatever it says."""
    return "no connection"


async def async_text_check() -> str:
    """Answer text."""
    return "no connection"


async def greedy_check(life: lifecycle.Lifecycle, pool: object) -> bool:
    """Want more than there is."""
    return life.draining and pool is not None


async def greedy_main(life: lifecycle.Lifecycle, pool: object) -> None:
    """Want more than there is."""


def sync_main(life: lifecycle.Lifecycle) -> None:
    """Cannot be awaited."""


async def coroutine() -> None:
    """To be given, not called."""


async def half_an_app(scope: object, receive: object) -> None:
    """Cannot answer."""


class Nameless(lifecycle.Registry):
    """Nobody can say which."""

    async def register(self, instance: lifecycle.Instance) -> None:
        """Register."""

    async def deregister(self, instance: lifecycle.Instance) -> None:
        """Deregister."""

    async def keep(self, instance: lifecycle.Instance) -> str:
        """Keep."""
        return "lost"


class Hookless:
    """No plugin."""


class TextReadiness:
    """Answers text, which is true whatever it says."""

    @hookimpl
    def lifecycle_readiness(self) -> str:
        """Answer text."""
        return "no connection"


class TextLiveness:
    """Answers text."""

    @hookimpl
    async def lifecycle_liveness(self, life: lifecycle.Lifecycle) -> str:
        """Answer text."""
        return str(life.draining)


class TextStartup:
    """Answers texts."""

    @hookimpl
    def lifecycle_startup(self) -> list[str]:
        """Answer texts."""
        return ["no connection"]


lifecycle.Config(setle=3)  # WRONG: a misspelt setting
lifecycle.Config(settle="3")  # WRONG: text for seconds
lifecycle.Config(30.0)  # WRONG: settings have names
config.settle = 3  # WRONG: it is frozen
print(config.setle)  # WRONG: a misspelt setting
port: str = config.qos_port  # WRONG: it is a number
life.readiness(text_check)  # WRONG: text is no answer
life.liveness(async_text_check)  # WRONG: text is no answer
life.readiness(greedy_check)  # WRONG: a check has one argument or none
lifecycle.run(greedy_main)  # WRONG: a main has one argument or none
lifecycle.run(sync_main)  # WRONG: a main is async
lifecycle.run(coroutine())  # WRONG: the function, not its coroutine
lifecycle.run(coroutine, plugins=[42])  # WRONG: no plugin
life.use(42)  # WRONG: no plugin
life.use(Hookless())  # WRONG: a plugin has one hook at least
life.use(Hookless)  # WRONG: neither has its class
life.use(TextReadiness())  # WRONG: text is no answer
life.use(TextLiveness)  # WRONG: text is no answer
life.use(TextStartup())  # WRONG: texts are no answers
lifecycle.Lifecycle(plugins="lifecycle_probes")  # WRONG: plugins are objects
Nameless()  # WRONG: a registry has a name
life.export("shop", 8080)  # WRONG: the port has its name
life.export("shop", port="8080")  # WRONG: a port is a number
lifecycle.ProbeResult("yes")  # WRONG: a verdict is a bool
print(lifecycle.State.DRAINED)  # WRONG: no such state
Middleware(half_an_app)  # WRONG: three arguments
Managed(Starlette(), port="8080")  # WRONG: a port is a number
Managed(Starlette(), "shop")  # WRONG: the service has its name
