"""The log: the app's own configuration is respected, and nobody waits for a handler."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest
import structlog

from lifecycle.log import CAPACITY, Log, LogEntry, renderer_for

LIMIT = 10.0


class Terminal(io.StringIO):
    """A stream with a person behind it."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Keeping(logging.Handler):
    """Keeps what it gets; blocks while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.open = threading.Event()
        self.open.set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.open.wait(LIMIT)
        self.lines.append(f"{record.levelname} {record.getMessage()}")


@pytest.fixture
def handler() -> Iterator[Keeping]:
    """Configure the standard logger `lifecycle`, as an app does."""
    logger, keeping = logging.getLogger("lifecycle"), Keeping()
    logger.addHandler(keeping)
    logger.setLevel(logging.INFO)
    yield keeping
    keeping.open.set()
    logger.removeHandler(keeping)
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _defaults() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def write(log: Log) -> None:
    """Write one event of each level."""
    log.debug("deep", a=1)
    log.info("ready", previous="registered", cause="it is time")
    log.warning("probe", ok=False)
    log.error("plugin", problem="raised")
    log.flush(LIMIT)


def test_the_standard_logger(handler: Keeping) -> None:
    """Without structlog configured the standard logger `lifecycle` gets key=value lines."""
    write(Log())
    assert handler.lines == [
        'INFO event=ready previous=registered cause="it is time"',
        "WARNING event=probe ok=false",
        "ERROR event=plugin problem=raised",
    ]


@pytest.mark.parametrize(
    "wrapper",
    [None, structlog.BoundLogger, structlog.make_filtering_bound_logger(logging.INFO)],
)
def test_the_apps_own_structlog(handler: Keeping, wrapper: type | None) -> None:
    """A structlog that the app has configured gets the events, whatever its wrapper class is."""
    seen: list[tuple[str, dict[str, object]]] = []

    def keep(_: object, level: str, event: dict[str, object]) -> dict[str, object]:
        seen.append((level, dict(event)))
        raise structlog.DropEvent

    structlog.configure(processors=[keep], wrapper_class=wrapper)
    before = structlog.get_config()
    write(Log(lambda *_: pytest.fail("the app's configuration comes first")))
    assert [each for each in seen if each[0] != "debug"] == [
        ("info", {"event": "ready", "previous": "registered", "cause": "it is time"}),
        ("warning", {"event": "probe", "ok": False}),
        ("error", {"event": "plugin", "problem": "raised"}),
    ]
    assert handler.lines == []
    assert structlog.get_config() == before


def test_structlog_on_top_of_logging(handler: Keeping) -> None:
    """So does one that is configured to go through the standard library."""
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    write(Log())
    assert [json.loads(line.split(" ", 1)[1])["event"] for line in handler.lines] == [
        "ready",
        "probe",
        "plugin",
    ]


def test_a_configuration_that_comes_later(handler: Keeping) -> None:
    """An app that configures structlog in its main is respected from then on."""
    log, seen = Log(), []

    def keep(*event: object) -> None:
        seen.append(event)
        raise structlog.DropEvent

    log.info("before")
    log.flush(LIMIT)
    structlog.configure(processors=[keep])
    log.info("after")
    log.flush(LIMIT)
    assert handler.lines == ["INFO event=before"]
    assert len(seen) == 1


def test_unconfigured() -> None:
    """A process that has configured nothing prints nothing below a warning, and never to stdout."""
    source = """
        from lifecycle.log import Log
        import sys
        log = Log()
        log.debug("deep"); log.info("ready"); log.flush(5)
        assert "structlog" not in sys.modules
        log.warning("careful"); log.flush(5)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("", "event=careful\n")


