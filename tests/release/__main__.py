"""
Build every distribution into dist/, and prove what is built; `make dist` runs it.

    python -m tests.release

Rules of this file:

1. dist/ is empty until everything is proven, and then holds wheels and sdists alone.
2. Everything is built twice: here, each wheel out of its sdist, as users' installers do it; and
   straight from a copy of what git tracks, at another path, at another time, in another time
   zone, with other permissions. Both must be the same bytes.
3. The tests run on the wheels, in an environment made for them, where there is no source.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.release.building import (
    ROOT,
    NotReproducibleError,
    build,
    copy_of_the_tracked,
    differences,
    epoch,
    has_changes,
    projects,
)
from tests.release.contents import WrongContentsError, check_contents, check_metadata
from tests.release.installed import WheelsError, try_the_wheels

DIST = ROOT / "dist"


def main() -> int:
    """Build, prove, and only then fill dist/."""
    since = time.monotonic()
    shutil.rmtree(DIST, ignore_errors=True)
    when = epoch()
    with tempfile.TemporaryDirectory(prefix="dist-") as name:
        folder = Path(name)
        try:
            _say(f"building twice, SOURCE_DATE_EPOCH={when}")
            built, again = folder / "built", folder / "again"
            build(projects(ROOT), built, when)
            copy = copy_of_the_tracked(folder / "copy")
            build(projects(copy), again, when, elsewhere=True)
            differences(built, again)
            _say("checking metadata and contents")
            files = sorted(built.iterdir())
            check_metadata(files)
            check_contents(files)
            _say("testing the wheels where there is no source")
            try_the_wheels(sorted(built.glob("*.whl")), folder)
        except (NotReproducibleError, WrongContentsError, WheelsError) as error:
            print(f"make dist: {error}", file=sys.stderr)
            return 1
        shutil.copytree(built, DIST)
    for file in sorted(DIST.iterdir()):
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  dist/{file.name}")
    if has_changes():
        print("There are changes that are not committed: do not publish these files.")
    _say(f"{len(list(DIST.iterdir()))} files in dist/, after {time.monotonic() - since:.0f} s")
    return 0


def _say(what: str) -> None:
    print(f"== {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
