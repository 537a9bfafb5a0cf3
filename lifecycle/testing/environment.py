"""The environment of a container, with `$(NAME)` expanded as in Kubernetes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Final

from lifecycle.testing.specs import Container

_REFERENCE: Final = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` with its value. Unknown names stay unchanged. `$$` becomes `$`."""

    def value(found: re.Match[str]) -> str:
        if found[1] is None:
            return "$"
        return env.get(found[1], found[0])

    return _REFERENCE.sub(value, text)


def own_environment() -> dict[str, str]:
    """Return the environment of this process, though another thread may change it meanwhile."""
    found = {name: os.environ.get(name) for name in list(os.environ)}
    return {name: value for name, value in found.items() if value is not None}


def handed_on() -> dict[str, str]:
    """Return the environment of this process without its `LIFECYCLE_*` variables."""
    return {name: v for name, v in own_environment().items() if not name.startswith("LIFECYCLE_")}


def environment(container: Container, ports: Mapping[str, int]) -> dict[str, str]:
    """
    Return the environment of a container.

    Its PATH starts with the folder of this Python interpreter. Commands of this environment
    (`lifecycle prestop`) are therefore found, as they are in an image.
    """
    env = handed_on()
    here = os.path.dirname(sys.executable)
    env["PATH"] = os.pathsep.join(filter(None, (here, env.get("PATH", os.defpath))))
    for name, port in ports.items():
        env[f"PORT_{name.upper().replace('-', '_')}"] = str(port)
    for name, value in container.env.items():
        env[name] = expand(value, env)
    return env
