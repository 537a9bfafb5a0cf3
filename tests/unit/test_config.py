"""The settings: where they come from, and what is said of a wrong one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lifecycle.config import Config, core_variables
from lifecycle.environment_variables import fill, unknown_variables, variable
from lifecycle.exceptions import ConfigError
from lifecycle.settings import Settings

DEFAULTS: dict[str, Any] = {
    "grace_period": 30.0,
    "settle": 5.0,
    "quiet": 1.0,
    "stop_timeout": 3.0,
    "probe_timeout": 0.8,
    "register_timeout": 10.0,
    "ready_stall_limit": 5.0,
    "loop_stall_limit": 30.0,
    "qos_enabled": True,
    "qos_host": "",
    "qos_port": 22222,
    "qos_allow": (),
    "prestop_token": None,
    "run_dir": "",
    "services": (),
    "plugins": (),
    "optional_registries": (),
    "quiet_ignore": (),
}
TOKEN = "correct-horse-battery"

# field, text of the variable, its value, another value as a keyword
SET: list[tuple[str, str, Any, Any]] = [
    ("grace_period", "60", 60.0, 90),
    ("settle", " 2.5 ", 2.5, 0),
    ("quiet", "0", 0.0, 2.5),
    ("stop_timeout", "1", 1.0, 4),
    ("probe_timeout", "0.01", 0.01, 60),
    ("register_timeout", "600", 600.0, 0.1),
    ("ready_stall_limit", "0", 0.0, 2.0),
    ("loop_stall_limit", "0", 0.0, 2.0),
    ("qos_enabled", "Off", False, True),
    ("qos_host", "127.0.0.1", "127.0.0.1", "::1"),
    ("qos_port", "0", 0, 65535),
    ("qos_allow", "10.0.0.0/8, ::1,", ("10.0.0.0/8", "::1"), ("192.0.2.1/24",)),
    ("prestop_token", TOKEN, TOKEN, "another-long-secret"),
    ("run_dir", "/run/app", "/run/app", "/tmp"),
    ("services", "orders:8080,billing", ("orders:8080", "billing"), ("a/b.c:1",)),
    ("plugins", "my.plugin,no:disk", ("my.plugin", "no:disk"), ()),
    ("optional_registries", "nacos", ("nacos",), ("a", "b")),
    ("quiet_ignore", "curl/,/metrics", ("curl/", "/metrics"), ("x",)),
]
NAN = float("nan")
WRONG: list[tuple[str, Any, str]] = [
    *((name, NAN, "seconds") for name, value in DEFAULTS.items() if isinstance(value, float)),
    *((name, "5", "seconds") for name, value in DEFAULTS.items() if isinstance(value, float)),
    *((name, True, "seconds") for name, value in DEFAULTS.items() if isinstance(value, float)),
    *((name, None, "must be") for name in DEFAULTS if name != "prestop_token"),
    ("grace_period", 2.9, "from 3 to 86400 seconds"),
    *(("qos_host", host, "an address or a host name") for host in ("..", ".a", "a" * 64, "a\0b")),
    ("services", ("a:80", "b:80", "a:81"), "one port per name. 'a' has 80 and 81"),
    ("services", ("a", "a:81"), "one port per name. 'a' has none and 81"),
    ("grace_period", float("inf"), "from 3 to 86400 seconds"),
    ("settle", -0.1, "from 0 to 3600 seconds"),
    ("settle", 3601, "from 0 to 3600 seconds"),
    ("quiet", 601, "from 0 to 600 seconds"),
    ("quiet", -1, "from 0 to 600 seconds"),
    ("stop_timeout", -1, "from 0 to 3600 seconds"),
    ("probe_timeout", 0, "from 0.01 to 60 seconds"),
    ("probe_timeout", 61, "from 0.01 to 60 seconds"),
    ("register_timeout", 0, "from 0.1 to 600 seconds"),
    ("register_timeout", 601, "from 0.1 to 600 seconds"),
    ("ready_stall_limit", -1, "from 0 to 86400 seconds"),
    ("loop_stall_limit", -1, "from 0 to 86400 seconds"),
    ("qos_enabled", 1, "true or false"),
    ("qos_host", 1, "text"),
    ("qos_port", -1, "a port from 0"),
    ("qos_port", 65536, "a port from 0"),
    ("qos_port", 80.0, "a port from 0"),
    ("qos_port", True, "a port from 0"),
    ("qos_allow", ("10.0.0.0/33",), "'10.0.0.0/33' is neither"),
    ("qos_allow", ("host.example",), "'host.example' is neither"),
    ("qos_allow", "10.0.0.0/8", "a tuple of strings"),
    ("services", ["orders:1"], "a tuple of strings"),
    ("services", ("orders:0",), "'orders:0' is neither"),
    ("services", ("orders:65536",), "'orders:65536' is neither"),
    ("services", (":80",), "':80' is neither"),
    ("services", ("orders:http",), "'orders:http' is neither"),
    ("plugins", (1,), "a tuple of strings"),
]
WRONG_TEXT = [
    ("grace_period", "soon", "must be a number"),
    ("grace_period", "", "must be a number"),
    ("settle", "nan", "from 0 to 3600 seconds"),
    ("settle", "1e9", "from 0 to 3600 seconds"),
    ("qos_enabled", "maybe", "must be true or false"),
    ("qos_port", "http", "must be a whole number"),
    ("qos_port", "22222.0", "must be a whole number"),
    ("qos_port", "70000", "a port from 0"),
    ("qos_allow", "10.0.0.0/8,all", "'all' is neither"),
    ("services", "orders:99999", "'orders:99999' is neither"),
]


def test_every_setting_has_a_default() -> None:
    """Without anything said, these are the settings; the tables here know every one."""
    assert {each.name: getattr(Config(), each.name) for each in dataclasses.fields(Config)} == (
        DEFAULTS
    )
    assert [name for name, *_ in SET] == list(DEFAULTS)
    assert {each["source"] for each in Config().public().values()} == {"default"}


@pytest.mark.parametrize(("name", "text", "value", "keyword"), SET)
def test_sources(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any, keyword: Any
) -> None:
    """A setting comes from its variable; a keyword wins; `public` names the source."""
    monkeypatch.setenv(f"LIFECYCLE_{name.upper()}", text)

    config = Config()
    assert getattr(config, name) == value
    assert config.public()[name]["source"] == f"LIFECYCLE_{name.upper()}"

    config = Config(**{name: keyword})
    assert getattr(config, name) == keyword
    assert config.public()[name]["source"] == "keyword"


@pytest.mark.parametrize(("name", "value", "wanted"), WRONG)
def test_a_wrong_keyword(name: str, value: Any, wanted: str) -> None:
    """A value out of range names the field, the value and the range."""
    with pytest.raises(ConfigError) as caught:
        Config(**{name: value})
    assert str(caught.value).startswith(f"{name}={value!r}: must be ")
    assert wanted in str(caught.value)


@pytest.mark.parametrize(("name", "text", "wanted"), WRONG_TEXT)
def test_a_wrong_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, wanted: str
) -> None:
    """A wrong text names the variable too."""
    monkeypatch.setenv(f"LIFECYCLE_{name.upper()}", text)
    with pytest.raises(ConfigError) as caught:
        Config()
    assert wanted in str(caught.value)
    assert f"LIFECYCLE_{name.upper()}" in str(caught.value)


def test_only_the_variable_to_blame_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable whose name is part of another's is not blamed for it."""
    monkeypatch.setenv("LIFECYCLE_QUIET", "2")
    with pytest.raises(ConfigError) as caught:
        Config(quiet_ignore=5)
    assert "LIFECYCLE_QUIET" not in str(caught.value)


