"""
Mutation testing of the drain and what it stands on, by `make mutate`.

mutmut changes one thing at a time in the files that `[tool.mutmut]` of pyproject.toml names, and
the unit and virtual-time tests must notice. This keeps the score in `mutation.json`, from which
docs/mutation.md is made. It exits 1 if too few are noticed, or if one that is not noticed has no
reason in `mutation.toml`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
MUTANTS = REPOSITORY / "mutants"
SCORE = HERE / "mutation.json"
REASONS = HERE / "mutation.toml"
WANTED = 0.95

# mutmut's exit codes of one mutant. A test that hangs by it, or dies of it, has noticed it.
KILLED = {1, 3, -9, -11}
TIMEOUT = {-24, 24, 36, 152, 255}


def main() -> int:
    """Run it from the beginning, and write the score; `score`: of what was run before."""
    mutmut = Path(sys.executable).with_name("mutmut")
    if sys.argv[1:] != ["score"]:
        shutil.rmtree(MUTANTS, ignore_errors=True)  # mutmut would not ask tests that are new
        with (REPOSITORY / "mutants.log").open("w", encoding="utf-8") as log:
            subprocess.run([mutmut, "run"], cwd=REPOSITORY, stdout=log, stderr=log, check=True)
    modules: dict[str, dict[str, int]] = {}
    survivors: list[dict[str, str]] = []
    for name, exit_codes in _results():
        counts = Counter(map(_verdict, exit_codes.values()))
        modules[name] = {"mutants": len(exit_codes), **counts}
        if unchecked := counts["unchecked"]:
            print(f"{name}: {unchecked} of {len(exit_codes)} were not run")
        for mutant, code in exit_codes.items():
            if _verdict(code) == "survived":
                survivors.append(_described(mutmut, name, mutant))
    score = {"mutmut": version("mutmut"), "modules": modules, "survivors": survivors}
    SCORE.write_text(json.dumps(score, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return _judge(modules, survivors)


def _results() -> Iterator[tuple[str, dict[str, int | None]]]:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    for file in settings["tool"]["mutmut"]["only_mutate"]:
        meta = MUTANTS / f"{file}.meta"
        yield file, json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]


def _verdict(code: int | None) -> str:
    if code is None:
        return "unchecked"
    if code in KILLED:
        return "killed"
    return "timeout" if code in TIMEOUT else "survived"


def _described(mutmut: Path, module: str, mutant: str) -> dict[str, str]:
    shown = subprocess.run(
        [mutmut, "show", mutant], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in shown.splitlines() if not line.startswith(("---", "+++"))]
    function = mutant.rpartition(".")[2].partition("__mutmut_")[0]
    return {
        "module": module,
        "function": ".".join(part for part in function.split("ǁ")[1:]) or function[2:],
        "was": " ".join(line[1:].strip() for line in lines if line.startswith("-")),
        "now": " ".join(line[1:].strip() for line in lines if line.startswith("+")),
    }


def unnamed(survivors: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the survivors for which no reason is given."""
    given = tomllib.loads(REASONS.read_text(encoding="utf-8"))["survivor"]
    known = {(each["function"], now) for each in given for now in each["now"]}
    return [each for each in survivors if (each["function"], each["now"]) not in known]


def _judge(modules: dict[str, dict[str, Any]], survivors: list[dict[str, str]]) -> int:
    unchecked = sum(each.get("unchecked", 0) for each in modules.values())
    mutants = sum(each["mutants"] for each in modules.values()) - unchecked
    score = 1 - len(survivors) / max(1, mutants)
    print(f"{mutants} mutants, {len(survivors)} survived: {score:.1%} are noticed")
    for each in (nameless := unnamed(survivors)):
        print(f"no reason given: {each['module']} {each['function']}")
        print(f"    - {each['was']}\n    + {each['now']}")
    return int(score < WANTED or bool(nameless) or unchecked > 0)


if __name__ == "__main__":
    raise SystemExit(main())
