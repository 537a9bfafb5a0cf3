"""What exporters log: for the plugin's own ones, it becomes a reason; for the app's, it stays."""

from __future__ import annotations

import logging
import threading

import pytest
from lifecycle_opentelemetry.quiet import LONGEST, described, overheard

LOGGER = logging.getLogger("opentelemetry.exporter.test")


def test_the_last_error_and_the_last_warning_are_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And nothing of it reaches the log of the app."""
    with overheard() as heard:
        LOGGER.warning("first")
        LOGGER.warning("second")
        LOGGER.error("Failed to export %s", "spans")
        LOGGER.info("and by the way")
        LOGGER.debug("that too")
    assert heard.error == "Failed to export spans"
    assert heard.reason == "Failed to export spans second"
    assert not caplog.records


def test_other_threads_and_later_messages_are_not_affected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The exporters of the app are often of the same class."""
    with overheard() as heard:
        other = threading.Thread(target=LOGGER.warning, args=("of the app",))
        other.start()
        other.join(10)
    LOGGER.warning("later")
    assert [record.message for record in caplog.records] == ["of the app", "later"]
    assert not heard.reason


def test_a_traceback_becomes_one_text() -> None:
    """Bounded, and with the error."""
    with overheard() as heard:
        try:
            {}["x" * 10_000]
        except KeyError:
            LOGGER.exception("Exception while exporting %s.", "metrics")
        LOGGER.debug("%d", "not a number")
    text = heard.error
    assert text.startswith("Exception while exporting metrics. KeyError: 'xxx")
    assert len(text) == LONGEST


def test_a_message_with_wrong_arguments() -> None:
    """It is shown as it is."""
    with overheard() as heard:
        LOGGER.warning("%d spans", "many")
    assert (heard.reason, heard.error) == ("%d spans", "")


def test_an_error_without_a_text() -> None:
    """Its class is shown."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert described(Mute()) == "Mute"
