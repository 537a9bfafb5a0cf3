"""The grace period that a registry reads from the pod."""

from __future__ import annotations

import pytest

from lifecycle.config import Config
from lifecycle.exceptions import ConfigError


def test_the_pods_own_grace_period_is_taken_unless_one_was_set() -> None:
    """A registry that can read it gives it; what somebody has set stays; its source is shown."""
    config = Config()
    assert config.take_grace_period(45)
    assert config.grace_period == 45
    assert config.public()["grace_period"]["source"] == "pod"
    assert config.take_grace_period(50)

    given = Config(grace_period=60)
    assert not given.take_grace_period(45)
    assert given.grace_period == 60


def test_a_grace_period_that_the_other_times_do_not_fit_into_is_not_taken() -> None:
    """The error says which; the old one stays."""
    config = Config()
    with pytest.raises(ConfigError, match="do not fit into grace_period=8 s"):
        config.take_grace_period(8)
    assert config.grace_period == 30
