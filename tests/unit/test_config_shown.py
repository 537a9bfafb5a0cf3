"""What `/config` shows of options: anything that a plugin's may be."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lifecycle.settings import Settings


class Unshown:
    """What raises when it is to be shown."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a plugin: one is odd, one is not."""

    odd: object = None
    plain: tuple[str, ...] = ("a", "b")


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        (Path("/a"), "/a"),
        ({"a": (1, Path("/b"))}, {"a": [1, "/b"]}),
        ({(1, 2): "pair"}, "{(1, 2): 'pair'}"),
        (float("inf"), "inf"),
        (CIRCLE, "[[...]]"),
        (Unshown(OSError("no")), "(cannot be shown: OSError)"),
        (Unshown(SystemExit(3)), "(cannot be shown: SystemExit)"),
    ],
)
def test_an_odd_option_is_shown_as_text(odd: object, shown: object) -> None:
    """What JSON cannot hold is text, and takes no other setting's value away."""
    config = Settings()
    config.keep_options(Options(odd), "shop", {"odd": "keyword", "plain": "default"})
    told = json.loads(json.dumps(config.public() | config.public_options(), allow_nan=False))
    assert told["shop.plain"]["value"] == ["a", "b"]
    assert told["grace_period"]["value"] == 30
    assert told["shop.odd"]["value"] == shown
