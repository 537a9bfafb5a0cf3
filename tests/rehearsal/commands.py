"""The commands that are rehearsed, and with which options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lifecycle.testing import free_port
from lifecycle.testing.environment import handed_on

HERE = Path(__file__).parent
LONGEST = 55
AT_ONCE = 3

LIFECYCLE = [sys.executable, "-m", "lifecycle"]
UVICORN = [sys.executable, "-m", "uvicorn", "shop:app", "--port", "{port}"]
OURS = [*LIFECYCLE, "run", "--asgi", "shop:app", "--bind", "127.0.0.1:{port}"]
FILES = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
FAULTY = [sys.executable, "faulty.py"]
BREAKING = [sys.executable, "breaking.py", "{port}"]
QUICK = ["--propagation", "0.5", "--clients", "10"]
LATE = ["--first-after", "0.15"]
UPLOADS = ["--path", "/upload", "--body-size", "64k", "--body-seconds", "0.3"]
IDLE = ["--clients", "40", "--kept", "0.9", "--busy", "0", "--think", "0.3", "--rtt", "0.1"]
POSTS = ["--method", "POST", "--body-size", "2k", "--path", "/upload", *IDLE]

Words = list[str]

RUNS: dict[str, tuple[Words, Words]] = {
    "uvicorn": (["--rollouts", "3", "--json", "--report", "{folder}/uvicorn.html"], UVICORN),
    "ours": (
        [
            *(
                "--json",
                "--slow",
                "/slow",
                "--slow-share",
                "0.05",
                "--report",
                "{folder}/ours.html",
            ),
            *("--protocol", "http1", "--protocol", "http2", "--protocol", "websocket"),
        ],
        OURS,
    ),
    "text": ([*QUICK, "--prestop", "sleep:1"], UVICORN),
    "cut": ([*QUICK, "--json", "--slow", "/slow", "--slow-share", "0.2"], BREAKING),
    "no such command": ([], ["no-such-command-here"]),
    "bad option": (["--kept", "2"], UVICORN),
    "bad report": (["--report", "/no/such/folder/out.html"], UVICORN),
    "bad junit": (["--junit", "/no/such/folder/junit.xml"], FILES),
    "no such hook": (["--prestop", "no-such-hook --now"], FILES),
    "no dashes": ([], []),
    "our uploads": (
        ["--json", *LATE, *UPLOADS, "--protocol", "http1", "--protocol", "http2"],
        OURS,
    ),
    "shell": ([*QUICK, "--json", "--grace", "12"], ["sh", "-c", '"$@"; true', "sh", *OURS]),
    "our posts": ([*QUICK, "--json", *POSTS], OURS),
    "first": ([*QUICK, "--json", "--kept", "0", *LATE], [*FAULTY, "first", "{port}"]),
    "idle": ([*QUICK, "--json", *POSTS], [*FAULTY, "idle", "{port}"]),
    "upload": ([*QUICK, "--json", *UPLOADS], [*FAULTY, "upload", "{port}"]),
    "queue": ([*QUICK, "--json", "--kept", "0"], [*FAULTY, "queue", "{port}"]),
    "killed": ([*QUICK, "--json", "--grace", "1", "--path", "/shop.py"], FILES),
    "full report": ([*QUICK, "--grace", "1", "--report", "/dev/full"], FILES),
    "fails": (
        ["--report", "{folder}/fails.html"],
        [sys.executable, "-c", "raise SystemExit('no database')"],
    ),
    "no port": (["--start-time", "0.5"], ["sleep", "30"]),
    "never ready": (["--start-time", "6", "--ready", "/nowhere"], FILES),
    "other port": (
        ["--start-time", "10"],
        [*LIFECYCLE, "run", "--asgi", "shop:app", "--bind", ":0"],
    ),
    "wrong port": ([], [*FILES[:-1], str(free_port())]),
    "error": (["--path", "/broken"], UVICORN),
    "no http2": (["--protocol", "http2"], FILES),
    "no websocket": (["--protocol", "websocket"], FILES),
    "no POST": (["--path", "/shop.py", "--body-size", "1k"], FILES),
    "no qos": (["--prestop", "exec"], FILES),
}

Done = subprocess.CompletedProcess[str]


def rehearse(name: str, folder: Path) -> Done:
    """Run one of them to its end."""
    options, command = RUNS[name]
    words = [word.replace("{folder}", str(folder)) for word in options]
    words = [*words, "--", *command] if command else UVICORN
    return subprocess.run(
        [*LIFECYCLE, "rehearse", *words],
        cwd=HERE,
        env=handed_on(),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
