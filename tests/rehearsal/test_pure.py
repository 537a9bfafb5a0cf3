"""Options, hooks, lateness, and how the load is shared out: without any process."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cli.parser import make_parser
from lifecycle.rehearsal.clients.connection import PIECE, Request
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.load.generator import split
from lifecycle.rehearsal.measuring.lateness import Lateness
from lifecycle.rehearsal.measuring.losses import Cause, End, Loss, unanswered
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Plan, Protocol, Traffic
from lifecycle.rehearsal.replicas.prestop import choose
from lifecycle.rehearsal.replicas.replica import Stage
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.rehearsal.verdict.advice import Circumstances, advise
from lifecycle.testing import Exec, HttpGet, Sleep


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"rate": 0}, "--rate 0"),
        ({"rate": float("nan")}, "--rate nan"),
        ({"clients": 0}, "--clients 0"),
        ({"kept": 1.5}, "--kept 1.5"),
        ({"busy": -0.1}, "--busy -0.1"),
        ({"slow_share": 2}, "--slow-share 2"),
        ({"think": -1}, "--think -1"),
        ({"propagation": -1}, "--propagation -1"),
        ({"propagation_in": -1}, "--propagation-in -1"),
        ({"propagation_in": float("nan")}, "--propagation-in nan"),
        ({"rtt": -1}, "--rtt -1"),
        ({"timeout": 0}, "--timeout 0"),
        ({"paths": ("orders",)}, "--path orders"),
        ({"slow": "/a b"}, "--slow /a b"),
        ({"paths": ("/ä",)}, "--path /ä"),
        ({"rate": float("inf")}, "--rate inf"),
        ({"propagation": float("inf")}, "--propagation inf"),
        ({"think": float("nan")}, "--think nan"),
        ({"processes": -3}, "--processes -3"),
        ({"first_after": -1}, "--first-after -1"),
        ({"method": "post"}, "--method post: must be in capital letters"),
        ({"method": ""}, "--method '': must be in capital letters"),
        ({"method": "CONNECT"}, "--method CONNECT"),
        ({"body_size": -1}, "--body-size -1"),
        ({"body_seconds": 1}, "--body-seconds 1: also needs --body-size"),
        ({"body_size": 9, "body_seconds": 10}, "--body-seconds 10: must be less than --timeout"),
        ({"body_size": 9, "protocols": (Protocol.WEBSOCKET,)}, "--body-size 9: over WebSocket"),
        ({"method": "PUT", "protocols": (Protocol.WEBSOCKET,)}, "--method PUT: over WebSocket"),
    ],
)
def test_traffic_that_cannot_be(fields: dict, option: str):
    """The error names the option and its value."""
    with pytest.raises(CannotRehearse) as caught:
        Traffic(**fields)
    assert str(caught.value).startswith(option)


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"command": ()}, "no command"),
        ({"rollouts": 0}, "--rollouts 0"),
        ({"replicas": 0}, "--replicas 0"),
        ({"grace": 0}, "--grace 0"),
        ({"start_time": 0}, "--start-time 0"),
        ({"pause": -1}, "pause -1"),
        ({"min_ready": -1}, "--min-ready -1"),
        ({"min_ready": float("inf")}, "--min-ready inf"),
        ({"ready": "health"}, "--ready health"),
        ({"ready": "/ä"}, "--ready /ä"),
        ({"grace": float("inf")}, "--grace inf"),
    ],
)
def test_a_plan_that_cannot_be(fields: dict, option: str):
    """The error names the option and its value."""
    with pytest.raises(CannotRehearse) as caught:
        Plan(**{"command": ("true",), **fields})
    assert str(caught.value).startswith(option)


@pytest.mark.parametrize(
    ("wanted", "qos", "name", "handler"),
    [
        (None, False, "none (nothing listens on LIFECYCLE_QOS_PORT)", None),
        ("none", True, "none", None),
        ("sleep:5", False, "sleep 5", Sleep(5.0)),
        (
            "http",
            True,
            "GET /prestop",
            HttpGet("qos", "/prestop", headers=[("X-Lifecycle-Token", "t")]),
        ),
        ("drain --fast 'a b'", False, "drain --fast 'a b'", Exec(["drain", "--fast", "a b"])),
    ],
)
def test_the_hook(wanted: str | None, qos: bool, name: str, handler: object):
    """What is asked for is run; without being asked, what the app has."""
    hook = choose(wanted, qos=qos, grace=30, token="t")
    assert (hook.name, hook.handler) == (name, handler)


def test_the_default_hook_of_an_app_under_lifecycle():
    """It is `lifecycle prestop`, and the choice says why."""
    hook = choose(None, qos=True, grace=30, token="t")
    assert hook.name == "lifecycle prestop (the app answers on the QOS port)"
    assert isinstance(hook.handler, Exec)
    assert list(hook.handler.command[1:]) == ["-m", "lifecycle", "prestop"]


@pytest.mark.parametrize("wanted", ["exec", "http", "sleep:31", "sleep:x", "sleep:-1", " ", "'"])
def test_a_hook_that_cannot_be(wanted: str):
    """It is refused before anything runs."""
    with pytest.raises(CannotRehearse, match="--prestop"):
        choose(wanted, qos=False, grace=30, token="t")


def test_the_container(tmp_path, monkeypatch):
    """The port is put in where it says so; what looks like a variable is left alone."""
    monkeypatch.setenv("LIFECYCLE_SETTLE", "2")
    env = {"LIFECYCLE_SERVICES": "shop:{port}", "PRICE": "$(5)"}
    plan = Plan(("sh", "-c", "echo $$ $(HOME) {port}"), grace=12, env=env)
    container = Template(plan, str(tmp_path)).replica("app-1").container
    assert list(container.command) == ["sh", "-c", "echo $$$$ $$(HOME) $(PORT_HTTP)"]
    assert container.env == {
        "LIFECYCLE_GRACE_PERIOD": "12",
        "LIFECYCLE_SETTLE": "2",
        "LIFECYCLE_SERVICES": "shop:$(PORT_HTTP)",
        "PRICE": "$$(5)",
        "PORT": "$(PORT_HTTP)",
        "LIFECYCLE_QOS_PORT": "$(PORT_QOS)",
        "LIFECYCLE_RUN_DIR": str(tmp_path / "app-1"),
    }
    assert (tmp_path / "app-1").stat().st_mode & 0o777 == 0o700


@given(st.lists(st.floats(0, 100), min_size=1), st.lists(st.floats(0, 100)))
def test_lateness(ours: list[float], others: list[float]):
    """A quantile is no smaller than the true one, and at most a tenth larger; adding adds."""
    late, more = Lateness(), Lateness()
    for each in ours:
        late.add(each)
    for each in others:
        more.add(each)
    late.merge(Lateness.from_json(*json.loads(json.dumps(more.to_json()))))
    every = sorted([*ours, *others])
    assert (late.count, late.longest) == (len(every), every[-1])
    for share in (0.5, 0.99, 1.0):
        rank = next(n for n in range(1, len(every) + 1) if n >= share * len(every) - 1e-9)
        true = every[rank - 1]
        assert true - 1e-9 <= late.quantile(share) <= max(true * 1.1001, 0.00011)


def test_doubt():
    """A hundredth of the requests that is late by more than 0.1 s casts doubt; less does not."""
    late = Lateness()
    for _ in range(99):
        late.add(0.001)
    late.add(5.0)
    assert not late.in_doubt
    late.add(5.0)
    assert late.in_doubt


@given(st.integers(1, 200), st.floats(1, 5000), st.integers(0, 8), st.floats(0, 1))
def test_sharing_the_load(clients: int, rate: float, processes: int, kept: float):
    """All processes together do what was asked for."""
    shares = split(Traffic(clients=clients, rate=rate, processes=processes, kept=kept))
    assert sum(each.clients for each in shares) == clients
    assert sum(each.rate for each in shares) == pytest.approx(rate)
    assert all(each.clients for each in shares)
    assert len({each.seed for each in shares}) == len(shares)


def test_traffic_goes_through_json():
    """What a process of the load generator is told is what was meant."""
    protocols = (Protocol.HTTP2, Protocol.HTTP1)
    traffic = Traffic(paths=("/a", "/b"), slow="/c", method="PUT", protocols=protocols)
    assert Traffic.from_json(json.loads(json.dumps(traffic.to_json()))) == traffic


def test_a_tally_goes_through_json():
    """What a process has seen is added to what others have."""
    loss = Loss(1.5, 1.0, True, "http1", Cause.CUT, "closed", "/", "app-1")
    tally = Tally(
        requests=3,
        answers=Counter({(10, "app-1", False): 2}),
        statuses=Counter({200: 2}),
        losses=[loss],
        closed_idle=1,
        repeated=1,
        own_errors=Counter({"Too many open files": 1}),
        longest=0.5,
        known=Counter({(10, "app-1"): 4}),
    )
    tally.lateness.add(0.01)
    both = Tally()
    for _ in range(2):
        both.merge(Tally.from_json(json.loads(json.dumps(tally.to_json()))))
    assert both.requests == 6
    assert both.answers == {(10, "app-1", False): 4}
    assert both.known == {(10, "app-1"): 8}
    assert both.losses == [loss, loss]
    assert (both.lost(kept=True), both.lost(kept=False)) == (2, 0)
    assert (both.lateness.count, both.longest, both.own_errors.total()) == (2, 0.5, 2)


@pytest.mark.parametrize("qos", [True, False])
@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("cause", Cause)
def test_every_loss_has_its_advice(
    cause: Cause, stage: Stage, *, kept: bool, killed: bool, qos: bool
):
    """Whatever is lost, there is a reason, and something to change."""
    advice = advise(cause, stage, Circumstances(qos, 2.0, 30.0, killed), kept=kept)
    assert advice.why
    assert advice.change
    if cause is not Cause.MALFORMED and stage is not Stage.SERVING and stage is not Stage.STARTING:
        assert "breaks the protocol" not in advice.why


@pytest.mark.parametrize(("joining", "seconds"), [(0.2, 1), (5.0, 6), (7.5, 8)])
def test_an_endpoint_that_was_not_heard_of_in_time(joining: float, seconds: int):
    """The change is minReadySeconds, a whole number above the time that clients need."""
    given = Circumstances(True, 2.0, 30.0, killed=False, joining=joining, unheard=True)
    advice = advise(Cause.NO_ENDPOINT, Stage.NOBODY, given, kept=False)
    assert f"minReadySeconds: {seconds} in the Deployment" in advice.change
    assert f"more than the {joining:g} s" in advice.change


@pytest.mark.parametrize(
    "cause", [Cause.QUEUE, Cause.CUT, Cause.UPLOAD, Cause.RESET, Cause.ABNORMAL]
)
@pytest.mark.parametrize("kept", [True, False])
def test_what_sigkill_ended_is_told_as_that(cause: Cause, *, kept: bool):
    """However the connection broke: the grace period is what to change."""
    given = Circumstances(qos=True, propagation=2.0, grace=5.0, killed=True)
    advice = advise(cause, Stage.STOPPING, given, kept=kept)
    assert "SIGKILL" in advice.why
    assert "--grace 5" in advice.change


@pytest.mark.parametrize(
    ("method", "told"),
    [("POST", "No client library sends a POST again"), ("GET", "Some client libraries send a GET")],
)
def test_who_repeats_what_a_kept_connection_has_lost(method: str, told: str):
    """A request that may do harm when it is done twice is repeated by no client."""
    given = Circumstances(qos=False, propagation=2.0, grace=30.0, killed=False, method=method)
    advice = advise(Cause.RESET, Stage.STOPPING, given, kept=True)
    assert told in advice.why
    assert "Connection: close" in advice.change


RUN = ("lifecycle", "run", "--service", "shop:{port}")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ((*RUN, "--", "uvicorn", "a:b"), "raise the keep-alive timeout"),
        (("lifecycle", "run", "--asgi", "a:b"), "raise the keep-alive timeout"),
        (("tini", "--", "python", "-m", *RUN, "--", "uvicorn"), "raise the keep-alive timeout"),
        ((*RUN, "--instrument=no", "--", "uvicorn", "a:b"), "remove --instrument=no"),
        (("lifecycle", "run", "shop.main:main"), "put lifecycle.asgi.Middleware around the app"),
        (("uvicorn", "a:b"), "put lifecycle.asgi.Middleware around the app"),
    ],
)
def test_a_kept_connection_under_lifecycle_run(command: tuple[str, ...], told: str):
    """A command that announces the close already gets no advice to announce it."""
    plan = Plan(command)
    given = Circumstances(
        True, 2.0, 30.0, False, wrapped=plan.is_wrapped, instrumented=plan.is_instrumented
    )
    change = advise(Cause.RESET, Stage.DRAINING, given, kept=True).change
    assert change.startswith(told)
    if "keep-alive timeout" in change:
        assert "hosts.md#keep-alive-timeouts" in change
        assert "LIFECYCLE_SETTLE to more than the idle time and the propagation (2 s)" in change


@pytest.mark.parametrize("qos", [True, False])
def test_a_kept_connection_outside_of_a_rollout(*, qos: bool):
    """Its server has a keep-alive timeout, whether or not pod-lifecycle runs it."""
    given = Circumstances(qos, 2.0, 30.0, False)
    advice = advise(Cause.RESET, Stage.SERVING, given, kept=True)
    assert "idle keep-alive connection" in advice.why
    assert "hosts.md#keep-alive-timeouts" in advice.change


@pytest.mark.parametrize("qos", [True, False])
def test_who_was_in_the_queue_is_to_be_listened_to_for_longer(*, qos: bool):
    """And the queue is to be emptied before the listener closes."""
    advice = advise(Cause.QUEUE, Stage.CLOSED, Circumstances(qos, 2.0, 30.0, False), kept=False)
    assert "accept queue" in advice.why
    assert "propagation (2 s)" in advice.change
    assert "Accept every connection in the queue before you close the listener" in advice.change


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("2000", 2000), ("64k", 65536), ("2M", 2097152), ("1g", 1 << 30)]
)
def test_sizes(text: str, size: int):
    """A number, with k, M or G behind it if it is large."""
    options = make_parser().parse_args(["rehearse", "--body-size", text, "--", "true"])
    assert options.body_size == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5M", "64kb", "64kk", "\u0663", "1 k"])
def test_what_is_no_size(text: str, capsys: pytest.CaptureFixture[str]):
    """It is refused with the value and an example."""
    with pytest.raises(SystemExit):
        make_parser().parse_args(["rehearse", f"--body-size={text}", "--", "true"])
    assert "is not a size, such as 2000, 64k or 2M" in capsys.readouterr().err


SEEN: dict[str, Any] = {
    "how": "closed",
    "reset": False,
    "kept": False,
    "heard": False,
    "begun": False,
    "seconds": 0.01,
    "size": 100,
    "arrived": 100,
}


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({}, Cause.CUT),
        ({"begun": True}, Cause.CUT),
        ({"arrived": 0}, Cause.UNASKED),
        ({"arrived": 0, "kept": True, "heard": True}, Cause.RESET),
        ({"arrived": 40}, Cause.UPLOAD),
        ({"arrived": 40, "kept": True, "heard": True}, Cause.UPLOAD),
        ({"reset": True}, Cause.QUEUE),
        ({"reset": True, "seconds": 9.0}, Cause.QUEUE),
        ({"reset": True, "seconds": 9.0, "arrived": 40}, Cause.QUEUE),
        ({"reset": True, "size": 1_000_000, "arrived": 128_000}, Cause.QUEUE),
        ({"reset": True, "size": 1_000_000, "arrived": 600_000}, Cause.UPLOAD),
        ({"reset": True, "size": 600_000, "arrived": 600_000}, Cause.CUT),
        ({"reset": True, "heard": True}, Cause.UNASKED),
        ({"reset": True, "heard": True, "kept": True}, Cause.RESET),
        ({"reset": True, "heard": True, "kept": True, "seconds": 0.3}, Cause.CUT),
        ({"arrived": None}, Cause.UNASKED),
        ({"arrived": None, "seconds": 0.3}, Cause.CUT),
        ({"arrived": None, "reset": True, "seconds": 0.3}, Cause.QUEUE),
    ],
)
def test_how_a_request_was_lost(fields: dict[str, Any], cause: Cause):
    """RST without a byte is the queue; after FIN, what had arrived tells if the request was read."""
    assert unanswered(End(**SEEN | fields)).cause is cause


@given(st.integers(1, 10_000_000), st.sampled_from([0.0, 0.0001]))
def test_a_body_is_sent_whole(size: int, seconds: float):
    """Its pieces add up, and none is larger than what is sent at once."""

    async def main() -> list[int]:
        return [each async for each in Request("/", "POST", size, seconds).pieces()]

    pieces = asyncio.run(main())
    assert sum(pieces) == size
    assert all(0 < each <= PIECE for each in pieces)
