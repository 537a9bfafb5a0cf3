"""A drain while the process has no descriptor left to read the kernel's tables."""

from __future__ import annotations

import errno
import os

import pytest

from tests.unit.drain.play import Play, soon
from tests.unit.virtual_time import run


@pytest.mark.parametrize("back_after", [2.0, None])
def test_a_queue_that_nobody_can_see_is_waited_for(
    back_after: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients may be in it: until it can be seen, or the wait's deadline; then the report says so."""

    async def main() -> None:
        play = await Play(settle=5, quiet=1, grace_period=30, stop_timeout=3).open()

        def look(*_: int) -> int:
            if back_after is None or play.after() < 5 + back_after:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return 0

        monkeypatch.setattr("lifecycle.drain.report.accept_queue", look)
        play.signal()
        took = await play.end()
        if back_after is None:
            assert took == soon(25)
            assert play.report["waited_for"] == (
                "the accept queue cannot be read: Too many open files"
            )
        else:
            assert took == soon(5 + back_after)
            assert "waited_for" not in play.report
        assert not play.stage.diary.of("drain")

    run(main())
