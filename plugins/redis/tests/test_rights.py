"""The permissions that the README names are enough, and no more are needed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from plugins.redis.tests.conftest import Play

README = (Path(__file__).parents[1] / "README.md").read_text()
RULES = dict(
    zip(
        ("plain", "dubbo"),
        re.findall(r"^ACL SETUSER orders (.*)$", README, re.MULTILINE),
        strict=True,
    )
)


@pytest.mark.parametrize("layout", RULES)
def test_the_permissions_of_the_readme_are_enough(play: Play, layout: str) -> None:
    """Registered, renewed and removed by a user that has only these."""

    async def scenario(app: Any) -> None:
        words = RULES[layout].replace("PASSWORD", "p").split()
        app.server.do("ACL", "SETUSER", "orders", *words)
        url = app.server.url.replace("redis://", "redis://orders:p@")
        app.environment.setenv("LIFECYCLE_REDIS_URL", url)
        app.environment.setenv("LIFECYCLE_REDIS_LAYOUT", layout)
        async with app.ready():
            first = app.cell()["acknowledged"]
            await app.until(lambda: app.cell()["acknowledged"] > first, "it is renewed")
            assert len(app.server.do("KEYS", "*orders*")) == 1
        assert app.server.do("KEYS", "*") == []
        assert app.reasons() == []

    play(scenario)


PLAIN = [word for word in RULES["plain"].split() if word.startswith("+") and word != "+select"]


@pytest.mark.parametrize("missing", PLAIN)
def test_a_missing_permission_is_named(play: Play, missing: str) -> None:
    """Without one of them, a registration or its end fails as forbidden."""

    async def scenario(app: Any) -> None:
        words = RULES["plain"].replace("PASSWORD", "p").replace(f" {missing} ", " ").split()
        app.server.do("ACL", "SETUSER", "orders", *words)
        url = app.server.url.replace("redis://", "redis://orders:p@")
        app.environment.setenv("LIFECYCLE_REDIS_URL", url)
        async with app.run(register_timeout=0.5) as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(
                lambda: any("forbidden: " in each for each in app.reasons()), "it is told"
            )
            ready.cancel()

    play(scenario)