def test_an_error_is_both_kinds() -> None:
    """Who catches ValueError, and who catches LifecycleError, gets a ConfigError."""
    assert issubclass(ConfigError, ValueError)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("setle", "settle"),
        ("qos_prot", "qos_port"),
        ("plugin", "plugins"),
        ("self", "settle"),
        ("zzz", None),
    ],
)
def test_an_unknown_keyword(name: str, near: str | None) -> None:
    """An unknown keyword is an error, with the nearest name if one is near."""
    with pytest.raises(ConfigError, match="is not a setting") as caught:
        Config(**{name: 1})
    assert str(caught.value) == f"{name!r} is not a setting" + (
        f". Did you mean {near}?" if near else ""
    )


def test_a_config_is_frozen() -> None:
    """Nobody changes a setting; `dataclasses.replace` makes another config."""
    config = Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.settle = 1.0  # type: ignore[misc]
    assert dataclasses.replace(config, settle=1.0).settle == 1.0


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"grace_period": 10.9}, "11"),
        ({"settle": 24.5}, "30.5"),
        ({"quiet": 20.5}, "30.5"),
        ({"stop_timeout": 22.5}, "30.5"),
        ({"grace_period": 3, "settle": 1, "quiet": 1, "stop_timeout": 0}, "4"),
    ],
)
def test_what_does_not_fit_into_the_grace_period(given: dict[str, float], needed: str) -> None:
    """Settle + quiet + stop_timeout + 2 must fit; the error does the sum."""
    with pytest.raises(ConfigError, match=f"= {needed} s, which is longer than grace_period="):
        Config(**given)


