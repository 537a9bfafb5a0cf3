# ruff: noqa: INP001 - a script beside the pages
"""Pictures of the page on concepts: which setup fits, and the callers of each port."""

from __future__ import annotations

from typing import Final

from picture import MARGIN, WIDTH, text, whole

SETUPS: Final = (
    (("Does the program end", "by itself?"), ("a job:", "lifecycle run -- COMMAND")),
    (("Is it a Celery or", "Dramatiq worker?"), ("lifecycle run -- COMMAND,", "without --service")),
    (("Does it fetch messages", "from a queue?"), ("a queue worker:", "lifecycle run worker:main")),
    (("Is it a gRPC server", "(grpc.aio)?"), ("the plugin", "lifecycle-grpc")),
    (("Is it an ASGI app with a", "fixed start command?"), ("Managed in your ASGI app,", "one worker, preStop hook")),
    (("Does a server\u2019s command", "start your app?"), ("lifecycle run --service", "NAME:PORT -- COMMAND")),
    (("Is it an ASGI app", "without a server?"), ("lifecycle run --asgi", "MODULE:APP")),
    (("Is it an aiohttp app?",), ("the plugin", "lifecycle-aiohttp")),
    (("Does another program own", "the event loop?"), ("async with", "lifecycle.Lifecycle()")),
)  # fmt: skip
"""Each question, and the setup if the answer is yes."""
LAST: Final = ("an asyncio main:", "lifecycle run MODULE:main")
BOX: Final = 56
ROW: Final = 82
LEFT: Final = 270
"""The width of a question."""
RIGHT: Final = 282
"""The width of a setup."""


def which_setup() -> str:
    """Return the decision tree, as SVG."""
    parts = []
    answer = WIDTH - MARGIN - RIGHT
    for row, (question, setup) in enumerate(SETUPS):
        y = 52 + row * ROW
        parts += _box(MARGIN, y, LEFT, question, "lane")
        parts += _arrow(MARGIN + LEFT, y + BOX / 2, answer, y + BOX / 2, "yes")
        parts += _box(answer, y, RIGHT, setup)
        parts += _arrow(MARGIN + LEFT / 2, y + BOX, MARGIN + LEFT / 2, y + ROW, "no")
    y = 52 + len(SETUPS) * ROW
    parts += _box(MARGIN, y, LEFT, LAST)
    return whole("Which setup is mine?", y + BOX + MARGIN, parts)


def callers() -> str:
    """Return the callers of each port, as SVG."""
    rows = (
        ("clients, proxies", "requests", ("your app\u2019s port,", "for example 8080")),
        ("", "probes", ("probe port (QOS port)", "22222")),
        ("kubelet", "preStop", ("lifecycle prestop,", "by the control socket")),
        ("", "SIGTERM", ("pod-lifecycle",)),
        ("you", "kubectl exec", ("lifecycle status,", "by the control socket")),
    )
    wide, target = 168, WIDTH - MARGIN - 246
    parts = [
        f'<rect x="{target - 12}" y="48" width="{258 + 6}" height="{len(rows) * 70 + 40}" rx="6" '
        'class="off"/>',
        text(target, 72, "your container", "plain"),
    ]
    top = 84
    parts += _box(MARGIN, top + 70, wide, ("kubelet",), "lane", height=2 * 70 + BOX)
    for row, (caller, label, called) in enumerate(rows):
        y = top + row * 70
        if caller not in ("", "kubelet"):
            parts += _box(MARGIN, y, wide, (caller,), "lane")
        parts += _arrow(MARGIN + wide, y + BOX / 2, target, y + BOX / 2, label)
        parts += _box(target, y, 246, called)
    return whole("Callers and ports", top + len(rows) * 70 + 26, parts)


def _box(
    x: float, y: float, width: float, lines: tuple[str, ...], kind: str = "", height: float = BOX
) -> list[str]:
    first = y + height / 2 + 5.5 - 10.5 * (len(lines) - 1)
    return [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" '
        'class="box"/>',
        *(text(x + 12, first + 21 * row, line, kind) for row, line in enumerate(lines)),
    ]


def _arrow(x1: float, y1: float, x2: float, y2: float, label: str) -> list[str]:
    across = y1 == y2
    head = "l-9 -5v10z" if across else "l-5 -9h10z"
    where = (
        ((x1 + x2) / 2 - 3, y1 - 7, "middle") if across else (x1 + 10, (y1 + y2) / 2 + 4, "start")
    )
    return [
        f'<path d="M{x1:.1f} {y1:.1f}L{x2 - 2 * across:.1f} {y2 - 2 * (not across):.1f}" '
        'class="arrow"/>',
        f'<path d="M{x2:.1f} {y2:.1f}{head}" class="head"/>',
        text(where[0], where[1], label, "plain", where[2]),
    ]


PICTURES: Final = {"which-setup.svg": which_setup, "callers.svg": callers}
"""How each picture is drawn, by the name of its file."""
