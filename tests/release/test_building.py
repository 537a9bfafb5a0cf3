"""An sdist stands alone, and each wheel says what it is made of."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.specifiers import SpecifierSet

from lifecycle.version import VERSION
from tests.docs.pages import ROOT


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom_hook", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sbom = _load(ROOT / ".build" / "sbom.py")


def _build(folder: Path, what: str, to: Path) -> Path:
    words = [sys.executable, "-m", "hatchling", "build", "-t", what, "-d", str(to)]
    env = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(to.glob("*.whl" if what == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel of lifecycle-probes: straight from here, and from its sdist somewhere else."""
    here, alone = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("alone")
    folder = ROOT / "plugins" / "probes"
    with tarfile.open(_build(folder, "sdist", alone)) as archive:
        archive.extractall(alone, filter="data")
    unpacked = alone / f"lifecycle_probes-{VERSION}"
    return _build(folder, "wheel", here), _build(unpacked, "wheel", alone)


def test_an_sdist_alone_makes_the_same_wheel(wheels: tuple[Path, Path]) -> None:
    """Byte by byte, with the version, though `lifecycle/version.py` is not in it."""
    straight, from_sdist = wheels

    assert f"-{VERSION}-" in from_sdist.name
    assert from_sdist.read_bytes() == straight.read_bytes()


def test_a_wheel_has_an_sbom(wheels: tuple[Path, Path]) -> None:
    """It stands where PEP 770 says, and lists what the metadata needs."""
    with zipfile.ZipFile(wheels[0]) as archive:
        name = f"lifecycle_probes-{VERSION}.dist-info/sboms/lifecycle-probes.cdx.json"
        document = json.loads(archive.read(name))

    assert document["metadata"]["component"]["purl"] == f"pkg:pypi/lifecycle-probes@{VERSION}"
    assert [each["name"] for each in document["components"]] == ["pod-lifecycle"]


def test_an_sbom_tells_needed_from_optional() -> None:
    """An extra's dependency is optional, unless everybody needs it anyway."""
    extras = {"one": ["b>=1", "a>=2"], "two": ["c"]}
    document = sbom.bom("x", "1", "Apache-2.0", ["a>=1,<2"], extras)
    scopes = {each["name"]: each["scope"] for each in document["components"]}

    assert scopes == {"a": "required", "b": "optional", "c": "optional"}


def test_an_sbom_is_the_same_every_time() -> None:
    """There is no time and no chance in it."""
    arguments = ("x", "1", "Apache-2.0", ["b", "a"], {})

    assert json.dumps(sbom.bom(*arguments)) == json.dumps(sbom.bom(*arguments))


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [
        ("", "vers:pypi/*"),
        (">=1", "vers:pypi/>=1"),
        ("<0.19,>=0.18", "vers:pypi/>=0.18|<0.19"),
        (">=9,<10", "vers:pypi/>=9|<10"),
        ("==1.2", "vers:pypi/1.2"),
        ("!=1.5,>=1", "vers:pypi/>=1|!=1.5"),
    ],
)
def test_a_range_is_written_as_vers(specifier: str, expected: str) -> None:
    """In ascending order of the versions, as the vers specification wants it."""
    assert sbom.vers(SpecifierSet(specifier)) == expected


def test_a_range_that_vers_does_not_know_is_refused() -> None:
    """The message names it."""
    with pytest.raises(ValueError, match=r"~=1\.2"):
        sbom.vers(SpecifierSet("~=1.2"))
