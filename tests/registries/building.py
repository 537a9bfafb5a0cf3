"""
The programs of the registries, from package registries, kept by the hash of their sources.

    python -m tests.registries.building

It builds what is missing. The first time, this takes minutes.

Rules of this file:

1. A folder of `programs` is one program: a Maven project (`pom.xml`, and classes beside it), or a
   Go module (`go.mod` and `main.go`).
2. A folder of the cache is whole, or not there. Its name has the hash of all that made it.
3. The builders run at the lowest priority and one compiler at a time: others use the machine too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.cluster.build import CACHE, locked

PROGRAMS: Final = Path(__file__).parent / "programs"
LONGEST: Final = 1800.0
"""Seconds that a build may take. On a machine that others use, Consul takes 10 minutes."""
_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_GO: Final[Mapping[str, str]] = {
    "CGO_ENABLED": "0",
    "GOTOOLCHAIN": "auto",
    # The checksum database of Go does not have all modules of Consul.
    "GONOSUMDB": "github.com/hashicorp/*",
}


class ProgramMissing(RuntimeError):
    """A server cannot be built, because a program is not installed."""


def java(name: str) -> str:
    """
    Return the class path of a Maven project of `programs`. It needs a JDK and Maven once.

    Raises:
        ProgramMissing: It has to be built, and a program is missing.
    """
    _want(name, "java", "default-jre-headless")
    folder = _kept(name, {"javac": "default-jdk-headless", "mvn": "maven"}, _build_java)
    return f"{folder}/classes:{folder}/jars/*"


def go(name: str) -> Path:
    """
    Return the program of a Go module of `programs`. It needs Go once.

    Raises:
        ProgramMissing: It has to be built, and Go is missing.
    """
    return _kept(name, {"go": "golang-go"}, _build_go) / name


def _kept(name: str, needs: Mapping[str, str], build: Callable[[Path, Path], None]) -> Path:
    """Return the folder of a program, and build it first if it is not there."""
    sources = PROGRAMS / name
    key = hashlib.sha256(_COPY.encode() + repr(sorted(_GO.items())).encode())
    for path in sorted(each for each in sources.rglob("*") if each.is_file()):
        key.update(str(path.relative_to(sources)).encode() + b"\0" + path.read_bytes())
    folder = CACHE / f"{name}-{key.hexdigest()[:16]}"
    with locked(name):
        if not folder.exists():
            for program, package in needs.items():
                _want(name, program, package)
            print(f"building {name} into {folder}: this can take minutes", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                shutil.copytree(sources, f"{work}/sources")
                made = Path(work, "made")
                made.mkdir()
                build(Path(work, "sources"), made)
                made.rename(folder)
    return folder


def _want(name: str, program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise ProgramMissing(
            f"The {name} server for the tests needs {program}, which is not installed. "
            f"Install it (on Debian: apt-get install {package})."
        )


def _build_java(sources: Path, made: Path) -> None:
    _run(["mvn", "-B", "-q", "-ntp", _COPY, f"-DoutputDirectory={made}/jars"], sources)
    classes = made / "classes"
    classes.mkdir()
    if files := sorted(map(str, sources.rglob("*.java"))):
        _run(["javac", "-proc:none", "-cp", f"{made}/jars/*", "-d", str(classes), *files], sources)


def _build_go(sources: Path, made: Path) -> None:
    # No go.sum is committed: go writes one, from the sums that the world's modules have.
    _run(["go", "build", "-p=1", "-mod=mod", "-trimpath", "-o", f"{made}/", "."], sources)


def _run(argv: list[str], folder: Path) -> None:
    subprocess.run(
        ["nice", "-n", "19", *argv],
        cwd=folder,
        env=os.environ | _GO | {"MAVEN_OPTS": "-Xmx256m"},
        timeout=LONGEST,
        check=True,
    )


def main() -> None:
    """Build every program, the quick ones first."""
    for name in ("zookeeper", "etcd", "nacos", "consul"):
        if (PROGRAMS / name / "pom.xml").exists():
            java(name)
        elif (PROGRAMS / name / "go.mod").exists():
            go(name)


if __name__ == "__main__":
    main()
