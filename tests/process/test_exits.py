"""How a main may end by itself: its exit code, its final state, what is left on stderr."""

from __future__ import annotations

import signal

import pytest

from tests.process.kit import RECORDED, assert_left
from tests.process.mains import unmodified, with_main

SIGTERM = signal.SIGTERM


class TestByItself:
    """Main ends before anybody asked it to."""

    def test_returns_early(self, start):
        """Who returns is deregistered, and skips settle and quiet."""
        app = start(
            with_main("return"),
            env=RECORDED | {"LIFECYCLE_SETTLE": "20", "LIFECYCLE_GRACE_PERIOD": "30"},
        )

        assert_left(app, 0)

        assert app.record("deregister")

    @pytest.mark.parametrize(
        ("source", "services", "warned"),
        [
            (with_main("return"), "", ["[orders]"]),
            (unmodified("return"), "shop:1", ["[shop]"]),
            (unmodified("return"), "", []),
            (with_main("sys.exit(0)"), "", []),
            (with_main("life.begin_drain('done')", "return"), "", []),
            (with_main("life.begin_drain('done')", "await life.drained()"), "", []),
        ],
    )
    def test_returns_at_once(self, start, source, services, warned):
        """A service that returns at once gets a warning. A job does not."""
        more = {"LIFECYCLE_SERVICES": services} if services else {}
        app = start(source, env=RECORDED | more)

        assert_left(app, 0)

        found = app.events("main returned")
        assert [each["services"] for each in found] == warned
        assert all(float(each["after"]) < 5 for each in found)
        assert all("await life.drained()" in each["hint"] for each in found)

    @pytest.mark.parametrize(("value", "code"), [("3", 3), ("0", 0), ("True", 0), ("'x'", 0)])
    def test_returns(self, start, value, code):
        """An int is the exit code; any other value is none."""
        app = start(with_main(f"return {value}"), env=RECORDED)

        assert_left(app, code, "failed" if code else "stopped")

    def test_raises(self, start):
        """The traceback is the app's own, complete, and without our frames: exit code 1."""
        app = start(with_main("def inner(): raise ValueError('no luck')", "inner()"), env=RECORDED)

        assert_left(app, 1, "failed")

        assert app.stderr.count("Traceback (most recent call last):") == 1
        assert "ValueError: no luck" in app.stderr
        assert ", in main\n" in app.stderr
        assert ", in inner\n" in app.stderr
        assert app.record("deregister")

    def test_raises_with_a_cause(self, start):
        """A chain of causes is shown whole."""
        app = start(
            with_main("try: {}['a']", "except KeyError as e: raise ValueError('no') from e"),
            env=RECORDED,
        )

        assert_left(app, 1, "failed")

        assert "KeyError: 'a'" in app.stderr
        assert "direct cause" in app.stderr

    def test_raises_from_our_call(self, start):
        """What one of our methods raises is shown at the app's line, not at ours."""
        app = start(with_main("life.offline('nobody')"), env=RECORDED)

        assert_left(app, 1, "failed")

        assert "ServiceNotFound: no service matches 'nobody'" in app.stderr
        assert "life.offline('nobody')" in app.stderr

    def test_raises_at_once(self, start):
        """Who raises before anything was declared still goes through DRAINING."""
        app = start(unmodified("raise ValueError('no luck')"), env=RECORDED)

        assert_left(app, 1, "failed")

        assert "ValueError: no luck" in app.stderr

    @pytest.mark.parametrize(
        ("argument", "code", "said"),
        [("7", 7, ""), ("'that was it'", 1, "that was it\n"), ("", 0, "")],
    )
    def test_system_exit(self, start, argument, code, said):
        """`sys.exit` means what it always means."""
        app = start(with_main(f"sys.exit({argument})"), env=RECORDED)

        assert_left(app, code, "failed" if code else "stopped")

        assert app.stderr == said

    def test_system_exit_in_a_task(self, start):
        """`sys.exit` in another task ends the app too, with its code."""
        app = start(
            with_main(
                "async def other(): sys.exit(7)",
                "task = asyncio.create_task(other())",
                "await asyncio.sleep(60)",
            ),
            env=RECORDED,
        )

        assert_left(app, 7, "failed")

        assert "Traceback" not in app.stderr, app.stderr

    def test_system_exit_in_a_callback(self, start):
        """`sys.exit` in a callback of the loop ends the app too, with its code."""
        app = start(
            unmodified(
                "asyncio.get_running_loop().call_later(0.2, sys.exit, 7)", "await asyncio.sleep(60)"
            ),
            env=RECORDED,
        )

        assert_left(app, 7, "failed")

    def test_cancels_itself(self, start):
        """A main that was cancelled by nobody of ours has failed."""
        app = start(
            with_main("asyncio.current_task().cancel()", "await asyncio.sleep(60)"), env=RECORDED
        )

        assert_left(app, 1, "failed")

    def test_job_done(self, start):
        """A job that comes to its end: exit code 0."""
        app = start(unmodified("await asyncio.sleep(0.3)"), env=RECORDED)

        assert_left(app, 0)

    def test_runs_on_after_run(self, start):
        """What stands after `run()` is executed."""
        app = start(with_main("return") + "print('after')\n", env=RECORDED)

        assert_left(app, 0)

        assert "after" in app.stdout


