"""The version; read by the builds of all distributions, by `/version` and by `lifecycle --version`."""

from typing import Final

VERSION: Final = "0.2.0"
