"""
A stage for one section of a page: its files, its app, its commands, for real.

Rules of this file:

1. An app is really started, on free ports, becomes ready, is drained with SIGTERM and
   exits 0, without a traceback.
2. A Python block that is no file stands inside `async def main(life)`, after what its
   page states as given. Commands may name `orders:main`, the README's example, and the
   files of a section that the comment above their block names: `<!-- files: PAGE: TITLE -->`.
3. A command is really run, or, if it would leave this machine, checked against what it
   names: `pip install` against the distributions here, `make` with `-n`, and of
   `kubectl exec POD -- COMMAND` the command is run.
4. A block with `<!-- example: FILE -->` above it is a part of that file, which the commands
   find in their folder.
5. A rehearsal in a `sh` block loses nothing. On a noisy machine it may be INCONCLUSIVE, but not with
   a loss: then it is run once more.
6. A YAML block with `<!-- written: FILE -->` above it has what the commands wrote into FILE.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from lifecycle.testing.environment import handed_on
from tests.docs.pages import ROOT, Block, Section, sections
from tests.process.kit import free_port, wait_for

STANDING = """
import asyncio
import lifecycle

async def fragment(life):
{fragment}

async def main(life):
    await fragment(life)
    if not life.draining:
        life.export("orders", port=8080)
        await life.ready()
    await life.drained()

