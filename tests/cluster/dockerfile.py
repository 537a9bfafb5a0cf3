"""
An image that buildah builds from a Dockerfile, without a registry.

The Dockerfile is built as it is. Of its first line, only the image is another one: this machine's
Python, pip and a shell (`image.base_image`). There pip asks no index. It finds the wheels of this
checkout, and those of the frameworks, which the ordinary pip of this machine has fetched.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from os import rename
from pathlib import Path
from typing import Final

from tests.cluster.build import CACHE, locked
from tests.cluster.image import CHECKOUT, WHEELS, base_image, kept

OWN: Final = (CHECKOUT, CHECKOUT / "plugins" / "grpc")
"""The distributions of this checkout that are installed from wheels."""
_PINS: Final = CHECKOUT / "constraints.txt"
_LONGEST: Final = 300.0
"""Seconds that a program may take on a busy machine."""


def built(
    dockerfile: Path, context: Mapping[str, bytes], frameworks: Sequence[str]
) -> tuple[Path, str]:
    """
    Return the archive and the name of the image that a Dockerfile makes.

    Args:
        dockerfile: The file.
        context: What lies beside it: paths and contents.
        frameworks: The names of what its pip is to find, besides the checkout's own wheels.
    """
    base, beginning = base_image()
    fetched = _fetched(frameworks)
    with tempfile.TemporaryDirectory() as made:
        own = _own_wheels(Path(made))
        key = hashlib.sha256(Path(__file__).read_bytes() + dockerfile.read_bytes())
        key.update(f"{beginning} {fetched.name}".encode())
        for place, content in sorted(context.items()):
            key.update(place.encode() + content)
        for wheel in sorted(own.iterdir()):
            key.update(wheel.name.encode() + wheel.read_bytes())
        version = key.hexdigest()[:16]
        name = f"docker.io/local/built:{version}"

        def make(work: Path) -> Path:
            for place, content in context.items():
                path = work / "context" / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            shutil.copytree(fetched, work / "wheels")
            shutil.copytree(own, work / "wheels", dirs_exist_ok=True)
            return _build(work, dockerfile, base, beginning, name)

        return kept("built", version, make), name


def _build(work: Path, dockerfile: Path, base: Path, beginning: str, name: str) -> Path:
    storage = ("--root", f"{work}/storage", "--runroot", f"{work}/run", "--storage-driver", "vfs")
    _run("buildah", *storage, "pull", "--quiet", f"docker-archive:{base}")
    _run(
        *("buildah", *storage, "build", "--isolation", "chroot"),
        *("--pull-never", "--from", beginning, "--volume", f"{work}/wheels:{WHEELS}:ro"),
        *("--file", str(dockerfile), "--tag", name, f"{work}/context"),
    )
    archive = work / "image.tar"
    _run("buildah", *storage, "push", "--quiet", name, f"docker-archive:{archive}:{name}")
    return archive


def _own_wheels(folder: Path) -> Path:
    """Build the checkout's own wheels, as a release would."""
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")
    _pip("wheel", *options, "--wheel-dir", str(folder), *map(str, OWN))
    return folder


def _fetched(frameworks: Sequence[str]) -> Path:
    """Fetch the wheels of frameworks, and of what they and the checkout need, as pinned."""
    own = [str(each) for each in OWN]
    key = hashlib.sha256(_PINS.read_bytes() + " ".join(frameworks).encode())
    for project in OWN:
        key.update((project / "pyproject.toml").read_bytes())
    key.update(f"{sys.implementation.cache_tag} {platform.machine()}".encode())
    folder = CACHE / f"wheels-{key.hexdigest()[:16]}"
    with locked("wheels"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                options = ("--quiet", "--constraint", str(_PINS), "--no-build-isolation")
                _pip("wheel", *options, "--wheel-dir", f"{work}/wheels", *own, *frameworks)
                for wheel in Path(work, "wheels").glob("*lifecycle*.whl"):
                    wheel.unlink()  # of the checkout as it was then
                rename(f"{work}/wheels", folder)
    return folder


def _pip(*words: str) -> None:
    _run(sys.executable, "-m", "pip", *words)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_LONGEST)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
