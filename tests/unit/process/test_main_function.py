"""What may be a main, and what is said of what is none."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from lifecycle.process.main_function import takes_lifecycle


class Application:
    """An ASGI app as the frameworks make it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve."""


async def terse(s: Any, r: Any, w: Any) -> None:
    """Serve."""


async def wsgi(environ: Any, start_response: Any) -> None:
    """Serve nobody."""


@pytest.mark.parametrize("given", [Application(), Application().__call__, app, partial(app), terse])
def test_an_asgi_app(given: Any) -> None:
    """An ASGI app is no main; it is said how it is served."""
    with pytest.raises(TypeError, match=r"main takes one argument.*`lifecycle run --asgi`"):
        takes_lifecycle(given)


@pytest.mark.parametrize("given", [wsgi, lambda *, scope: scope])
def test_too_many_arguments(given: Any) -> None:
    """What is neither a main nor an ASGI app is said to be no main."""
    with pytest.raises(TypeError, match="main takes one argument"):
        takes_lifecycle(given)


@pytest.mark.parametrize("given", [dict, type, 5, None, "main"])
def test_what_is_no_function(given: Any) -> None:
    """What cannot be called with a Lifecycle, or nobody knows how, is refused with its name."""
    with pytest.raises(TypeError, match=r"async function|main takes"):
        takes_lifecycle(given)
