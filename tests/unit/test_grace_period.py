"""The grace period that a registry reads from the pod."""

from __future__ import annotations

import dataclasses

import pytest

from lifecycle.config import Config
from lifecycle.exceptions import ConfigError
from lifecycle.settings import Settings


def test_the_pods_own_grace_period_is_taken_unless_one_was_set() -> None:
    """A registry that can read it gives it; what somebody has set stays; its source is shown."""
    config = Settings()
    assert config.take_grace_period(45)
    assert config.grace_period == 45
    assert config.public()["grace_period"]["source"] == "pod"
    assert config.take_grace_period(50)

    given = Settings(grace_period=60)
    assert not given.take_grace_period(45)
    assert given.grace_period == 60


def test_a_grace_period_that_the_other_times_do_not_fit_into_is_not_taken() -> None:
    """The error says which; the old one stays."""
    config = Settings()
    with pytest.raises(ConfigError, match="longer than grace_period=8 s"):
        config.take_grace_period(8)
    assert config.grace_period == 30


def test_settings_stay_equal_to_what_they_were_made_of() -> None:
    """Taking the pod's grace period changes neither equality nor hash, nor the values given."""
    config = Config(settle=4)
    settings = Settings(config)
    before = hash(settings)
    assert settings.take_grace_period(45)

    assert settings == config
    assert config == settings == Settings(settings)
    assert settings != Config(settle=3)
    assert hash(settings) == before == hash(config)
    assert (config.grace_period, config.sources["grace_period"]) == (30, "default")


def test_what_a_lifecycle_has_learnt_goes_on_to_another() -> None:
    """Settings made of another lifecycle's have its grace period, and may take one of their own."""
    first = Settings(Config())
    first.take_grace_period(45)
    second = Settings(first)
    assert (second.grace_period, second.sources["grace_period"]) == (45, "pod")
    assert second.take_grace_period(50)
    assert first.grace_period == 45


def test_settings_are_read_only() -> None:
    """A setting cannot be assigned; a copy with another value is made by `replace`."""
    settings = Settings(Config(settle=4))
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.settle = 3  # type: ignore[misc]
    assert dataclasses.replace(settings, quiet=2) == Config(settle=4, quiet=2)
