"""
The images of the tests, made without a registry from what this machine has.

    python -m tests.cluster.image > image.tar      prints the image's name on stderr

is a docker archive for a cluster of your own (`kind load image-archive image.tar`,
`k3d image import image.tar`, `docker load`): this interpreter in /usr/local, the checkout's
distributions and what they need in /opt/python, `lifecycle` on the PATH, and the apps of the
tests and of the examples in /app, where commands begin.

`base_image` is what a Dockerfile begins with instead of python:3.13-slim: the interpreter, pip and
a shell.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement

from tests.cluster.build import CACHE, locked

CHECKOUT = Path(__file__).parents[2]
SERVERS = ("uvicorn", "uvloop", "granian", "fastapi", "gunicorn", "django")
"""What the apps of the tests need beyond the checkout's own distributions."""
WHEELS = "/wheels"
"""Where pip of the base image finds all that it installs."""
KEPT = 3
"""So many images stay in the cache."""

_STDLIB_WITHOUT = {"test", "tests", "idlelib", "turtledemo", "tkinter", "ensurepip", "lib2to3"}
_STDLIB_WITHOUT |= {"site-packages", "dist-packages"}
_CACHED = f".{sys.implementation.cache_tag}.pyc"
_COMMAND = b"""#!/usr/local/bin/python3
from lifecycle.cli import main
main()
"""
_PIP = b"""#!/usr/local/bin/python3
from pip._internal.cli.main import main
raise SystemExit(main())
"""
_PIP_CONF = f"""[global]
no-index = true
find-links = {WHEELS}
disable-pip-version-check = true
root-user-action = ignore
""".encode()

Files = dict[str, Path | bytes]
"""Where a file goes in the image, and what it is."""


def app_image() -> tuple[Path, str]:
    """Return the archive and the name of the image with Python and this checkout."""
    python, packages, project = _interpreter(), _packages(), _project()
    python |= _libraries([*python.values(), *packages.values()])
    layers = [python, packages, project | {"usr/local/bin/lifecycle": _COMMAND}, _apps()]
    env = ["PATH=/usr/local/bin", "PYTHONPATH=/opt/python", "PYTHONUNBUFFERED=1", "HOME=/tmp"]
    return _kept("lifecycle", layers, {"Env": env, "Cmd": ["python3"], "WorkingDir": "/app"})