lifecycle.run(main)
"""
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
ASKS = ("ls", "status", "probe", "online", "offline", "prestop")
OWN_SIGNALS = ("uvicorn",)
"""Servers that die of the SIGTERM they were sent, once they have stopped."""
SHOWN = {"metrics.md": frozenset({"prometheus"})}
"""The plugins that a page outside of `plugins` is about."""
HEAVY = threading.BoundedSemaphore(2)
"""Rollouts take turns: one keeps a core busy, and too many would be too late to tell anything."""


class Stage:
    """A folder, two ports, and at most one app."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self._temporary = tempfile.TemporaryDirectory(prefix="docs-")
        self.folder = Path(self._temporary.name)
        self.port, self.qos = free_port(), free_port()
        clean = handed_on()
        self.env = clean | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            "PORT": str(self.port),
            "LIFECYCLE_QOS_PORT": str(self.qos),
            "LIFECYCLE_RUN_DIR": str(self.folder),
            "LIFECYCLE_SETTLE": "0.2",
        }
        if not any("quiet 1" in block.text for block in section.blocks):
            self.env["LIFECYCLE_QUIET"] = "0.1"
        if section.page.parent.parent.name != "plugins":
            # What else is installed here is no part of what the page shows.
            others = {each.name for each in metadata.entry_points(group="lifecycle")}
            others -= SHOWN.get(section.page.name, frozenset())
            self.env["LIFECYCLE_PLUGINS"] = ",".join(f"no:{name}" for name in sorted(others))
        self.app: subprocess.Popen[bytes] | None = None
        self.started = ""
        self.local = False
        self.tested = False
        self.own_commands: set[str] = set()

    def __enter__(self) -> Self:
        for name in {block.example for block in self.section.examples}:
            shutil.copy(ROOT / name, self.folder)
        for section in (self.section, *self._named()):
            for block in section.of("proto"):
                self._write(block)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.app is not None and self.app.poll() is None:
            self.app.kill()
            self.app.wait(10)
        self._temporary.cleanup()

    def play(self) -> None:
        """Do what the section says, from the first block to the last."""
        self._write_example()
        self._write_named()
        for block in self.section.of("python", "toml"):
            self._write(block)
        for block in self.section.of("python"):
            if not block.file and "lifecycle.run(" in block.text:
                self._write(replace(block, text=f"# app.py\n{block.text}"))
                self._start("python app.py")
        fragments = [b for b in self.section.of("python") if not b.file]
        if fragments and self.app is None:
            self._start_standing(fragments)
        for block in self.section.of("sh", "shell", "console"):
            for command, expected in _commands(block):
                self._command(block, command, expected)
        files = {b.file for b in self.section.of("python") if b.file}
        files = {file for file in files if not self.tested}
        assert self.app is not None or not files, f"{files}: no shell block runs it"
        self._compare_written()
        self._end()

    # Files

    def _write(self, block: Block) -> None:
        if not block.file:
            return
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._here(block.text), encoding="utf-8")
        if path.name == "pyproject.toml":
            self._install(tomllib.loads(block.text)["project"])

    def _write_example(self) -> None:
        """Give commands that name `orders:main` the README's example."""
        blocks = [b for s in sections(ROOT / "README.md") for b in s.of("python")]
        example = next(block for block in blocks if block.file == "orders.py")
        text = example.text.replace("\n\n\nlifecycle.run(main)\n", "\n")
        (self.folder / example.file).write_text(self._here(text), encoding="utf-8")

    def _write_named(self) -> None:
        """Write the files of the sections that comments name."""
        for name in {block.files_of for block in self.section.blocks if block.files_of}:
            page = ROOT / name.partition(": ")[0]
            (section,) = (each for each in sections(page) if each.id == name)
            for block in section.of("python"):
                self._write(block)

    def _install(self, project: dict[str, object]) -> None:
        # What an installation leaves for importlib.metadata to find.
        info = self.folder / f"{str(project['name']).replace('-', '_')}-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: 0\n")
        groups = project["entry-points"]
        assert isinstance(groups, dict)
        self.own_commands |= {*groups.get("lifecycle_commands", ())}
        lines = [
            line
            for group, points in groups.items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
        ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")

    def _here(self, text: str) -> str:
        return text.replace("8080", str(self.port)).replace("22222", str(self.qos))

    def _named(self) -> list[Section]:
        names = {block.files_of for block in self.section.blocks if block.files_of}
        pages = {ROOT / name.partition(": ")[0] for name in names}
        return [each for page in pages for each in sections(page) if each.id in names]

    def _compare_written(self) -> None:
        for block in self.section.of("yaml"):
            if block.written:
                text = (self.folder / block.written).read_text(encoding="utf-8")
                shown = list(yaml.safe_load_all(block.text.replace("8080", str(self.port))))
                assert list(yaml.safe_load_all(text)) == shown, text

    # The app

    def _start_standing(self, fragments: list[Block]) -> None:
        body = "\n".join(f"{b.given}\n{b.text}" for b in fragments) or "pass"
        source = STANDING.format(fragment=textwrap.indent(body, "    "))
        (self.folder / "standing.py").write_text(self._here(source), encoding="utf-8")
        self._start("python standing.py")

    def _start(self, command: str, *, ends: bool = False) -> None:
        assert self.app is None, "one app a section"
        env, words = _split(self._here(command))
        self.started = words[0]
        self.local = "--local" in words
        with (self.folder / "out").open("wb") as out:
            self.app = subprocess.Popen(
                words, cwd=self.folder, env=self.env | env, stdout=out, stderr=out
            )
        if not ends:
            wait_for(self._is_ready, 40, lambda: f"{command!r} is ready:\n{self._output()}")

    def _is_ready(self) -> bool:
        if self.app is not None and self.app.poll() is not None:
            assert self.app.returncode == 0, self._output()
            return True
        if self.local:  # its QOS port is any free one
            return '"event": "ready"' in self._output()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.qos}/ready", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _end(self) -> None:
        if self.app is None:
            return
        if self.app.poll() is None and not self._ends:
            self.app.send_signal(signal.SIGTERM)
        try:
            code = self.app.wait(20)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there 20 s after SIGTERM:\n{self._output()}") from None
        good = (0, -signal.SIGTERM) if self.started in OWN_SIGNALS else (0,)
        assert code in good, f"exit code {code}:\n{self._output()}"
        assert "Traceback" not in self._output(), self._output()

    def _output(self) -> str:
        return (self.folder / "out").read_text(errors="replace")

    # Commands

    @property
    def _ends(self) -> bool:
        return any(b.comment == "ends by itself" for b in self.section.blocks)

    def _command(self, block: Block, command: str, expected: str | None) -> None:
        env, words = _split(command)
        match words:
            case ["export", *_]:
                self.env |= _split(" ".join(words[1:]))[0]
                return
            case ["pip", "install", *names]:
                wanted = {name.partition("[")[0] for name in names}
                assert wanted <= _distributions() | _installed(), f"{names}: not here"
                return
            case ["make", *_]:
                _check(
                    ["make", "-n", f"PYTHON={sys.executable}", *words[1:]], ROOT, self.env, command
                )
                return
            case ["kubectl", "exec", _, "--", *inside]:
                command = shlex.join(inside)
                words = inside
            case ["lifecycle", "run", *_] | ["uvicorn" | "hypercorn", *_]:
                self._start(command, ends=self._ends)
                return
            case ["pytest", _]:
                # Its kubelet has ports and a lifecycle of its own.
                env = {n: v for n, v in self.env.items() if not n.startswith("LIFECYCLE_")}
                own = ["-q", "-p", "no:cacheprovider", "--rootdir", str(self.folder)]
                with HEAVY:
                    _check([sys.executable, "-m", *words, *own], self.folder, env, command)
                self.tested = True
                return
            case ["python", "-m", "grpc_tools.protoc", *_]:
                _check([sys.executable, *words[1:]], self.folder, self.env, command)
                return
            case ["lifecycle", "rehearse", *_]:
                # The settings that make other pages quick would lose what it is to show.
                self.env = {n: v for n, v in self.env.items() if not n.startswith("LIFECYCLE_")}
                self.tested = True
            case ["lifecycle", name, *_] if name in self.own_commands:
                self.tested = True
            case ["python", file] if (self.folder / file).exists():
                self._start(command, ends=self._ends)
                return
        asks = words[0] == "curl" or (words[0] == "lifecycle" and words[1] in ASKS)
        if asks and self.app is None:
            self._start_standing([])
        assert words[0] in ("curl", "lifecycle"), f"line {block.line}: cannot run {command!r}"
        surroundings = self.env
        if words[:2] == ["lifecycle", "manifests"]:  # it would write these settings down
            surroundings = {n: v for n, v in self.env.items() if not n.startswith("LIFECYCLE_")}
        with HEAVY if words[:2] == ["lifecycle", "rehearse"] else nullcontext():
            output = _check(
                ["bash", "-c", self._here(command)],
                self.folder,
                surroundings | env,
                command,
                must_succeed=expected is None,
            )
        if expected is not None:
            assert _plain(output) == _expected(expected, output), f"$ {command}\n{output}"


