"""The version; read by the build, by `/version` and by `lifecycle --version`."""

from typing import Final

VERSION: Final = "0.1.0"
