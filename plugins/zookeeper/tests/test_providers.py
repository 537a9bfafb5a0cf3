"""The layout `dubbo` on a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import unquote_plus

import pytest

from plugins.zookeeper.tests.conftest import Play
from tests.registries.zookeeper import ZooKeeper
from tests.registries.zookeeper_client import ZooKeeperError

NAME = "com.acme.Greeter"


def providers(server: ZooKeeper, name: str = NAME) -> list[str]:
    """Return the URLs of the providers of an interface."""
    start = f"/dubbo/{name}/providers/"
    return [unquote_plus(each[len(start) :]) for each in server.entries() if each.startswith(start)]


def instances(server: ZooKeeper) -> dict[str, Any]:
    """Return the nodes of the application level, by their paths."""
    entries = server.entries().items()
    return {path: json.loads(one.value) for path, one in entries if path.startswith("/services/")}


def services(server: ZooKeeper, instance: Any) -> list[str]:
    """Return the services of an instance, as its metadata have them."""
    revision = instance["payload"]["metadata"]["dubbo.metadata.revision"]
    data = server.nodes()[f"/dubbo/metadata/{instance['name']}/{revision}"].data
    return [each["name"] for each in json.loads(data)["services"].values()]


@pytest.fixture
def dubbo(play: Play) -> Play:
    def run(scenario: Any) -> None:
        async def with_layout(app: Any) -> None:
            app.set(layout="dubbo", application="shop", settle=0.1)
            await scenario(app)

        play(with_layout)

    return run


def test_a_provider_is_at_both_levels_and_leaves_in_two_steps(dubbo: Play) -> None:
    """
    Offline: gone at application level, and the weight 0 at interface level, so that clients keep
    their connection. Online again: the same as before. After the drain, nothing is left of it.
    """

    async def scenario(app: Any) -> None:
        async with app.ready(NAME) as life:
            (url,) = providers(app.server)
            assert url.startswith(f"tri://10.0.0.7:8080/{NAME}?application=shop&")
            assert "weight=100" in url
            ((path, instance),) = instances(app.server).items()
            assert path == "/services/shop/10.0.0.7:8080"
            assert services(app.server, instance) == [NAME]
            assert app.server.nodes()[f"/dubbo/mapping/{NAME}"].data == b"shop"
            life.offline(NAME)
            await app.until(lambda: app.cell(NAME)["registered"] == "no", "it is out")
            assert providers(app.server) == [url.replace("weight=100", "weight=0")]
            assert instances(app.server) == {}
            life.online(NAME)
            await app.until(lambda: app.cell(NAME)["registered"] == "yes", "it is back")
            assert providers(app.server) == [url]
            assert list(instances(app.server)) == [path]
        assert app.paths() == []
        assert app.reasons() == []

    dubbo(scenario)


def test_the_weight_is_0_during_the_drain(dubbo: Play) -> None:
    """Between the drain start and its end, the address is known, and gets no new call."""

    async def scenario(app: Any) -> None:
        async with app.ready(NAME) as life:
            with life.track("a call"):
                life.begin_drain("test")
                await app.until(
                    lambda: app.cell(NAME)["registered"] == "no", "it is told to clients"
                )
                (url,) = providers(app.server)
                assert "weight=0" in url
                assert instances(app.server) == {}
            await life.drained()
            assert app.paths() == []

    dubbo(scenario)


def test_services_of_one_port_share_an_instance(dubbo: Play) -> None:
    """One of two goes offline: the other one stays, in the same instance, with a new revision."""

    async def scenario(app: Any) -> None:
        async with app.run() as life:
            life.export("a", port=8080)
            life.export("b", port=8080)
            life.export("c", port=8081)
            await life.ready()
            both, other = instances(app.server).values()
            assert sorted(services(app.server, both)) == ["a", "b"]
            assert services(app.server, other) == ["c"]
            owner = app.server.entries()["/services/shop/10.0.0.7:8080"].owner
            life.offline("a")
            await app.until(lambda: app.cell("a")["registered"] == "no", "it is out")
            one, _ = instances(app.server).values()
            assert services(app.server, one) == ["b"]
            assert app.server.entries()["/services/shop/10.0.0.7:8080"].owner == owner
            assert app.cell("b")["registered"] == "yes"
        assert app.paths() == []
        assert app.reasons() == []

    dubbo(scenario)


def test_many_providers_write_few_revisions(dubbo: Play) -> None:
    """The metadata of all services are written together, and not once for each."""

    async def scenario(app: Any) -> None:
        names = [f"s{number}" for number in range(100)]
        async with app.run(register_timeout=10) as life:
            for name in names:
                life.export(name, port=8080)
            await life.ready()
            (instance,) = instances(app.server).values()
            assert sorted(services(app.server, instance)) == sorted(names)
            revisions = [p for p in app.server.nodes() if p.startswith("/dubbo/metadata/shop/")]
            assert len(revisions) <= 5
        assert app.paths() == []

    dubbo(scenario)


def test_the_mapping_of_others_stays(dubbo: Play) -> None:
    """Compare and set: while another client writes too, no name is lost."""

    async def scenario(app: Any) -> None:
        with app.server.client() as client:
            for each in ("/dubbo", "/dubbo/mapping"):
                client.create(each)
            client.create(f"/dubbo/mapping/{NAME}", b"other,third")
            async with app.ready(NAME):
                assert client.get(f"/dubbo/mapping/{NAME}").data == b"other,third,shop"
            assert client.get(f"/dubbo/mapping/{NAME}").data == b"other,third,shop"

    dubbo(scenario)


@pytest.mark.parametrize("level", ["/dubbo/", "/services/"])
def test_a_node_of_either_level_that_is_gone_is_written_again(dubbo: Play, level: str) -> None:
    async def scenario(app: Any) -> None:
        async with app.ready(NAME) as life:
            before = app.paths()
            (path,) = [each for each in before if each.startswith(level)]
            app.server.remove(path)
            await app.until(lambda: any("is gone" in each for each in app.reasons()), "noticed")
            await app.until(lambda: app.cell(NAME)["registered"] == "yes", "it is back")
            assert app.paths() == before
            assert life.services[NAME].confirmed
        assert app.paths() == []

    dubbo(scenario)


@pytest.mark.parametrize("level", ["/dubbo/", "/services/"])
def test_a_node_of_either_level_that_another_owner_has_taken_stays(dubbo: Play, level: str) -> None:
    """It is neither replaced nor removed, and everything of ours is gone after the drain."""

    async def scenario(app: Any) -> None:
        async with app.ready(NAME):
            (path,) = [each for each in app.paths() if each.startswith(level)]
            value = app.server.entries()[path].value
            app.server.take(path, value)
            other = app.server.entries()[path]
            await app.until(lambda: "taken: " in app.cell(NAME)["reason"], "it says why")
        assert app.server.entries() == {path: other}

    dubbo(scenario)


def test_what_an_earlier_process_has_left_is_taken_over(dubbo: Play) -> None:
    """The instance of the same host and port, which a killed process has left."""

    async def scenario(app: Any) -> None:
        async with app.ready(NAME):
            ((path, _),) = instances(app.server).items()
            value = app.server.entries()[path].value
        app.server.take(path, value)
        async with app.ready(NAME):
            assert app.server.entries()[path].owner == app.cell(NAME)["session"]
            assert app.reasons() == []

    dubbo(scenario)


def test_a_foreign_instance_with_this_name_is_not_touched(dubbo: Play) -> None:
    """Its data have another address, so it is not what we have left."""

    async def scenario(app: Any) -> None:
        path = "/services/shop/10.0.0.7:8080"
        with app.server.client() as client:
            for each in ("/services", "/services/shop"):
                client.create(each)
        app.server.take(path, "theirs")
        async with app.run() as life:
            life.export(NAME, port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "taken: " in app.cell(NAME)["reason"], "it says why")
            ready.cancel()
        assert app.server.entries()[path].value == "theirs"
        assert app.paths() == [path]

    dubbo(scenario)


def test_the_group_of_the_registry_is_the_root_of_both_levels(dubbo: Play) -> None:
    async def scenario(app: Any) -> None:
        app.set(url=f"zookeeper://127.0.0.1:{app.server.port}/p?group=g")
        async with app.ready(NAME):
            assert {each.rpartition("/")[0] for each in app.paths()} == {
                "/p/g/shop",
                f"/p/g/{NAME}/providers",
            }
            assert f"/p/g/mapping/{NAME}" in app.server.nodes()

    dubbo(scenario)


def test_a_provider_survives_a_wiped_server(dubbo: Play) -> None:
    """Metadata and mapping too, which are not ours alone."""

    async def scenario(app: Any) -> None:
        async with app.ready(NAME):
            before = set(app.server.nodes())
            await asyncio.to_thread(app.server.wipe)
            await app.until(lambda: len(app.paths()) == 2, "it is back")
            with contextlib.suppress(ZooKeeperError):
                assert set(app.server.nodes()) == before
        assert app.paths() == []

    dubbo(scenario)


def test_metadata_that_are_too_large_are_refused_before_the_server_does(dubbo: Play) -> None:
    """A server would close the connection, again and again."""

    async def scenario(app: Any) -> None:
        async with app.run() as life:
            for number in range(120):
                life.export(f"s{number}", port=8080, metadata={"x": "y" * 9000})
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "too large: " in str(app.reasons()), "it says why")
            assert app.said("zookeeper") == [], "the connection stays"
            ready.cancel()

    dubbo(scenario)
