"""The permissions that the README names are enough, and no more are needed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.security import ACL, Id

from plugins.zookeeper.tests.conftest import App, Play
from tests.registries.zookeeper import OPERATOR, ZooKeeper
from tests.registries.zookeeper_client import account_id

README = (Path(__file__).parents[1] / "README.md").read_text()
RULES = dict(
    zip(
        ("plain", "dubbo"),
        [
            re.findall(r"^setAcl (\S+) digest:orders:DIGEST:(\S+)$", block, re.MULTILINE)
            for block in re.findall(r"```text\n(create .*?)```", README, re.DOTALL)
        ],
        strict=True,
    )
)
LETTERS = {"c": 4, "d": 8, "r": 1, "w": 2}


@pytest.fixture
def operator(server: ZooKeeper) -> Iterator[KazooClient]:
    client = KazooClient(f"127.0.0.1:{server.port}", auth_data=[("digest", OPERATOR)])
    client.start()
    yield client
    client.stop()
    client.close()


def prepare(operator: KazooClient, rules: list[tuple[str, str]]) -> None:
    """Create the nodes of the README, for the user `orders` alone. Nobody else may do anything."""
    (_, digest) = account_id("orders:secret").split(":")
    for path, letters in rules:
        operator.ensure_path(path)
        who = ACL(sum(LETTERS[each] for each in letters), Id("digest", f"orders:{digest}"))
        operator.set_acls(path, [who])
    for path in ("/", "/lifecycle"):
        if operator.exists(path):
            reading = ACL(1, Id("world", "anyone"))
            operator.set_acls(path, [reading])


def use(app: App, layout: str) -> None:
    url = f"zookeeper://orders:secret@127.0.0.1:{app.server.port}"
    app.set(url=url, layout=layout, application="orders", settle=0.1)


@pytest.mark.parametrize("layout", RULES)
def test_the_permissions_of_the_readme_are_enough(
    play: Play, operator: KazooClient, layout: str
) -> None:
    """Registered, offline, online and removed by a user that has only these."""
    prepare(operator, RULES[layout])

    async def scenario(app: Any) -> None:
        use(app, layout)
        async with app.ready() as life:
            assert len(app.paths()) == (1 if layout == "plain" else 2)
            life.offline("orders")
            await app.until(lambda: app.cell()["registered"] == "no", "it is out")
            life.online("orders")
            await app.until(lambda: app.cell()["registered"] == "yes", "it is back")
        assert app.paths() == []
        assert app.reasons() == []

    play(scenario)


CASES = [
    (layout, path, letter)
    for layout, rules in RULES.items()
    for path, letters in rules
    for letter in letters
]


@pytest.mark.parametrize(("layout", "path", "letter"), CASES)
def test_a_missing_permission_is_named(
    play: Play, operator: KazooClient, layout: str, path: str, letter: str
) -> None:
    """Without one of them, the registration fails as forbidden, and the log has the node."""
    fewer = [
        (each, letters.replace(letter, "") if each == path else letters)
        for each, letters in RULES[layout]
    ]
    prepare(operator, fewer)

    async def scenario(app: Any) -> None:
        use(app, layout)
        async with app.run(register_timeout=0.5) as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(
                lambda: any(f"forbidden: {path}" in each for each in app.reasons()), "it is told"
            )
            ready.cancel()

    play(scenario)


def test_a_node_is_only_for_its_creator(play: Play, operator: KazooClient) -> None:
    """With a user, the plugin gives nobody else any permission, unless `access` says so."""

    async def scenario(app: Any) -> None:
        use(app, "plain")
        for access, others in (("creator", 0), ("read", 1), ("open", 31)):
            app.set(access=access)
            async with app.ready():
                acls, _ = operator.get_acls(app.paths()[0])
                anyone = [each.perms for each in acls if each.id.scheme == "world"]
                mine = [each.perms for each in acls if each.id.id.startswith("orders:")]
                assert sum(anyone) == others
                assert mine == ([31] if access != "open" else [])
            operator.delete("/lifecycle", recursive=True)

    play(scenario)


def test_revoked_rights_take_nobody_out(play: Play, operator: KazooClient) -> None:
    """The node stays, and so does its owner. The drain tells what it may not do any longer."""

    async def scenario(app: Any) -> None:
        use(app, "plain")
        async with app.ready() as life:
            path = app.paths()[0]
            above = path.rpartition("/")[0]
            for each in (path, above):
                operator.set_acls(each, [ACL(31, Id("digest", "other:x"))])
            await asyncio.sleep(1)
            assert life.services["orders"].confirmed
            assert app.cell()["registered"] == "yes"
        assert "forbidden" in str(app.reasons())
        assert app.paths() == [], "it ends with the session, which was closed"

    play(scenario)