def test_what_just_fits() -> None:
    """The sum may fill the grace period to the last."""
    assert Config(grace_period=11).grace_period == 11
    assert Config(grace_period=3, settle=1, quiet=0, stop_timeout=0).settle == 1


LINKS = {
    "LIFECYCLE_QOS_PORT": "tcp://10.96.0.11:22222",
    "LIFECYCLE_QOS_PORT_22222_TCP": "tcp://10.96.0.11:22222",
    "LIFECYCLE_QOS_PORT_22222_TCP_PROTO": "tcp",
    "LIFECYCLE_QOS_PORT_22222_TCP_PORT": "22222",
    "LIFECYCLE_QOS_PORT_22222_TCP_ADDR": "10.96.0.11",
    "LIFECYCLE_QOS_PORT_53_UDP": "udp://10.96.0.11:53",
    "LIFECYCLE_QOS_PORT_53_UDP_ADDR": "10.96.0.11",
    "LIFECYCLE_QOS_PORT_7_SCTP_PROTO": "sctp",
    "LIFECYCLE_QOS_SERVICE_HOST": "10.96.0.11",
    "LIFECYCLE_QOS_SERVICE_PORT": "22222",
    "LIFECYCLE_QOS_SERVICE_PORT_HTTP_ALT": "8080",
    "LIFECYCLE_SERVICE_HOST": "10.96.0.12",
    "LIFECYCLE_PORT": "TCP://10.96.0.12:80",
}


def test_service_links_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kubernetes makes for a Service called `lifecycle` or `lifecycle-qos` is ignored."""
    for name, value in LINKS.items():
        monkeypatch.setenv(name, value)
    assert Config().qos_port == 22222
    assert Config().public()["qos_port"]["source"] == "default"
    assert unknown_variables(LINKS, core_variables()) == {}


def test_an_unknown_variable() -> None:
    """What nobody reads gets a sentence, with the nearest name if one is near."""
    environ = {
        "LIFECYCLE_SETLE": "1",
        "LIFECYCLE_XYZZY": "1",
        "LIFECYCLE_SETTLE": "1",
        "PATH": "/bin",
        "lifecycle_settle": "1",
    }
    assert unknown_variables(environ, core_variables()) == {
        "LIFECYCLE_SETLE": "LIFECYCLE_SETLE is not a setting. Did you mean LIFECYCLE_SETTLE?",
        "LIFECYCLE_XYZZY": "LIFECYCLE_XYZZY is not a setting",
    }


def test_the_token_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is in no repr, no listing and no error."""
    assert TOKEN not in repr(Config(prestop_token=TOKEN))
    assert Config(prestop_token=TOKEN).public()["prestop_token"]["value"] == "<redacted>"
    assert Config().public()["prestop_token"]["value"] is None
    for wrong in ("short-secret", "schlüssel-schlüssel", 1234567890123456):
        with pytest.raises(ConfigError, match="prestop_token=<redacted>: must be") as caught:
            Config(prestop_token=wrong)
        assert str(wrong) not in str(caught.value)
    monkeypatch.setenv("LIFECYCLE_PRESTOP_TOKEN", "short-secret")
    with pytest.raises(ConfigError, match="from LIFECYCLE_PRESTOP_TOKEN") as caught:
        Config()
    assert "short-secret" not in str(caught.value)


