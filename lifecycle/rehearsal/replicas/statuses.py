"""The meaning of HTTP statuses that an app answers to a rehearsal, and what to change. Pure."""

from __future__ import annotations

from typing import Final

_REDIRECT: Final = (
    "The clients do not follow the redirect, so choose a path without one. In Django, "
    "SECURE_SSL_REDIRECT redirects every request"
)
_CHANGES: Final = {
    **dict.fromkeys((301, 302, 303, 307, 308), _REDIRECT),
    400: "In Django, ALLOWED_HOSTS must contain 127.0.0.1",
    401: "Choose a path that needs no login",
    403: "Choose a path that needs no login, and in Django no CSRF token",
    404: "The app has no such path",
    405: "The path does not allow this method",
    413: "The app refuses bodies of this size",
    429: "The app limits the rate of requests. Turn the limit off, or lower --rate",
}


def change_for(status: int) -> str:
    """
    Return what to change about an answer, in one or two sentences. May be empty.

    Args:
        status: The status of the answer.
    """
    return _CHANGES.get(status, "")
