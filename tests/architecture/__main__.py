"""
How the modules lie, and what they may know of each other; `make lint` runs it.

    python -m tests.architecture [FOLDER]

It reads the sources of the repository in that folder, or of this one, and exits 1 if a rule is
broken. Which room may import which, import-linter knows: pyproject.toml has the contracts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.architecture import circles, private_names, sizes
from tests.architecture.sources import Module, read

ROOT: Final = Path(__file__).parents[2]
PUBLIC: Final = frozenset({"lifecycle.asgi", "lifecycle.event_streams", "lifecycle.testing"})
"""What plugins may import beside the package itself, of which its `__all__` is public."""


def broken(core: list[Module], plugins: list[Module]) -> Iterator[str]:
    """Yield what is against a rule."""
    for some in filter(None, (core, plugins)):
        yield from sizes.too_large(some)
        yield from circles.circles(some)
    yield from private_names.trespasses(core + plugins)
    yield from private_names.unreasoned(core + plugins)
    facade = next(each for each in core if each.name == "lifecycle")
    yield from private_names.beside_the_api(plugins, facade, PUBLIC)


def main(root: Path) -> int:
    """Print how large the modules are, and what is wrong; 1 if anything is."""
    core = read(root / "lifecycle")
    sources = sorted(root.glob("plugins/*/src/*"))
    plugins = [module for source in sources for module in read(source)]
    print(f"the core: {sizes.summary(core)}")
    if plugins:
        print(f"the plugins: {sizes.summary(plugins)}")
    faults = list(broken(core, plugins))
    for each in faults:
        print(each.replace(f"{root}/", ""), file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
