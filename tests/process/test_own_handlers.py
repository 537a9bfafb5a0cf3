"""The app's own signal handlers: called exactly once, whatever the order and the machine."""

from __future__ import annotations

import signal

import pytest

from tests.process.kit import GRACE, RECORDED, background, side_by_side, wait_for
from tests.process.test_hosts_of_main import HEAD, TAIL, UVICORN

SIGTERM = signal.SIGTERM

PRELUDE = """
import asyncio, os, signal
from signal import getsignal as bare_getsignal, signal as bare_signal
import lifecycle

def told(*_):
    print("told", flush=True)

def trace(get=None, install=None):
    get, install = get or signal.getsignal, install or signal.signal
    old = get(signal.SIGTERM)
    def mine(number, frame):
        print("traced", flush=True)
        if callable(old):
            old(number, frame)
    install(signal.SIGTERM, mine)
"""

RUN = "\nlifecycle.run(main)\n"

DRAINED = """
async def main(life):
    {install}
    await life.ready()
    await life.drained()
"""

AT_T0 = """
async def main(life):
    {install}
    await life.ready()
    await life.reached(lifecycle.State.DRAINING)
"""

BY_IT_ALONE = """
async def main():
    stop = asyncio.Event()
    def tell(*_):
        told()
        stop.set()
    {install}
    await stop.wait()
"""

ON_LOOP = "asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, {})"
BY_SIGNAL = "signal.signal(signal.SIGTERM, {})"
BARE = "bare_signal(signal.SIGTERM, {})"

TRACED_UVICORN = UVICORN.replace(
    "    await uvicorn.Server(config).serve()",
    "    async def later():\n"
    "        while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL: await asyncio.sleep(0.01)\n"
    "        trace(); print('tracing', flush=True)\n"
    "    main.task = asyncio.create_task(later())\n"
    "    await uvicorn.Server(config).serve()",
)
UVLOOP = "\nimport uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())\n"


def with_handler(body: str, install: str, handler: str = "told") -> str:
    """Write an app whose main installs a handler."""
    return PRELUDE + body.format(install=install.format(handler)) + RUN


ONCE = {
    "loop": with_handler(DRAINED, ON_LOOP),
    "signal.signal": with_handler(DRAINED, BY_SIGNAL),
    "loop, main ends at T0": with_handler(AT_T0, ON_LOOP),
    "signal.signal, main ends at T0": with_handler(AT_T0, BY_SIGNAL),
    "before run": PRELUDE
    + "signal.signal(signal.SIGTERM, told)"
    + DRAINED.format(install="")
    + RUN,
    "uvloop": PRELUDE + UVLOOP + with_handler(DRAINED, ON_LOOP).removeprefix(PRELUDE),
    "told by it alone": with_handler(BY_IT_ALONE, ON_LOOP, "tell"),
    "bound before": with_handler(BY_IT_ALONE, BARE, "tell"),
    "traced": with_handler(BY_IT_ALONE, BY_SIGNAL + "; trace()", "tell"),
    "traced on the loop": with_handler(BY_IT_ALONE, ON_LOOP + "; trace()", "tell"),
    "traced, bound before": with_handler(
        BY_IT_ALONE, BY_SIGNAL + "; trace(bare_getsignal, bare_signal)", "tell"
    ),
    "removed": with_handler(
        DRAINED,
        ON_LOOP + "; assert asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)"
        "; assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL",
    ),
    "nobody signals": with_handler(
        "async def main(life):\n    {install}\n    await life.ready()\n", ON_LOOP
    ),
}
NOT_TOLD = ("removed", "nobody signals")


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Run all of them, and have them leave at once: more of them than the machine has cores."""
    with side_by_side(tmp_path_factory.mktemp, ONCE, RECORDED) as apps:
        for name, app in apps.items():
            if name != "nobody signals":
                app.wait_state("ready")
        for name, app in apps.items():
            if name != "nobody signals":
                app.signal(SIGTERM)
        waits = {
            name: background(lambda app=app: app.wait(GRACE + 15)) for name, app in apps.items()
        }
        yield {name: (app, waits[name].result(GRACE + 20)) for name, app in apps.items()}


@pytest.mark.parametrize("name", ONCE)
def test_exactly_once(left, name):
    """The handler is called once if the app was signalled, and main ends as it likes: 0."""
    app, code = left[name]

    assert code == 0, app.stderr
    assert app.stdout.split().count("told") == (0 if name in NOT_TOLD else 1), app.stdout
    assert app.stdout.split().count("traced") == (1 if name.startswith("traced") else 0)


def test_a_tracer_over_a_server(start):
    """A handler chained over uvicorn's, by the usual idiom, still reaches it: 0, in time."""
    app = start(PRELUDE + HEAD + TRACED_UVICORN + TAIL, env=RECORDED)
    app.wait_state("ready")
    wait_for(lambda: "tracing" in app.stdout, 10, "the tracer")

    app.stop()
    assert app.stdout.split().count("traced") == 1
    assert "lifespan.shutdown" in app.stdout


def test_what_getsignal_gives(start):
    """`getsignal` and `signal.signal` answer as if the app were alone."""
    app = start(
        PRELUDE
        + """
async def main(life):
    TERM, INT, QUIT = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT
    loop = asyncio.get_running_loop()
    print(signal.getsignal(TERM) is signal.SIG_DFL, signal.getsignal(QUIT) is signal.SIG_DFL,
          signal.getsignal(INT) is signal.default_int_handler)
    print(signal.signal(TERM, told) is signal.SIG_DFL, signal.getsignal(TERM) is told,
          signal.signal(TERM, told) is told)
    loop.add_signal_handler(TERM, told)
    print(callable(signal.getsignal(TERM)), loop.remove_signal_handler(TERM),
          loop.remove_signal_handler(TERM), signal.getsignal(TERM) is signal.SIG_DFL)
    print(signal.signal(QUIT, told) is signal.SIG_DFL, signal.getsignal(QUIT) is told,
          signal.signal(QUIT, signal.SIG_DFL) is told)

lifecycle.run(main)
print(signal.getsignal is bare_getsignal, signal.signal is bare_signal,
      signal.getsignal(signal.SIGINT) is signal.default_int_handler,
      signal.set_wakeup_fd(-1) == -1, flush=True)
""",
        env=RECORDED,
    )

    assert app.wait() == 0, app.stderr
    assert set(app.stdout.split()) == {"True", "False"}
    assert app.stdout.split().count("False") == 1  # the loop's handler cannot be removed twice
