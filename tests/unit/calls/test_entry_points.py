"""What is found under an entry point group is what `importlib.metadata` finds, on any path."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from lifecycle.calls import entry_points as entry_points_module
from lifecycle.calls.entry_points import EntryPoint, entry_points
from lifecycle.exceptions import PluginError

GROUP = "their.group"


def distribution(folder: Path, name: str, text: str | bytes) -> Path:
    """Write what an installer leaves of a distribution that declares this."""
    info = folder / name
    info.mkdir(parents=True)
    stem = name.partition("-")[0].removesuffix(".egg-info")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {stem}\nVersion: 1\n")
    (info / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {stem}\nVersion: 1\n")
    entries = text if isinstance(text, bytes) else text.encode()
    (info / "entry_points.txt").write_bytes(entries)
    return info


def theirs() -> list[tuple[str, str]]:
    """Ask the standard library the same."""
    points = [(each.name, each.value) for each in metadata.entry_points(group=GROUP)]
    return sorted(points, key=lambda point: point[0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands first on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("group", ["lifecycle", "pytest11", "console_scripts", "nobody.has.this"])
def test_what_is_installed_here(group: str) -> None:
    """For every group of this environment both find the same."""
    points = [(each.name, each.value) for each in metadata.entry_points(group=group)]
    assert sorted(entry_points(group)) == sorted(points)


@pytest.mark.parametrize(
    "text",
    [
        f"[{GROUP}]\none = a:b\n",
        f"[{GROUP}]\n\n  # one = c\n  one=a:b.c \n",
        f"[console_scripts]\none = x:y\n[{GROUP}]\ntwo = a [extra]\n[gui_scripts]\none = z:z\n",
        f"[{GROUP}]\none = a:b\n[other]\nx = y\n[{GROUP}]\ntwo = a:b = c\n",
        f"[other]\n# [{GROUP}]\none = a:b\n",
        f"[{GROUP}.more]\none = a:b\n",
        f"[{GROUP}]\r\none = a:b\r\n",
        f"[{GROUP}]\n",
        "",
    ],
)
def test_a_file_as_packages_write_it(folder: Path, text: str) -> None:
    """Comments, blanks, extras, other sections: read as the standard library reads them."""
    distribution(folder, "one-1.dist-info", text)
    assert entry_points(GROUP) == theirs()


@pytest.mark.parametrize("name", ["one-1.dist-info", "one-1-py3.egg-info", "one.egg-info"])
def test_each_kind_of_installation(folder: Path, name: str) -> None:
    """A wheel's folder, setuptools' and an editable one's are all looked at."""
    distribution(folder, name, f"[{GROUP}]\none = a:b\n")
    assert entry_points(GROUP) == theirs() == [("one", "a:b")]


def test_the_first_on_the_path_hides_the_second(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image's layer over another: what Python would import is what counts, in any spelling."""
    distribution(folder / "below", "a_b-1.dist-info", f"[{GROUP}]\none = old:it\n")
    distribution(folder / "above", "A.b-2.dist-info", f"[{GROUP}]\none = new:it\n")
    monkeypatch.syspath_prepend(str(folder / "below"))
    monkeypatch.syspath_prepend(str(folder / "above"))
    assert entry_points(GROUP) == theirs() == [("one", "new:it")]


def test_a_zip_on_the_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a zip application carries is found, and what lies beside it."""
    distribution(folder, "one-1.dist-info", f"[{GROUP}]\none = a:b\n")
    with zipfile.ZipFile(folder / "app.pyz", "w") as archive:
        archive.writestr("two-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: two\n")
        archive.writestr("two-1.dist-info/entry_points.txt", f"[{GROUP}]\ntwo = a:b\n")
    monkeypatch.syspath_prepend(str(folder / "app.pyz"))
    assert entry_points(GROUP) == theirs() == [("one", "a:b"), ("two", "a:b")]


def test_an_egg_on_the_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An egg keeps its metadata under another name."""
    distribution(folder / "one-1.egg", "EGG-INFO", f"[{GROUP}]\none = a:b\n")
    monkeypatch.syspath_prepend(str(folder / "one-1.egg"))
    assert entry_points(GROUP) == theirs() == [("one", "a:b")]


def test_a_finder_of_somebody_elses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packager that finds distributions in its own way is asked."""
    info = distribution(folder / "hidden", "one-1.dist-info", f"[{GROUP}]\none = a:b\n")

    class Finder:
        def find_spec(self, *_: object) -> None:
            return None

        def find_distributions(self, *_: object) -> list[metadata.Distribution]:
            return [metadata.Distribution.at(info)]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert entry_points(GROUP) == theirs() == [("one", "a:b")]


@pytest.mark.parametrize("odd", ["nowhere", "", "locked"])
def test_a_path_that_cannot_be_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    """A path that is not there, the working directory, a distribution without a file: no error."""
    distribution(folder, "one-1.dist-info", f"[{GROUP}]\none = a:b\n")
    (folder / "two-1.dist-info").mkdir()
    (folder / "three.egg-info").write_text("distutils leaves a file")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [odd and str(folder / odd), str(folder)])
    assert entry_points(GROUP) == [("one", "a:b")]


@pytest.mark.parametrize("odd", [Path("nowhere"), "with\0null"])
def test_a_path_of_another_kind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, odd: str | Path
) -> None:
    """A program that puts a Path into its path, or what is none, starts all the same."""
    distribution(folder, "one-1.dist-info", f"[{GROUP}]\none = a:b\n")
    monkeypatch.setattr(sys, "path", [odd, folder if isinstance(odd, Path) else str(folder)])
    assert entry_points(GROUP) == [("one", "a:b")]


@pytest.mark.parametrize("what", ["listdir", "open"])
def test_nobody_can_look(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Without a descriptor left nobody knows what is installed: a start is refused, not quiet."""
    distribution(folder, "one-1.dist-info", f"[{GROUP}]\none = a:b\n")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    place = entry_points_module.os if what == "listdir" else entry_points_module
    monkeypatch.setattr(place, what, full, raising=False)
    with pytest.raises(PluginError, match=r"cannot look for plugins in .*Too many open files"):
        entry_points(GROUP)


def test_a_file_that_is_not_text(folder: Path) -> None:
    """One broken package hides nobody else's entry points."""
    distribution(
        folder, "bad-1.dist-info", b"[\xff]\n\xfe = \xfd\n" + f"[{GROUP}]\nno value\n".encode()
    )
    distribution(folder, "one-1.dist-info", f"[{GROUP}]\none = a:b\n")
    assert entry_points(GROUP) == [("one", "a:b")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("json", json),
        ("json:loads", json.loads),
        ("json : JSONDecoder.decode [fast, safe]", json.JSONDecoder.decode),
    ],
)
def test_what_an_entry_point_loads(value: str, expected: object) -> None:
    """A module, something in it, something in that; extras say nothing about the object."""
    assert EntryPoint("any", value).load() is expected
    assert metadata.EntryPoint("any", value, GROUP).load() is expected


def test_a_start_does_not_import_the_library_that_answers_the_same() -> None:
    """It is a sixteenth of a start."""
    code = (
        "import sys; from lifecycle.calls.entry_points import entry_points; entry_points('lifecycle');"
        "sys.exit('importlib.metadata' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