class TestNoMain:
    """What `run` does not take."""

    def test_coroutine(self, start):
        """A coroutine object is a TypeError that says what to write."""
        app = start("import lifecycle\nasync def main(life): pass\nlifecycle.run(main(None))\n")

        assert app.wait() == 1
        assert "TypeError: run() takes the function, not its coroutine" in app.stderr
        assert "lifecycle.run(main)" in app.stderr.splitlines()[-2]
        assert "never awaited" not in app.stderr

    def test_plain_function(self, start):
        """A function that is not async is told what it should be."""
        app = start(
            "import lifecycle\ndef main(life):\n    print('ran')\nlifecycle.run(main)\n",
            env=RECORDED,
        )

        assert app.wait() == 1
        assert "async" in app.stderr
        assert "'await' expression" not in app.stderr

    def test_two_arguments(self, start):
        """One argument or none."""
        app = start("import lifecycle\nasync def main(a, b): pass\nlifecycle.run(main)\n")

        assert app.wait() == 1
        assert "main takes one argument (the Lifecycle) or none, not a, b" in app.stderr

    @pytest.mark.parametrize(
        ("arguments", "hint"),
        [
            ("environ, start_response", "lifecycle run -- gunicorn"),
            ("scope: dict, receive, send", "lifecycle run --asgi"),
        ],
    )
    def test_an_app(self, start, arguments, hint):
        """An app of a web framework is told what serves it."""
        app = start(f"import lifecycle\ndef main({arguments}): pass\nlifecycle.run(main)\n")

        assert app.wait() == 1
        assert f"not {arguments.replace(': dict', '')}. To serve" in app.stderr
        assert hint in app.stderr

    @pytest.mark.parametrize(
        "main",
        ["functools.partial(main, 5)", "Main()", "Main().method", "lambda life: main(5, life)"],
    )
    def test_callables(self, start, main):
        """Whatever gives an awaitable when it is called is a main."""
        app = start(
            f"""
import functools, lifecycle

async def main(number, life):
    await life.ready()

class Main:
    async def __call__(self, life):
        await life.ready()
    async def method(self, life):
        await life.ready()

lifecycle.run({main})
""",
            env=RECORDED,
        )

        assert_left(app, 0)

        assert "ready" in app.afters()


REFUSING = """
import asyncio, os, lifecycle

class Refusing(lifecycle.Registry):
    name = "refusing"
    async def register(self, instance):
        raise lifecycle.RegistrationRefused("not you")
    async def deregister(self, instance): pass
    async def keep(self, instance): return ""

class Plugin:
    @lifecycle.hookimpl
    def lifecycle_registries(self):
        return Refusing()
"""


class TestRefused:
    def test_ready_raises(self, start):
        """A refusal makes `ready()` raise: exit code 1, deregistered from where it was taken."""
        app = start(
            REFUSING
            + """
async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()

lifecycle.run(main, plugins=[Plugin()])
""",
            env=RECORDED,
        )

        assert_left(app, 1, "failed")

        assert "RegistrationRefused: not you" in app.stderr
        assert app.stderr.count("Traceback") == 1

    def test_unmodified(self, start):
        """An unmodified main is drained and cancelled when its service is refused: 1."""
        app = start(
            REFUSING
            + """
async def main():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()

config = lifecycle.Config(services=(f"orders:{os.environ['PORT']}",))
lifecycle.run(main, config=config, plugins=[Plugin()])
""",
            env=RECORDED,
        )

        assert_left(app, 1, "failed")

        assert "Traceback" not in app.stderr, app.stderr
        assert "not you" in app.record("transition")[-2]["cause"]
