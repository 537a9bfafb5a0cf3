"""The options: off by default, and what is wrong is refused at start by its variable's name."""

from __future__ import annotations

import pytest
from lifecycle_istio.options import QUIT, READY, Options, read_url
from lifecycle_istio.plugin import Istio

from lifecycle import ConfigError
from lifecycle.environment_variables import fill


def test_defaults() -> None:
    """It is off, and knows where the agent is."""
    options = Options()

    assert not options.enabled
    assert (options.ready_url, options.quit_url) == (READY, QUIT)
    assert (str(read_url(READY)), str(read_url(QUIT))) == (READY, QUIT)
    assert options.wait_timeout < 120  # the startupProbe of `lifecycle manifests`
    assert Istio().lifecycle_options() is Options


@pytest.mark.parametrize("name", ["WAIT", "QUIT"])
def test_each_switches_it_on(name: str) -> None:
    """One of the two is enough."""
    options, _ = fill(Options, {f"LIFECYCLE_ISTIO_{name}": "true"}, plugin="istio")

    assert options.enabled


@pytest.mark.parametrize("url", ["http://[::1]:15021/healthz/ready?a=b", "http://127.0.0.1:1/"])
def test_a_url_of_this_pod(url: str) -> None:
    """An address of loopback with a port, of either version."""
    assert str(read_url(url)) == url
    assert str(read_url("http://127.0.0.1:1")) == "http://127.0.0.1:1/"


BAD_URLS = [
    "",
    "127.0.0.1:15021",
    "https://127.0.0.1:15021/",
    "http://127.0.0.1/healthz/ready",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://localhost:15021/",
    "http://10.0.0.1:15020/quitquitquit",
    "http://orders:15020/",
    "http://user@127.0.0.1:15020/",
    "http://127.0.0.1:15020/quit quit",
    "http://127.0.0.1:15020/quit\r\nX: 1",
    "http://[::1:15020/",
]


@pytest.mark.parametrize("field", ["ready_url", "quit_url"])
@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_is_none_of_this_pod(field: str, url: str) -> None:
    """Nobody else's sidecar is asked, or ended, by mistake."""
    variable = f"LIFECYCLE_ISTIO_{field.upper()}"
    with pytest.raises(ConfigError) as refused:
        fill(Options, {variable: url}, plugin="istio")

    assert str(refused.value) == (
        f"{field}={url!r}: must be http://ADDRESS:PORT/PATH with a loopback address "
        f"(from {variable})"
    )


@pytest.mark.parametrize("seconds", ["0", "-1", "3601", "nan", "inf"])
def test_a_timeout_out_of_range(seconds: str) -> None:
    """The range is in the message."""
    with pytest.raises(ConfigError, match=r"wait_timeout|LIFECYCLE_ISTIO_WAIT_TIMEOUT"):
        fill(Options, {"LIFECYCLE_ISTIO_WAIT_TIMEOUT": seconds}, plugin="istio")


@pytest.mark.parametrize("name", ["WAIT", "QUIT", "WAIT_TIMEOUT"])
def test_what_is_no_value(name: str) -> None:
    """The variable is named."""
    with pytest.raises(ConfigError, match=rf"^LIFECYCLE_ISTIO_{name}='perhaps': "):
        fill(Options, {f"LIFECYCLE_ISTIO_{name}": "perhaps"}, plugin="istio")
