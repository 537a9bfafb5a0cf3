"""Rules about the programs that start the app: inits, process managers, wrappers, reloaders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from lifecycle.checks.commands.inits import signals_group
from lifecycle.checks.commands.programs import INITS, programs, stages
from lifecycle.checks.commands.quoted import is_quoted, quoted_command, separated
from lifecycle.checks.commands.servers import read_options
from lifecycle.checks.node import Node
from lifecycle.checks.rule import DOCS, TERMINATION, Found, Severity, Table
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()

_ONE_PROCESS_POOLS: Final = ("solo", "threads", "gevent", "eventlet")
_CELERY_TAKES: Final = (
    "-A", "--app", "-b", "--broker", "--result-backend", "--loader", "--config", "--workdir",
)  # fmt: skip
# Seconds after which each program kills its child processes, by default. None if not known.
_MANAGERS: Final = {
    "supervisord": 10, "circusd": 30, "honcho": 5, "foreman": None, "goreman": None,
    "overmind": None, "hivemind": None, "pm2-runtime": None, "s6-svscan": None, "runsvdir": None,
}  # fmt: skip
_WATCHERS: Final = ("watchfiles", "watchmedo", "nodemon", "watchexec", "entr")


@RULES.add(
    "signal-to-group",
    Severity.ERROR,
    sources=(
        "https://github.com/celery/celery/issues/4795",
        "https://github.com/Yelp/dumb-init#session-behavior",
    ),
    fix=(
        "Use an init process that signals only its child, such as `tini --` without -g, "
        "`dumb-init --single-child`, or dumb-init with DUMB_INIT_SETSID=0."
    ),
)
def signal_to_group(workload: Workload) -> Iterator[Found]:
    """An init process sends SIGTERM to the worker processes too, and they die at once.

    `tini -g` and dumb-init signal every process of the group. With `--single-child`, dumb-init does not.
    The main process of celery, hypercorn and sanic handles SIGTERM, but its worker processes do not. They die in the middle of a request or a task.
    For example, 2 of 2 running tasks were lost with `dumb-init celery worker`, and none with `dumb-init --single-child`.

    Severity:
        If a preStop hook drains the app first, the finding is a warning. If DUMB_INIT_SETSID may come from envFrom or a ConfigMap, the finding is a warning too.

    Scope:
        The rule ignores gunicorn, uvicorn and granian, because they finish their requests in both cases.
        The rule ignores hypercorn with 2 or more `--workers`. If one worker stops, hypercorn itself stops all workers, so requests are cut whatever the init process does.
        The rule ignores commands under `lifecycle run --`. They have their own process group and stop only after the drain.
    """
    for container in workload.containers:
        if container.is_wrapped:
            continue
        variables = workload.variables_of(container, DUMB_INIT_SETSID="0")
        for init in stages(container.words):
            cut = next((each for each in map(_cut, programs(init)) if each), "")
            if cut and init[0] in INITS and signals_group(init, variables):
                message = f"{container.name}: {init[0]} sends SIGTERM to the workers of {cut}, too"
                unsure = container.asks_to_drain or container.may_have("DUMB_INIT_SETSID")
                warns = unsure if init[0] == "dumb-init" else container.asks_to_drain
                yield Found(container.command, message, Severity.WARNING if warns else None)
                break


def _cut(words: list[str]) -> str:
    """Return the name of a program whose workers die at SIGTERM. Empty if they do not."""
    options = dict(read_options(words[1:]))
    match words[0]:
        case "celery" if _command_of_celery(words) == "worker":
            pool = options.get("--pool") or options.get("-P") or "prefork"
            return "" if pool in _ONE_PROCESS_POOLS else "celery"
        case "airflow" if words[1:3] == ["celery", "worker"]:
            return "celery"
        case "hypercorn":
            workers = options.get("--workers") or options.get("-w")
            return "hypercorn" if workers in (None, "1") else ""
        case "sanic":
            return "" if "--single-process" in words else "sanic"
    return ""


def _command_of_celery(words: list[str]) -> str:
    """Return the subcommand: the first word that is neither an option nor the value of one."""
    free = pairwise(words)
    return next((w for before, w in free if w[0:1] != "-" and before not in _CELERY_TAKES), "")


@RULES.add(
    "conda-run",
    Severity.ERROR,
    sources=("https://github.com/conda/conda/issues/10351", TERMINATION),
    fix=(
        "Start the program of the environment by its path, for example "
        "/opt/conda/envs/NAME/bin/uvicorn. Or start it with `exec` after `conda activate`."
    ),
)
def conda_run(workload: Workload) -> Iterator[Found]:
    """`conda run` does not forward SIGTERM.

    `conda run` starts your program as a child process and does not send SIGTERM to it.
    As PID 1, conda does not stop either. So no drain starts, and the kubelet kills all processes at the end of the grace period.

    Severity:
        If the container serves nothing, or if a preStop hook drains the app, the finding is a warning.

    Scope:
        The rule ignores `lifecycle run -- conda run …`, because pod-lifecycle stops the processes that conda leaves behind.
    """
    for container in workload.apps:
        if not any(map(_is_conda_run, _before_ours(container))):
            continue
        harmless = workload.is_job or container.asks_to_drain or not workload.serves(container)
        severity = Severity.WARNING if harmless else None
        message = f"{container.name}: conda run gets SIGTERM, but the app does not"
        yield Found(container.command, message, severity)


def _before_ours(container: Container) -> list[list[str]]:
    """Return the programs that start the app, up to `lifecycle run --`."""
    found = [*stages(container.words)]
    ours = (at for at, each in enumerate(found) if each[:2] == ["lifecycle", "run"])
    return found[: next(ours, len(found))]


def _is_conda_run(words: list[str]) -> bool:
    command = next((each for each in words[1:] if not each.startswith("-")), "")
    return words[0] == "conda" and command == "run"


@RULES.add(
    "process-manager",
    Severity.WARNING,
    sources=("https://supervisord.org/configuration.html", TERMINATION),
    fix=(
        "Run one program per container, and let the kubelet restart it. If you keep the process "
        "manager, set its stop timeout (stopwaitsecs for supervisord) to the grace period, and start "
        "only one process of the app."
    ),
)
def process_manager(workload: Workload) -> Iterator[Found]:
    """A process manager starts the app and may kill it before the drain ends.

    The kubelet signals the process manager. The process manager then waits for your app, but often not as long as a drain takes.
    For example, supervisord kills the app after 10 s and honcho after 5 s. A drain with the defaults may take 11 s.
    If the process manager starts several processes of the app, only the first one can open pod-lifecycle's probe port (QOS port).
    If the app crashes, the process manager restarts it, and Kubernetes does not see the restart.
    """
    for container in workload.ours:
        names = [each[0] for each in _before_ours(container)]
        name = next((each for each in names if each in _MANAGERS), "")
        if name:
            seconds = _MANAGERS[name]
            what = f" and kills it after {seconds:g} s by default" if seconds else ""
            yield Found(container.command, f"{container.name}: {name} starts the app{what}")


@RULES.add(
    "reload",
    Severity.WARNING,
    sources=("https://www.uvicorn.org/settings/#development", "any-server.md"),
    fix=(
        "Remove --reload. Use `fastapi run` instead of `fastapi dev`, and a production server instead "
        "of `flask run` and `manage.py runserver`."
    ),
)
def reload(workload: Workload) -> Iterator[Found]:
    """The server restarts the app whenever a file changes.

    A reloader is made for development. It starts the app in a child process, and stops that process without a drain.
    If the child process crashes under uvicorn, the reloader does not notice. The port stays open, but no process answers.

    Scope:
        The rule knows `--reload` of the servers, `fastapi dev`, `flask run --debug`, `manage.py runserver`, and programs such as watchfiles.
    """
    for container in workload.apps:
        server = container.server_command or container.wrapped_server
        name = server.reloads if server else ""
        started = (_watches(each, container) for each in stages(container.words))
        name = name or next((each for each in started if each), "")
        if name:
            yield Found(container.command, f"{container.name}: {name}")


def _watches(words: list[str], container: Container) -> str:
    """Return the command with which a program watches its files. Empty if it does not."""
    if words[0] in _WATCHERS:
        return words[0]
    if words[0] == "flask" and "run" in words and "--no-reload" not in words:
        by_option = next((each for each in ("--debug", "--reload") if each in words), "")
        debug = (container.value("FLASK_DEBUG") or "").lower() not in ("", "0", "false", "no")
        return f"flask run {by_option}" if by_option else "FLASK_DEBUG" if debug else ""
    runs_server = any(each.endswith("manage.py") for each in words[:2]) and "runserver" in words
    return "manage.py runserver" if runs_server and "--noreload" not in words else ""


@RULES.add(
    "quoted-command",
    Severity.ERROR,
    sources=(f"{DOCS}/tasks/inject-data-application/define-command-argument-container/",),
    fix=(
        'Write each word of the command as its own list item, for example ["uvicorn", '
        '"shop.main:app"]. If the command needs a shell, write ["sh", "-c", "exec …"].'
    ),
)
def quoted_command_rule(workload: Workload) -> Iterator[Found]:
    """A command is one word with spaces, so it cannot start.

    Kubernetes does not split a word of a command at its spaces. It looks for a program whose name is the whole word, and finds none.
    The container then never starts. If the word is in a hook or a probe, the hook or the probe fails.
    For example, `command: ["uvicorn shop.main:app --port 8000"]` does not start, but `command: ["uvicorn", "shop.main:app", "--port", "8000"]` does.

    Scope:
        The rule reads `command`, the command after `lifecycle run --`, and the exec of hooks and probes.
        It ignores words in `args` alone, because the ENTRYPOINT of the image may split them. It also ignores a word that may be the path of a program, and a word with a placeholder such as `{{ }}` or `${ }`.
    """
    for container in workload.containers:
        words = container.words
        word = quoted_command(words)
        if word and not (container.has_hidden_entrypoint and word == words[0]):
            yield _one_word(container.command, container.name, word)
        for name, node in _executed(container):
            first = next((each.text() for each in node.each()), "")
            if is_quoted(first):
                yield _one_word(node, f"{container.name}: {name}", first)


def _executed(container: Container) -> Iterator[tuple[str, Node]]:
    """Give the commands of hooks and probes."""
    hooks = ((name, container.node.at("lifecycle", name)) for name in ("postStart", "preStop"))
    probes = ((f"{kind}Probe", each.node) for kind, each in container.probes.items())
    for name, node in (*hooks, *probes):
        yield name, node.at("exec", "command")


def _one_word(node: Node, where: str, word: str) -> Found:
    shown = json.dumps(separated(word), ensure_ascii=False)
    fix = f"Write each word of the command as its own list item: {shown}."
    return Found(node, f"{where}: {_short(word)!r} is one word, not a command", fix=fix)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
