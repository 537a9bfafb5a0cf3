"""A preStop hook that fails, or cannot be run, is never taken for one that ran."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.report.junit import junit
from lifecycle.rehearsal.report.page import page
from lifecycle.rehearsal.report.text import Painter, render
from lifecycle.rehearsal.verdict.judge import Verdict
from lifecycle.rehearsal.verdict.result import Result

HERE = str(Path(__file__).parent)
LIFECYCLE = (sys.executable, "-m", "lifecycle")
OURS = (*LIFECYCLE, "run", "--asgi", "shop:app", "--bind", "127.0.0.1:{port}")
LIMIT = 50.0


def rehearse(hook: str, command: tuple[str, ...] = OURS) -> Result:
    """Rehearse one rollout of one replica with a hook, bounded."""
    plan = Plan(
        command,
        Traffic(clients=8, think=0.2, propagation=0.3, processes=1),
        replicas=1,
        prestop=hook,
        cwd=HERE,
        env={"LIFECYCLE_SETTLE": "1"},
    )

    async def main() -> Result:
        async with asyncio.timeout(LIMIT):
            return await Rehearsal(plan).run()

    return asyncio.run(main())


def test_a_rollout_whose_hook_failed_is_no_success():
    """Nothing is lost, because the app drains on SIGTERM; every way to tell it says what failed."""
    result = rehearse("sh -c 'echo no token; exit 4'")
    assert result.lost == 0
    assert result.verdict in (Verdict.HOOK_FAILED, Verdict.INCONCLUSIVE)  # by what runs beside this
    assert result.verdict.exit_code
    why = (
        "THE PRESTOP HOOK FAILED (sh -c 'echo no token; exit 4') for app-1: exit code 4: no token."
    )
    (finding,) = [each for each in result.findings() if each.startswith(why)]
    assert "drained on SIGTERM, not on the hook" in finding
    told = json.loads(json.dumps(result.to_json()))
    assert (told["verdict"], told["findings"]) == (result.verdict, result.findings())
    assert "PRESTOP HOOK FAILED" in render(result, Painter())
    assert "PRESTOP HOOK FAILED" in page(result)
    assert "PRESTOP HOOK FAILED" in junit(result)
    assert 'errors="1"' in junit(result)


def test_a_hook_that_is_turned_away_is_no_success():
    """The kubelet ignores the status of a hook; its drain has not begun with it all the same."""
    own_token = "LIFECYCLE_PRESTOP_TOKEN=another-one-of-its-own exec " + " ".join(OURS)
    result = rehearse("http", ("sh", "-c", own_token))
    assert result.lost == 0
    assert result.verdict in (Verdict.HOOK_FAILED, Verdict.INCONCLUSIVE)
    (finding,) = [each for each in result.findings() if "PRESTOP HOOK FAILED" in each]
    assert "(GET /prestop) for app-1: the answer was 403, which the kubelet ignores" in finding


@pytest.mark.parametrize("hook", ["no-such-program --now", "./no-such-script", "/no/such/program"])
def test_a_hook_without_a_program_is_not_rehearsed(hook: str):
    """It is refused before the app is started: its command would fail too."""
    with pytest.raises(CannotRehearse, match=rf"--prestop {hook}: cannot run \S+ in the container"):
        rehearse(hook, ("no-such-app",))


def test_a_hook_that_names_no_interpreter_is_not_rehearsed(tmp_path: Path):
    """A kubelet cannot run it, though a shell would: the line that is missing is named."""
    hook = tmp_path / "hook"
    hook.write_text("exit 0\n")
    hook.chmod(0o755)
    with pytest.raises(CannotRehearse, match=r"exec format error. Start the file .* #!/bin/sh"):
        rehearse(str(hook), ("no-such-app",))