def test_public_can_be_json() -> None:
    """Every setting is shown with its help, its variable and a value JSON can hold."""
    shown = Config(services=("orders:1",)).public()
    assert shown["services"] == {
        "value": ["orders:1"],
        "source": "keyword",
        "variable": "LIFECYCLE_SERVICES",
        "help": "App services, as NAME:PORT, of a main without changes.",
    }
    assert all(each["help"] for each in shown.values())


@pytest.mark.parametrize(
    ("plugin", "field", "name"),
    [
        ("", "settle", "LIFECYCLE_SETTLE"),
        ("tcp", "port", "LIFECYCLE_TCP_PORT"),
        ("my-co.tcp", "port", "LIFECYCLE_MY_CO_TCP_PORT"),
    ],
)
def test_variable(plugin: str, field: str, name: str) -> None:
    """A field's variable is made of the plugin's name and its own."""
    assert variable(field, plugin) == name


@dataclasses.dataclass(frozen=True)
class Options:
    """What a plugin might want to know."""

    host: str
    port: int = 80
    timeout: float | None = None
    tags: tuple[str, ...] = ()
    strict: bool = False
    secret: str = dataclasses.field(default="", repr=False)
    derived: int = dataclasses.field(init=False, default=7)

    def __post_init__(self) -> None:
        if self.port == 13:
            raise ValueError("port=13: must not be unlucky")


def test_fill_reads_a_plugins_options() -> None:
    """A plugin's dataclass is filled from `LIFECYCLE_<PLUGIN>_<FIELD>`."""
    environ = {
        "LIFECYCLE_TCP_HOST": "db",
        "LIFECYCLE_TCP_TIMEOUT": "1.5",
        "LIFECYCLE_TCP_TAGS": "a,b",
        "LIFECYCLE_TCP_STRICT": "yes",
        "LIFECYCLE_HOST": "not ours",
        "LIFECYCLE_TCP_DERIVED": "9",
    }
    options, sources = fill(Options, environ, plugin="tcp", port=81)
    assert options == Options("db", 81, 1.5, ("a", "b"), strict=True)
    assert sources == {
        "host": "LIFECYCLE_TCP_HOST",
        "port": "keyword",
        "timeout": "LIFECYCLE_TCP_TIMEOUT",
        "tags": "LIFECYCLE_TCP_TAGS",
        "strict": "LIFECYCLE_TCP_STRICT",
        "secret": "default",
    }


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "host"),
        ({"LIFECYCLE_TCP_HOST": "db", "LIFECYCLE_TCP_PORT": "x"}, "LIFECYCLE_TCP_PORT='x': must"),
        (
            {"LIFECYCLE_TCP_HOST": "db", "LIFECYCLE_TCP_PORT": "13"},
            r"must not be unlucky \(from LIFECYCLE_TCP_PORT\)",
        ),
    ],
)
def test_fill_refuses(environ: dict[str, str], message: str) -> None:
    """What is missing, unreadable, or refused by `__post_init__` is a ConfigError."""
    with pytest.raises(ConfigError, match=message):
        fill(Options, environ, plugin="tcp")


def test_a_plugins_options_are_shown() -> None:
    """`/config` shows a plugin's options, secrets redacted, what is computed left out."""
    config = Settings()
    options, sources = fill(Options, {"LIFECYCLE_TCP_HOST": "db"}, plugin="tcp", secret="hush")
    config.keep_options(options, "tcp", sources)

    shown = config.public_options()
    assert config.options(Options) is options
    assert set(shown) == {f"tcp.{name}" for name in sources}
    assert shown["tcp.secret"]["value"] == "<redacted>"
    assert shown["tcp.host"] == {
        "value": "db",
        "source": "LIFECYCLE_TCP_HOST",
        "variable": "LIFECYCLE_TCP_HOST",
        "help": "",
    }


@pytest.mark.parametrize("unset", [None, "", ()])
def test_an_unset_secret(unset: object) -> None:
    """Without a value, there is nothing to hide."""
    config = Settings()
    options, sources = fill(Options, {"LIFECYCLE_TCP_HOST": "db"}, plugin="tcp", secret=unset)
    config.keep_options(options, "tcp", sources)

    assert config.public_options()["tcp.secret"]["value"] in (unset, [])


def test_options_of_no_plugin() -> None:
    """Asking for options that no loaded plugin gave is an error with the class's name."""
    with pytest.raises(ConfigError, match="Options is not the options class of a loaded plugin"):
        Settings().options(Options)