def test_json_lines_need_no_structlog() -> None:
    """Off a terminal `lifecycle run` writes as structlog would, but does not import it."""
    source = """
        from pathlib import PurePosixPath
        from lifecycle.log import Log, renderer_for
        import json, sys
        log = Log(renderer_for(sys.stderr))
        log.prepare(); log.info("ready", port=80, path=PurePosixPath("/a")); log.flush(5)
        assert "structlog" not in sys.modules
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    line = json.loads(ran.stderr)
    assert line.pop("timestamp").endswith("Z")
    path = "PurePosixPath('/a')"
    assert line == {"port": 80, "path": path, "event": "ready", "level": "info"}


def test_a_handler_that_blocks(handler: Keeping) -> None:
    """A handler that is stuck holds up nobody; what does not fit is dropped, and counted."""
    log = Log()
    handler.open.clear()
    for number in range(CAPACITY + 500):
        log.info("many", number=number)
    log.flush(0.01)
    handler.open.set()
    log.flush(LIMIT)
    log.info("last")
    log.flush(LIMIT)
    dropped = [line for line in handler.lines if "events_dropped=" in line]
    assert len(handler.lines) + int(dropped[0].partition("events_dropped=")[2]) == CAPACITY + 501
    assert len(dropped) == 1


def test_a_handler_that_raises() -> None:
    """A renderer that fails costs its own line only."""
    lines = []

    def render(entry: LogEntry) -> None:
        if entry.event == "bad":
            raise OSError("disk full")
        lines.append(entry.event)

    log = Log(render)
    for event in ("good", "bad", "better"):
        log.info(event)
    log.flush(LIMIT)
    assert lines == ["good", "better"]


def test_a_line_has_the_time_of_its_event() -> None:
    """However late it is written: what waits for a stuck handler tells no lies."""
    at: list[float] = []
    stuck = threading.Event()

    def render(entry: LogEntry) -> None:
        stuck.wait(LIMIT)
        at.append(entry.at)

    log = Log(render)
    log.info("first")
    log.info("second")
    before = time.time()
    while time.time() == before:
        continue
    stuck.set()
    log.flush(LIMIT)
    assert len(at) == 2
    assert max(at) <= before


def test_the_writer_ends_with_the_lifecycle() -> None:
    """Nothing of it stays behind, and what is said afterwards is still written."""
    lines: list[str] = []
    log = Log(lambda entry: lines.append(entry.event))
    log.info("one")
    (writer,) = [each for each in threading.enumerate() if each.name == "lifecycle-log"][-1:]
    log.close(LIMIT)
    writer.join(LIMIT)
    assert not writer.is_alive()
    log.info("two")
    log.flush(LIMIT)
    assert lines == ["one", "two"]


def test_many_threads_have_one_writer() -> None:
    """Events of one thread keep their order, however many threads write the first one."""
    lines: list[tuple[int, int]] = []
    log = Log(lambda e: lines.append((e.fields["thread"], e.fields["number"])))
    ready = threading.Barrier(8)

    def work(thread: int) -> None:
        ready.wait(LIMIT)
        for number in range(50):
            log.info("tick", thread=thread, number=number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(LIMIT)
    log.flush(LIMIT)
    assert len(lines) == 400
    for thread in range(8):
        assert [n for t, n in lines if t == thread] == list(range(50))


def test_json_for_machines() -> None:
    """Where nobody sits `lifecycle run` writes a JSON object a line, with level and UTC time."""
    stream = io.StringIO()
    write(Log(renderer_for(stream)))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("ready", "info"),
        ("probe", "warning"),
        ("plugin", "error"),
    ]
    assert lines[0]["cause"] == "it is time"
    assert lines[0]["timestamp"].endswith("Z")


def test_a_console_for_people() -> None:
    """On a terminal it writes a line for people."""
    stream = Terminal()
    write(Log(renderer_for(stream, "debug")))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert "ready" in lines[1]
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines[1])


@pytest.mark.parametrize("value", ["two\nlines", b"bytes", {1, 2}, ValueError("no")])
def test_what_json_does_not_know(value: object) -> None:
    """Whatever a field holds: it is one line of JSON."""
    stream = io.StringIO()
    log = Log(renderer_for(stream))
    log.info("odd", value=value)
    log.flush(LIMIT)
    assert stream.getvalue().count("\n") == 1
    assert "value" in json.loads(stream.getvalue())


@pytest.mark.parametrize(
    ("see", "shown"),
    [
        ("draining", {"see": "draining"}),
        ("errors.md#wrong-arguments", {"see": "errors.md#wrong-arguments"}),
        ("https://example.com/a", {"see": "https://example.com/a"}),
        ("An app's own", {"see": "An app's own"}),
        (3, {"see": 3}),
        ("", {}),
    ],
)
def test_the_page_of_an_event(see: object, shown: dict[str, object]) -> None:
    """A field of an app stays, also if it looks like an entry; an empty field is left out."""
    stream = io.StringIO()
    log = Log(renderer_for(stream))
    log.warning("odd", see=see)
    log.flush(LIMIT)
    fields = json.loads(stream.getvalue())
    assert {name: value for name, value in fields.items() if name == "see"} == shown
