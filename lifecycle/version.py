"""The version, for all distributions, for `/version` and for `lifecycle --version`."""

from typing import Final

VERSION: Final = "0.2.0"