def _commands(block: Block) -> Iterator[tuple[str, str | None]]:
    """Give the commands of a block; of a console, with what each is to say."""
    if block.language == "sh":
        for line in block.text.splitlines():
            if line and not line.startswith("#"):
                yield line, None
        return
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def _split(command: str) -> tuple[dict[str, str], list[str]]:
    words = shlex.split(command)
    env = {}
    while words and ASSIGNMENT.fullmatch(words[0]):
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    return env, words


INCONCLUSIVE = 3
"""The exit code of a rehearsal on a machine that was too noisy to tell, as this one may be."""
NOTHING_SEEN, IN_DOUBT = "INCONCLUSIVE: nothing was lost", "INCONCLUSIVE: lost "
"""How such a result starts: noise may have hidden losses, or may explain those that were seen."""


def _check(
    words: list[str], cwd: Path, env: dict[str, str], shown: str, *, must_succeed: bool = True
) -> str:
    for _ in range(2):
        done = subprocess.run(
            words, cwd=cwd, env=env, capture_output=True, text=True, timeout=110, check=False
        )
        output = done.stdout + done.stderr
        if IN_DOUBT not in output:
            break
    noisy = done.returncode == INCONCLUSIVE and NOTHING_SEEN in output
    assert done.returncode == 0 or noisy or not must_succeed, f"$ {shown}\n{output}"
    return output


def _plain(text: str) -> list[str]:
    """Forget what differs between two runs: numbers, the width of columns."""
    lines = [re.sub(r"\d+(\.\d+)?", "0", line) for line in text.strip().splitlines()]
    return [" ".join(line.split()) for line in lines]


def _expected(expected: str, output: str) -> list[str]:
    """Return what is to be said; `...` stands for whatever else is."""
    lines = _plain(expected)
    if lines and lines[-1] == "...":
        return lines[:-1] + _plain(output)[len(lines) - 1 :]
    return lines


def _distributions() -> set[str]:
    files = [ROOT / "pyproject.toml", *(ROOT / "plugins").glob("*/pyproject.toml")]
    return {tomllib.loads(file.read_text())["project"]["name"] for file in files}


def _installed() -> set[str]:
    return {each.name.lower() for each in metadata.distributions()}
