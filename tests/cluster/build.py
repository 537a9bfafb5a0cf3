"""
The programs of the cluster, built from published Go modules and kept by their sources' hash.

    python -m tests.cluster.build

On a new machine that takes longer than a test may.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pod-lifecycle"
SOURCES = Path(__file__).parent / "node"
VERSION = "v1.34.4"
"""What the programs say that they are: go.mod's k8s.io/kubernetes."""
HELM = "v3.19.5"
"""Built on the same modules of Kubernetes."""

_MAJOR, _MINOR, _ = VERSION[1:].split(".")
_LDFLAGS = (
    f"-s -w -X k8s.io/component-base/version.gitVersion={VERSION}"
    f" -X k8s.io/component-base/version.gitMajor={_MAJOR}"
    f" -X k8s.io/component-base/version.gitMinor={_MINOR}"
)
_GO_BUILD = ("go", "build", "-mod=mod", "-trimpath", "-ldflags", _LDFLAGS)


def programs() -> Path:
    """Return the folder of `node` and `pause`; the first time, this takes minutes."""
    if shutil.which("go") is None:
        raise RuntimeError("the test cluster needs a Go toolchain (or a KUBECONFIG of yours)")
    key = hashlib.sha256(" ".join(_GO_BUILD).encode())
    for path in sorted([SOURCES / "go.mod", *SOURCES.rglob("*.go")]):
        key.update(path.read_bytes())
    folder = CACHE / f"node-{key.hexdigest()[:16]}"
    with locked("node"):
        if not folder.exists():
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    print(f"building Kubernetes {VERSION} into {folder}: some minutes", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        shutil.copytree(SOURCES, f"{work}/sources")
        # No go.sum is committed: go writes one, from the sums that the world's modules have.
        subprocess.run(
            [*_GO_BUILD, "-o", f"{work}/programs/", ".", "./pause"],
            cwd=f"{work}/sources",
            env=os.environ | {"CGO_ENABLED": "0"},
            check=True,
        )
        os.rename(f"{work}/programs", folder)


def helm() -> Path:
    """Return the program helm; the first time, this takes minutes."""
    folder = CACHE / f"helm-{HELM}"
    with locked("helm"):
        if not folder.exists():
            print(f"building Helm {HELM} into {folder}: some minutes", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                subprocess.run(
                    ["go", "install", "-trimpath", f"helm.sh/helm/v3/cmd/helm@{HELM}"],
                    cwd=work,
                    env=os.environ | {"CGO_ENABLED": "0", "GOBIN": f"{work}/bin"},
                    check=True,
                )
                os.rename(f"{work}/bin", folder)
    return folder / "helm"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time make what the cache lacks."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    programs()
    helm()