def base_image() -> tuple[Path, str]:
    """Return the archive and the name of the image that a Dockerfile begins with."""
    python = _interpreter()
    python |= {"bin/sh": Path("/bin/sh").resolve()}
    # What is installed later may be linked with what the distributions here are linked with.
    python |= _libraries([*python.values(), *_packages().values()])
    site = f"usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    pip = {f"{site}/{place}": path for place, path in _files_of("pip")}
    pip |= {"usr/local/bin/pip": _PIP, "etc/pip.conf": _PIP_CONF}
    pip |= {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n"}
    return _kept("python", [python, pip], {"Env": ["PATH=/usr/local/bin:/bin"], "Cmd": ["python3"]})


def pause_image(program: Path) -> tuple[Path, str]:
    """Return the archive and the name of the image of the pods' sandboxes."""
    return _kept("pause", [{"pause": program}], {"Cmd": ["/pause"]})


def _interpreter() -> Files:
    binary = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    files: Files = {f"usr/local/bin/{each}": binary for each in ("python3", "python")}
    stdlib = Path(sysconfig.get_path("stdlib"))
    for folder, folders, names in os.walk(stdlib):
        folders[:] = [
            each
            for each in folders
            if each not in _STDLIB_WITHOUT and not each.startswith("config-")
        ]
        files |= _of_python(Path(folder), names, f"usr/local/lib/{name}", stdlib)
    return files


def _packages() -> Files:
    """Return the installed distributions' files, the checkout's own metadata among them."""
    needed = _needed([*_editable(), *SERVERS])
    return {f"opt/python/{place}": path for each in needed for place, path in _files_of(each.name)}


def _files_of(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a distribution that is installed here, and their places in it."""
    distribution = importlib.metadata.distribution(name)
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file)))
        kept = _CACHED in file.name or "__pycache__" not in file.parts
        left = file.name.endswith(".pth") or file.name == "direct_url.json"
        if ".." not in file.parts and kept and not left and path.exists():
            yield str(file), path


def _project() -> Files:
    """Return the checkout's packages, compiled: an image's file system is often read-only."""
    files: Files = {}
    for root in _editable().values():
        source = root / "src"
        tops = (
            [p for p in source.iterdir() if p.is_dir()] if source.is_dir() else [root / "lifecycle"]
        )
        for top in tops:
            for path in sorted(top.rglob("*")):
                place = f"opt/python/{path.relative_to(top.parent)}"
                if path.is_dir() or "__pycache__" in path.parts:
                    continue
                files[place] = path
                if path.suffix == ".py":
                    folder, _, _ = place.rpartition("/")
                    files[f"{folder}/__pycache__/{path.stem}{_CACHED}"] = _compiled(path, place)
    return files


def _apps() -> Files:
    folders = (CHECKOUT / "examples", CHECKOUT / "tests" / "e2e" / "served")
    return {f"app/{path.name}": path for folder in folders for path in folder.glob("*.py")}


def _compiled(path: Path, place: str) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".pyc") as file:
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(path), file.name, f"/{place}", doraise=True, invalidation_mode=mode)
        return Path(file.name).read_bytes()


def _of_python(folder: Path, names: Iterable[str], place: str, top: Path) -> Files:
    return {
        f"{place}/{(folder / name).relative_to(top)}": folder / name
        for name in names
        if (_CACHED in name or not name.endswith(".pyc")) and not name.startswith("_tkinter")
    }


def _editable() -> dict[str, Path]:
    """Find the distributions that are installed from this checkout, and their folders."""
    found = {}
    for distribution in importlib.metadata.distributions():
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        path = Path(urllib.parse.unquote(urllib.parse.urlsplit(origin.get("url", "")).path))
        if origin.get("dir_info", {}).get("editable") and path.is_relative_to(CHECKOUT):
            found[distribution.name] = path
    return found


def _needed(names: Iterable[str]) -> Iterator[importlib.metadata.Distribution]:
    waiting, seen = list(names), set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        yield (distribution := importlib.metadata.distribution(name))
        for line in distribution.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


def _libraries(files: Iterable[Path | bytes]) -> Files:
    """Return the shared libraries that programs and extension modules are linked with."""
    paths = [each for each in files if isinstance(each, Path)]
    linked = [str(p) for p in paths if ".so" in p.name or os.access(p, os.X_OK)]
    listed = subprocess.run(
        ["ldd", *(path for path in linked if _is_elf(path))],
        check=False,  # it complains of what is linked with nothing
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listed.stdout, re.MULTILINE))
    return {path[1:]: Path(path) for path in found if "site-packages" not in path}


def _is_elf(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def _kept(name: str, layers: list[Files], config: Mapping[str, object]) -> tuple[Path, str]:
    """Make an archive, unless the cache has one of the same content."""
    key = hashlib.sha256(Path(__file__).read_bytes() + json.dumps(config).encode())
    for place, content in sorted(each for layer in layers for each in layer.items()):
        key.update(place.encode())
        key.update(content if isinstance(content, bytes) else content.read_bytes())
    version = key.hexdigest()[:16]
    tag = f"docker.io/local/{name}:{version}"
    return kept(name, version, lambda work: _write(work, tag, layers, config)), tag


def kept(name: str, version: str, make: Callable[[Path], Path]) -> Path:
    """Return an archive of the cache; `make` writes it in the folder that it gets, if it lacks."""
    with locked("images"):
        archive = CACHE / f"{name}-{version}.tar"
        if not archive.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                make(Path(work)).rename(archive)
        archive.touch()
        used = sorted(CACHE.glob(f"{name}-*.tar"), key=lambda path: path.stat().st_mtime)
        for old in used[:-KEPT]:
            old.unlink()
    return archive


def _write(work: Path, tag: str, layers: list[Files], config: Mapping[str, object]) -> Path:
    names = [f"{number}.tar" for number in range(len(layers))]
    for name, files in zip(names, layers, strict=True):
        _write_layer(work / name, files)
    image = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": config,
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{_digest(work / name)}" for name in names],
        },
    }
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": names}]
    (work / "config.json").write_text(json.dumps(image))
    (work / "manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(work / "image.tar", "w") as archive:
        for name in ("manifest.json", "config.json", *names):
            archive.add(work / name, name)
    return work / "image.tar"


def _write_layer(path: Path, files: Files) -> None:
    with tarfile.open(path, "w") as layer:
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        layer.addfile(tmp)
        for place, content in sorted(files.items()):
            info = tarfile.TarInfo(place)
            if isinstance(content, bytes):
                info.size, info.mode = len(content), 0o755 if "/bin/" in place else 0o644
                layer.addfile(info, io.BytesIO(content))
            else:
                status = content.stat()
                info.size, info.mode = status.st_size, 0o644 | (status.st_mode & 0o111)
                info.mtime = int(status.st_mtime)  # by which Python knows what it has compiled
                with content.open("rb") as file:
                    layer.addfile(info, file)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    made, called = app_image()
    print(called, file=sys.stderr)
    with made.open("rb") as archive:
        shutil.copyfileobj(archive, sys.stdout.buffer)
