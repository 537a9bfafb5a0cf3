"""The rows about registrations in `lifecycle ls` and `lifecycle status`."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lifecycle.registration_table import HEADER, ago, rows


def service(**registrations: Any) -> Any:
    """Return a service as `/status` shows it."""
    return {
        "name": "orders",
        "port": 8080,
        "online": True,
        "held_by": {},
        "registrations": registrations,
    }


def test_one_row_for_each_registry() -> None:
    """With what is wanted, what is known, since when, the next try, and the last error."""
    now = time.time()
    found = rows(
        service(
            nacos={
                "wanted": True,
                "registered": "unknown",
                "since": now - 12.34,
                "required": True,
                "reason": "ConnectionError: refused",
                "next_try": 0.81,
            },
            local={
                "wanted": False,
                "registered": "yes",
                "since": now - 600,
                "required": True,
                "reason": "",
                "next_try": None,
            },
        )
    )
    first = ("orders", 8080, "online")
    assert found == [
        (*first, "nacos", "yes", "unknown", "12.3 s", "0.8 s", "ConnectionError: refused"),
        (*first, "local", "no", "yes", "10 min", "-", "-"),
    ]
    assert {len(each) for each in found} == {len(HEADER)}


def test_a_service_without_a_registry() -> None:
    """It has a row all the same."""
    told = service() | {"online": False, "held_by": {"operator": "", "app": ""}, "port": None}
    assert rows(told) == [("orders", "-", "offline (operator, app)", *"-" * 6)]


def test_what_an_older_version_tells() -> None:
    """Fields that it does not have are left open."""
    told = service(local={"registered": "yes", "required": True, "reason": ""})
    assert rows(told)[0][3:] == ("local", "-", "yes", "-", "-", "-")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "0.0 s"), (59.0, "59.0 s"), (61.0, "1 min"), (-5.0, "0.0 s")]
)
def test_a_time_in_words(seconds: float, said: str) -> None:
    """In seconds, then in minutes; a clock that was set back is not shown."""
    assert ago(time.time() - seconds) == said
