"""The Events: which ones, what they say, how many a minute, and their form."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_kubernetes import events
from lifecycle_kubernetes.event_names import REASONS, REPEATED, chosen
from lifecycle_kubernetes.events import Event, Pod, as_message, event_object
from lifecycle_kubernetes.known import Known
from lifecycle_kubernetes.outbox import PER_MINUTE, Outbox
from lifecycle_kubernetes.place import Options

import lifecycle
from lifecycle.environment_variables import fill

POD = Pod("orders-1", "shop", "u1", "node-a")
DRAIN: dict[str, Any] = {
    "elapsed": 6.21,
    "arrivals": [7, 0, 3, 2],
    "last_request": 3.14,
    "cut_off": [],
}


def service(name: str, **held_by: str) -> dict[str, Any]:
    return {"name": name, "online": not held_by, "held_by": held_by}


def event(reason: str = "Ready", message: str = "x", number: int = 1) -> Event:
    return Event(reason, message, 1764530000.9, number)


# Which


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("all",), set(REASONS)),
        (("None",), set()),
        (("draining", "CutOff"), {"Draining", "CutOff"}),
        (("Ready", "ready"), {"Ready"}),
    ],
)
def test_the_option_chooses(words: tuple[str, ...], names: set[str]) -> None:
    """All, none, or those that are named, in any case of letters."""
    assert chosen(words) == names
    assert Options(events=words).chosen_events == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Redy", "events: 'Redy' must be one of Registered, Ready.*Did you mean Ready?"),
        ("ready,StartSlwo", "'StartSlwo'.*Did you mean StartSlow?"),
        ("alle", "Did you mean all?"),
        ("nothing-like-it", "must be one of"),
        ("all,Ready", "'all' must be alone"),
        ("Ready,none", "'none' must be alone"),
        (" , ", "must be all, none, or names of events"),
    ],
)
def test_a_wrong_name_is_an_error_with_the_nearest_one(text: str, said: str) -> None:
    """The app does not start, and the message has the variable."""
    with pytest.raises(lifecycle.ConfigError, match=said) as error:
        fill(Options, {"LIFECYCLE_KUBERNETES_EVENTS": text}, plugin="kubernetes")
    assert "LIFECYCLE_KUBERNETES_EVENTS" in str(error.value)
    assert error.value.see.endswith("errors.md#option-of-a-plugin")


@pytest.mark.parametrize("seconds", [0.9, 86401.0, float("nan")])
def test_a_slow_start_has_a_range(seconds: float) -> None:
    """From a second to a day."""
    with pytest.raises(ValueError, match=r"slow_start_after=[^:]+: must be from 1 to 86400 s"):
        Options(slow_start_after=seconds)


# What they say


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ([service("orders", operator="")], "Offline: orders (administrator)."),
        (
            [service("orders", operator="new disk"), service("stock", operator="new disk")],
            "Offline: orders, stock (administrator: new disk).",
        ),
        (
            [service("orders", app="warming up", operator="")],
            "Offline: orders (app: warming up, administrator).",
        ),
        (
            [service(f"s{each}", app="") for each in range(25)],
            "Offline: s0, s1, s2, s3, s4, s5, s6, s7, s8, s9 and 15 more (app).",
        ),
    ],
)
def test_offline_has_who_and_why(services: list[Any], message: str) -> None:
    """Each reason once, whatever the number of services."""
    assert events.offline(services) == message


@pytest.mark.parametrize(
    ("drain", "left", "message"),
    [
        (
            DRAIN,
            0,
            "The drain took 6.2 s. Requests after its start: 12, the last one after 3.1 s.",
        ),
        (DRAIN | {"arrivals": []}, 0, "The drain took 6.2 s. No request came after its start."),
        (DRAIN | {"arrivals": None}, 0, "The drain took 6.2 s."),
        (DRAIN | {"arrivals": []}, 2, "In flight at its end: 2. No request"),
    ],
)
def test_drained_has_the_seconds_and_what_came_late(
    drain: dict[str, Any], left: int, message: str
) -> None:
    """Where nothing counts, nothing is said about what came."""
    snapshot: Any = {"drain": drain, "in_flight": left}
    assert message in events.drained(snapshot)


def test_a_slow_start_has_its_longest_step() -> None:
    """With its seconds so far."""
    steps = [{"name": "imports", "seconds": 28.14}, {"name": "lifespan", "seconds": 1.0}]
    start = {"steps": steps, "slowest": "imports"}

    assert events.slow(start, 30.0) == (
        "The start has taken longer than 30 s. The longest step so far is imports with 28.1 s."
    )
    assert events.slow({"steps": [], "slowest": ""}, 2.5) == (
        "The start has taken longer than 2.5 s."
    )


def test_ready_has_the_seconds_and_what_is_offline() -> None:
    """A service that is held offline from the start is told here."""
    snapshot: Any = {"start": {"seconds": 3.21}, "services": [service("a"), service("b", app="")]}

    assert events.ready(snapshot) == "The app is ready after a start of 3.2 s. Offline: b."


@given(text=st.text(max_size=3000), left_out=st.integers(0, 10**6))
def test_a_message_is_one_line_that_fits(text: str, left_out: int) -> None:
    """At most 1,024 bytes, whatever an app names its requests; the count is never cut off."""
    message = as_message(text, left_out)

    assert len(message.encode(errors="strict")) <= 1024
    assert message.isprintable()
    assert not left_out or message.endswith(f" ({left_out} more events were left out.)")


# Their form


def test_the_object_is_what_kubectl_describes() -> None:
    """It is about this very pod, and has the source, the times and the count of `describe`."""
    made = event_object(event("CutOff", "Cut off: GET /", 0x1F), POD)

    assert made["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "orders-1",
        "namespace": "shop",
        "uid": "u1",
    }
    assert made["metadata"] == {"name": "orders-1.1f", "namespace": "shop"}
    assert made["source"] == {"component": "pod-lifecycle", "host": "node-a"}
    assert made["reportingComponent"] == "pod-lifecycle"
    assert made["firstTimestamp"] == made["lastTimestamp"] == "2025-11-30T19:13:20Z"
    assert (made["type"], made["reason"], made["count"]) == ("Warning", "CutOff", 1)


def test_only_what_went_wrong_is_a_warning() -> None:
    """A rollout that goes well has no warning."""
    warnings = [each for each in REASONS if event_object(event(each), POD)["type"] == "Warning"]

    assert warnings == ["CutOff", "StartSlow"]


@given(name=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", fullmatch=True))
def test_the_name_of_an_event_is_valid_for_any_pod(name: str) -> None:
    """As long as the longest name of a pod, a name that Kubernetes takes."""
    pod = re.sub(r"[.-]{2,}", "-", name)
    made = event_object(event(number=1764530000_123456789), POD._replace(name=pod))["metadata"]

    assert len(made["name"]) <= 253
    assert re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]+", made["name"])


# How many


PUT = st.sampled_from(REASONS)
WAIT = st.floats(0, 50)


@given(st.lists(st.tuples(PUT, WAIT, st.booleans()), max_size=120))
def test_a_pod_sends_at_most_ten_a_minute(steps: list[tuple[str, float, bool]]) -> None:
    """Whatever comes, and however long the API server was away; the rest is counted."""
    outbox, now, sent, refused = Outbox(frozenset(REASONS)), 0.0, [], 0
    told = 0
    for reason, wait, sends in steps:
        now += wait
        refused += not outbox.put(event(reason), now)
        while sends and (first := outbox.first) is not None:
            found = re.search(r"\((\d+) more", first.message)
            told += int(found[1]) if found else 0
            outbox.sent(now)
            sent.append(now)
    for moment in sent:
        assert sum(moment - 60 < each <= moment for each in sent) <= PER_MINUTE
    assert told <= refused


@given(st.lists(st.sampled_from(sorted(REPEATED)), min_size=5, max_size=50))
def test_a_service_that_flaps_hides_no_other_event(flaps: list[str]) -> None:
    """Each of the others comes once, and is sent; the first one has the number of those left out."""
    outbox = Outbox(frozenset(REASONS))
    others = [each for each in REASONS if each not in REPEATED]
    left_out = sum(not outbox.put(event(each), 0.0) for each in flaps)

    assert left_out == len(flaps) - 4
    assert all(outbox.put(event(each), 1.0) for each in others)
    messages = []
    while (first := outbox.first) is not None:
        messages.append(first.message)
        outbox.sent(2.0)
    assert messages[4] == f"x ({left_out} more events were left out.)"
    assert messages[5] == "x"


def test_an_event_that_is_not_wanted_counts_for_nothing() -> None:
    """Neither sent nor counted; after a refusal nothing is."""
    outbox = Outbox({"Ready"})

    assert not outbox.put(event("Draining"), 0.0)
    assert outbox.put(event("Ready"), 0.0)
    outbox.close()
    assert outbox.first is None
    assert not outbox.put(event("Ready"), 0.0)


# What the pod has


STEP = st.tuples(
    st.sampled_from(["send a", "send b", "arrive", "answer", "fail"]), st.integers(0, 5)
)


@given(st.lists(STEP, max_size=30))
def test_what_is_taken_for_written_is_written(steps: list[tuple[str, int]]) -> None:
    """Requests that run at the same time arrive in any order, and one that failed may arrive."""
    known, stored = Known(), ""
    under_way: dict[int, str] = {}
    arrived: set[int] = set()
    for step, which in [*steps, *[("answer", 0)] * len(steps)]:
        if step.startswith("send"):
            under_way[known.sent(step[-1])] = step[-1]
        elif under_way:
            number = [*under_way][which % len(under_way)]
            if step != "fail" and number not in arrived:
                stored = under_way[number]
                arrived.add(number)
            if step != "arrive":
                known.answered(number, accepted=step == "answer")
                del under_way[number]
        assert under_way or known.text in (None, stored)


def test_a_request_that_is_alone_makes_it_known() -> None:
    """Until then it is not known, and after a failure neither."""
    known = Known()
    assert known.text is None
    known.answered(known.sent("a"), accepted=True)
    assert known.text == "a"
    first, second = known.sent("b"), known.sent("b")
    known.answered(second, accepted=True)
    known.answered(first, accepted=True)
    assert known.text == "b"
    known.answered(known.sent("c"), accepted=False)
    assert known.text is None
