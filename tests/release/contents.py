"""What the distributions say of themselves, and what they hold."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lifecycle.version import VERSION

IN_EACH_SDIST: Final = ("PKG-INFO", "pyproject.toml", "README.md", "LICENSE", ".build/sbom.py")
"""Out of which a wheel can be built where there is nothing else of this repository."""
MAY_BE_IN_AN_SDIST: Final = (*IN_EACH_SDIST, ".gitignore", "docs/changelog.md")


class WrongContentsError(Exception):
    """A distribution says or holds what it should not, or lacks something."""


def check_metadata(files: Sequence[Path]) -> None:
    """Have twine and check-wheel-contents look at them."""
    names = [str(each) for each in files]
    wheels = [each for each in names if each.endswith(".whl")]
    for words in (["twine", "check", "--strict", *names], ["check_wheel_contents", *wheels]):
        done = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise WrongContentsError(f"{words[0]}:\n{done.stdout}{done.stderr}")


def check_contents(files: Sequence[Path]) -> None:
    """
    Look into each file.

    Raises:
        WrongContentsError: Names everything that is wrong.
    """
    wrong = []
    for file in files:
        look = _wheel if file.suffix == ".whl" else _sdist
        wrong += [f"{file.name}: {each}" for each in look(file)]
    if wrong:
        raise WrongContentsError("\n".join(wrong))


def _sdist(file: Path) -> list[str]:
    with tarfile.open(file) as archive:
        members = archive.getmembers()
        inside = {each.name.partition("/")[2] for each in members}
    wrong = [f"{each} is missing" for each in IN_EACH_SDIST if each not in inside]
    wrong += [f"{each.name} is not a file" for each in members if not each.isfile()]
    wrong += [
        f"{each} does not belong into it"
        for each in sorted(inside)
        if each not in MAY_BE_IN_AN_SDIST and not each.startswith(("lifecycle/", "src/lifecycle_"))
    ]
    if not any(each.endswith("/py.typed") for each in inside):
        wrong.append("py.typed is missing")
    if file.name.startswith("pod_lifecycle-") and "docs/changelog.md" not in inside:
        wrong.append("docs/changelog.md is missing")
    return wrong


def _wheel(file: Path) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        info = next(each for each in names if each.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(info).decode())
        about = info.removesuffix("METADATA")
        sboms = [each for each in names if each.startswith(f"{about}sboms/")]
        documents = {each: archive.read(each).decode() for each in sboms}
    wrong = []
    if metadata["Version"] != VERSION:
        wrong.append(f"its version is {metadata['Version']}, and not {VERSION}")
    if f"{about}licenses/LICENSE" not in names:
        wrong.append("the licence is missing")
    if not any(each.endswith("/py.typed") for each in names):
        wrong.append("py.typed is missing")
    if sboms != [f"{about}sboms/{metadata['Name']}.cdx.json"]:
        wrong.append(f"it should have one SBOM: {sboms}")
    requirements = [Requirement(each) for each in metadata.get_all("Requires-Dist") or []]
    needed = {canonicalize_name(each.name) for each in requirements}
    for name, text in documents.items():
        invalid = JsonStrictValidator(SchemaVersion.V1_7).validate_str(text)
        if invalid:
            wrong.append(f"{name} is not CycloneDX: {invalid}")
        wrong += _told(json.loads(text), metadata["Name"], needed)
    for each in requirements:
        if each.name == "pod-lifecycle" and VERSION not in each.specifier:
            wrong.append(f"it needs {each}, which leaves out {VERSION}")
    return wrong


def _told(document: dict[str, Any], name: str, needed: set[str]) -> list[str]:
    component = document["metadata"]["component"]
    wrong = []
    if (component["name"], component["version"]) != (name, VERSION):
        wrong.append(f"its SBOM is of {component['name']} {component['version']}")
    listed = {each["name"] for each in document["components"]}
    if listed != needed:
        wrong.append(f"its SBOM lists {sorted(listed)}, and its metadata {sorted(needed)}")
    return wrong
