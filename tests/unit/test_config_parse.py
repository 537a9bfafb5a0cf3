"""What the text of a variable may be, by Hypothesis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lifecycle.config import KILL_MARGIN, Config
from lifecycle.environment_variables import fill, is_service_link, parse, unknown_variables
from lifecycle.exceptions import ConfigError

words = st.text(st.characters(blacklist_characters=",", blacklist_categories=("Cs",)), min_size=1)


@given(st.floats(allow_nan=False))
def test_a_number_survives(value: float) -> None:
    """What Python prints for a number is read as that number."""
    assert parse(f" {value!r} ", float) == value


@given(st.integers())
def test_a_whole_number_survives(value: int) -> None:
    """So is a whole one."""
    assert parse(str(value), int) == value
    assert parse(str(value), int | None) == value


@given(st.lists(words.map(str.strip).filter(bool)))
def test_a_list_of_words_survives(value: list[str]) -> None:
    """A tuple is what its words are, joined by commas."""
    assert parse(",".join(value), tuple[str, ...]) == tuple(value)


@given(st.sampled_from(["1", "true", "yes", "on"]), st.booleans())
def test_a_flag(text: str, upper: bool) -> None:
    """A flag may be written in several ways, in any case."""
    assert parse(text.upper() if upper else text, bool) is True


@given(st.text(), st.sampled_from([bool, int, float, str, tuple[int, ...], float | None]))
def test_any_text(text: str, annotation: Any) -> None:
    """Any text is read, or refused with a sentence that says what is wanted."""
    problem = ""
    try:
        value = parse(text, annotation)
    except ValueError as wrong:
        problem = str(wrong)
    kind = {tuple[int, ...]: tuple, float | None: (float, type(None))}
    assert problem.startswith("must be ") or isinstance(value, kind.get(annotation, annotation))


@given(
    grace_period=st.floats(),
    settle=st.floats(),
    quiet=st.floats(),
    stop_timeout=st.floats(),
)
def test_times_fit_or_are_refused(**times: float) -> None:
    """Whatever times are given: they fit into the grace period, or there is no Config."""
    try:
        config = Config(**times)
    except ConfigError:
        return
    assert all(math.isfinite(value) for value in times.values())
    needed = config.settle + config.quiet + config.stop_timeout + KILL_MARGIN
    assert needed <= config.grace_period


@given(st.text(), st.sampled_from(["tcp", "UDP", "sctp"]), st.text())
@example("SERVICE", "tcp", "10.0.0.1:80")  # its other variables end like that
def test_an_address_of_a_service_link_is_never_ours(name: str, protocol: str, rest: str) -> None:
    """A port that is `tcp://…` was made by Kubernetes, whatever the Service is called."""
    assert is_service_link(f"LIFECYCLE_{name}_PORT", f"{protocol}://{rest}")
    assert not is_service_link("LIFECYCLE_TARGETS", f"{protocol}://{rest}")


@pytest.mark.parametrize("name", ["LIFECYCLE_QOS_PORT", "LIFECYCLE_SERVICES", "LIFECYCLE_TCP_PORT"])
def test_our_own_variables_are_no_links(name: str) -> None:
    """A plain value under a name of ours is ours."""
    assert not is_service_link(name, "8080")


FAMILY = {"LIFECYCLE_TCP_PORT_80_TCP": "tcp://10.96.0.7:80"}


@pytest.mark.parametrize(
    ("name", "links", "options"),
    [
        ("SERVICE_HOST", ["10.96.0.7", "fd00::7", "::1"], ["registry.internal", "", "7", "cafe"]),
        ("SERVICE_PORT", ["80", "65535"], ["https", "-1", "", "80/tcp", "\uff18\uff10"]),
        ("SERVICE_PORT_HTTP", ["80"], ["http"]),
        ("PORT_80_TCP", ["tcp://10.96.0.7:80"], ["80", "allowed", ""]),
        ("PORT_80_TCP_PROTO", ["tcp"], ["http/1.1", ""]),
        ("PORT_80_TCP_PORT", ["80"], ["auto"]),
        ("PORT_80_TCP_ADDR", ["10.96.0.7"], ["localhost"]),
    ],
)
def test_an_option_that_is_called_like_a_link(
    name: str, links: list[str], options: list[str]
) -> None:
    """A service link has a link's name and a link's value; all else is an option."""
    name = f"LIFECYCLE_TCP_{name}"
    assert all(is_service_link(name, value, FAMILY) for value in links)
    assert not any(is_service_link(name, value, FAMILY) for value in options)


@dataclass(frozen=True)
class Discovery:
    """Options whose names end like those of service links."""

    service_host: str = "localhost"
    service_port: int = 80


def test_a_link_has_a_family() -> None:
    """A number or an address alone is an option's value; with the rest of a link it is a link."""
    environ = {
        "LIFECYCLE_TCP_SERVICE_HOST": "192.0.2.7",
        "LIFECYCLE_TCP_SERVICE_PORT": "8848",
    }
    assert fill(Discovery, environ, plugin="tcp")[0] == Discovery("192.0.2.7", 8848)
    assert fill(Discovery, environ | FAMILY, plugin="tcp")[0] == Discovery()
    assert set(unknown_variables(environ, ())) == set(environ)
    assert unknown_variables(environ | FAMILY, ()) == {}


@pytest.mark.parametrize("annotation", [int, float])
@pytest.mark.parametrize("text", ["\uff18\uff10\uff18\uff10", "\u0663", "1\u00b2"])
def test_other_digits(annotation: type, text: str) -> None:
    """A number is written in plain digits."""
    with pytest.raises(ValueError, match="must be a"):
        parse(text, annotation)
