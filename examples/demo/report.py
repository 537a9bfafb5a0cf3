"""The result: requests served and lost, and how long each step of the drain took."""

from __future__ import annotations

from collections.abc import Iterable

from record import Rollout
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

MEANING = {
    "deregister": "out of every registry, confirmed",
    "settle": "clients had time to notice, idle connections closed",
    "quiet": "nothing in flight, nothing arrived for 1 s",
    "wait": "every drain hook returned: preStop answered",
    "signal": "SIGTERM came",
    "stop": "listener closed, main ended",
    "close": "plugins and registries closed",
}
COUNTED = (
    "A request is lost if it was refused, reset or cut off without a response. No client uses a "
    "connection that it has seen closed. Clients on keep-alive connections send the next request "
    "as soon as they have a response, as a busy proxy does."
)


def report(console: Console, mine: Rollout, others: Iterable[Rollout]) -> None:
    """Print the end of the demo."""
    steps = next((track.steps for track in mine.tracks if track.steps), {})
    console.print()
    console.print(_drain(steps, max(8, min(28, console.width - 70))))
    console.print()
    console.print(_comparison([mine, *others]))
    console.print(Text(COUNTED, style="dim"))
    console.print()
    console.print(_verdict(mine))


def _drain(steps: dict[str, float], bar_width: int) -> Table:
    table = Table(title="The drain, from the app's own report", title_justify="left", box=None)
    table.add_column("step", style="bold", no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", style="dim")
    longest = max(steps.values(), default=1.0) or 1.0
    for step, at in sorted(steps.items(), key=lambda item: item[1]):
        bar = Text("█" * max(1, round(bar_width * at / longest)), style="#b76fd6")
        table.add_row(step, f"{at:.3f} s", bar, MEANING.get(step, ""))
    return table


def _comparison(rollouts: Iterable[Rollout]) -> Table:
    table = Table(
        title="The same app, the same load, the same rollout", title_justify="left", box=SIMPLE_HEAD
    )
    table.add_column("", no_wrap=True)
    for column in (
        "served",
        "lost",
        "on new\nconnections",
        "on keep-alive\nconnections",
        "out\nafter",
    ):
        table.add_column(column, justify="right")
    for each in rollouts:
        style = "bold red" if each.lost else "bold green"
        table.add_row(
            Text(each.how, style="bold"),
            f"{each.served:,}",
            Text(f"{each.lost:,}", style=style),
            f"{each.tally.lost(kept=False):,}",
            f"{each.tally.lost(kept=True):,}",
            f"{each.took:.1f} s",
        )
    return table


def _verdict(mine: Rollout) -> Text:
    text = Text(f"pod-lifecycle: {mine.served:,} requests served, ")
    text.append(f"{mine.lost:,} lost", style="bold red" if mine.lost else "bold green")
    for reason, count in mine.reasons.most_common():
        text.append(f"\n  {count} times: {reason}")
    return text
