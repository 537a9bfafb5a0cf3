"""
Check the texts that people read against the guide in `docs/CONTRIBUTING.md`; `make lint` runs it.

    python -m tests.plain_words              fail if a file has more, or fewer, than in the baseline
    python -m tests.plain_words FILE...      list all findings of these files or folders
    python -m tests.plain_words --update     write the baseline again, after you removed some
    python -m tests.plain_words --count      print how the pages read, in figures

The texts are the prose of the pages, the public docstrings, and the strings in the code that people
may read. `baseline.json` has the findings that are known: how many each file has of each rule.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.plain_words import figures, markdown, python
from tests.plain_words.rules import Finding, findings
from tests.plain_words.texts import Text

Counts = Counter[tuple[str, str]]
"""How many findings there are, by the file and the name of the rule."""

ROOT: Final = Path(__file__).parents[2]
BASELINE: Final = Path(__file__).with_name("baseline.json")
PAGES: Final = ("*.md", "docs/**/*.md", "examples/**/*.md", "plugins/*/*.md", "tests/*/*.md")
MODULES: Final = ("lifecycle/**/*.py", "plugins/*/src/**/*.py", "docs/*.py")
UPDATE: Final = "python -m tests.plain_words --update"


def texts(root: Path) -> Iterator[Text]:
    """Yield every text of the repository."""
    for page in sorted(page for each in PAGES for page in root.glob(each)):
        prose = markdown.without_generated(page.read_text("utf-8"))
        yield from markdown.texts(prose, page.relative_to(root).as_posix())
    for module in sorted(module for each in MODULES for module in root.glob(each)):
        yield from python.texts(module.read_text("utf-8"), module.relative_to(root).as_posix())


def counted(found: Iterable[Finding]) -> Counts:
    """Return how many findings each file has of each rule."""
    return Counter((each.sentence.file, each.rule.name) for each in found)


def read(file: Path) -> Counts:
    """Read the baseline; nothing is known if there is no file."""
    rows = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return Counter({(name, rule): n for name, row in rows.items() for rule, n in row.items()})


def write(file: Path, counts: Counts) -> None:
    """Write the baseline, a line for each file, so that two branches seldom change the same one."""
    rows: dict[str, dict[str, int]] = {}
    for (name, rule), number in sorted(counts.items()):
        rows.setdefault(name, {})[rule] = number
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    file.write_text(f"{{\n{lines}\n}}\n", "utf-8")


def refused(found: Sequence[Finding], known: Counts) -> Iterator[str]:
    """Yield what is new, and then what is in the baseline and no longer there."""
    counts = counted(found)
    for key in sorted(counts - known):
        these = [each for each in found if (each.sentence.file, each.rule.name) == key]
        yield from map(str, these)
        yield f"  = {counts[key]} found, {known[key]} known. {these[0].rule.instead}"
    for key in (fewer := sorted(known - counts)):
        yield f"{key[0]}: {key[1]}: {counts[key]} found, {known[key]} known"
    if fewer:
        yield f"  = There are fewer than before, which is good. Now run: {UPDATE}"


def main(arguments: Sequence[str], root: Path = ROOT, file: Path = BASELINE) -> int:
    """Do what the arguments ask for; 1 if something is refused."""
    parser = argparse.ArgumentParser("python -m tests.plain_words")
    parser.add_argument("paths", nargs="*", metavar="FILE", help="list all findings of this file")
    parser.add_argument("--update", action="store_true", help="write the baseline again")
    parser.add_argument("--allow-more", action="store_true", help="even if a number rises")
    parser.add_argument("--count", action="store_true", help="print the figures of the pages")
    options = parser.parse_args(arguments)
    if missing := [each for each in options.paths if not Path(each).exists()]:
        parser.error(f"{missing[0]}: there is no such file")
    if options.count:
        print("\n".join(figures.table(root)))
        return 0
    found = [each for text in texts(root) for each in findings(text)]
    if options.paths:
        names = [Path(each).resolve().relative_to(root) for each in options.paths]
        listed = [
            each for each in found if any(map(Path(each.sentence.file).is_relative_to, names))
        ]
        print("\n".join([*map(str, listed), f"{len(listed)} findings"]))
        return int(bool(listed))
    known, counts = read(file), counted(found)
    if options.update and (options.allow_more or not counts - known):
        write(file, known := counts)
    elif options.update:
        print("Not written, because a number would rise. --allow-more writes it.", file=sys.stderr)
    faults = list(refused(found, known))
    for each in faults:
        print(each, file=sys.stderr)
    print(f"plain words: {len(found):,} findings, and {known.total():,} in the baseline")
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
