"""
Which callables `lifecycle run --asgi` can serve, and what to do with the others.

Also which callables are apps, and not the main function that `lifecycle run` needs without `--asgi`.

A callable is refused only if the call that the server makes, `app(scope, receive, send)`, cannot
work. If its signature leaves that open, for example `*args`, it is accepted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple

from lifecycle.calls.signatures import needed, one_or_none

ASGI: Final = 3
"""How many arguments a server gives to an ASGI app: scope, receive, send."""
WSGI: Final = 2
"""How many a server gives to a WSGI app: environ, start_response."""
ENVIRON: Final = ("environ", "env", "environment")
START_RESPONSE: Final = ("start_response", "start")
"""Names that WSGI apps give to their two arguments. The number alone does not tell."""
SCOPE: Final = "scope"


class Refusal(NamedTuple):
    """Why a callable cannot be served, with what to do, and the page about it."""

    why: str
    see: str


def refusal(
    app: Callable[..., object], target: str, service: str, port: int | None
) -> Refusal | None:
    """
    Return why a callable cannot be served as an ASGI app, and what to do, or None if it can be.

    Args:
        app: The callable.
        target: How the user named it, as MODULE:NAME.
        service: The name of the app service, for the command in the message, or "" if not known.
        port: The port of the app service, for the same command, or None if there is none.
    """
    call = _called(app)
    try:
        own = _own_signature(call)
        shown = inspect.signature(call)
    except (TypeError, ValueError, NameError):  # written in C, or annotated for type checkers only
        return None
    asynchronous = _is_async(call)
    judged = shown if own is None or _is_open(own) else own
    if not asynchronous and _is_wsgi(judged):
        return _wsgi(target, judged, service, port)
    if own is None or _takes(own, ASGI):
        return None
    if not asynchronous and _takes(own, 1) and [*own.parameters][:1] == [SCOPE]:
        return Refusal(
            f"{target!r} is an ASGI 2 app, which takes the scope alone. --asgi calls an app with "
            "(scope, receive, send), so every request would fail. Wrap it: "
            "app = asgiref.compatibility.guarantee_single_callable(app)",
            see="asgi-2-app",
        )
    return Refusal(
        f"{target!r} is not an ASGI app, because it takes {_words(own)}. --asgi calls an app with "
        f"(scope, receive, send), so every request would fail. "
        f"{_hint(own, _own_server(target, service, port), asynchronous=asynchronous)}",
        see="not-an-asgi-app",
    )


def refusal_as_main(
    app: Callable[..., object], target: str, service: str, port: int | None
) -> Refusal | None:
    """
    Return that a callable is a web app and not a main function, and what to do, or None.

    For the arguments, see `refusal`.
    """
    call = _called(app)
    try:
        shown = inspect.signature(call)
        is_main = one_or_none(needed(call))
    except (TypeError, ValueError, NameError):  # written in C, or annotated for type checkers only
        return None
    if is_main:
        return None
    if not _is_async(call) and _is_wsgi(shown):
        return Refusal(
            f"{target!r} is a WSGI app, which takes {_words(shown)}, and not a main function. "
            f"Run the app's own server instead: {_own_server(target, service, port)}",
            see="wsgi-app",
        )
    if not _takes(shown, ASGI):
        return None
    address = f"--bind 0.0.0.0:{port} " if port else ""
    options = f"--service {service}{f':{port}' if port else ''} {address}" if service else ""
    return Refusal(
        f"{target!r} is an ASGI app, which takes {_words(shown)}, and not a main function. "
        f"Add --asgi: lifecycle run --asgi {options}{target}",
        see="asgi-app-as-main-function",
    )


def _hint(own: inspect.Signature, server: str, *, asynchronous: bool) -> str:
    if asynchronous and (_takes(own, 0) or _takes(own, 1)):
        return "If it is an async main, leave out --asgi"
    if _takes(own, 0):
        return "If it makes the app, call it in your module, app = create_app(), and name the app"
    if not asynchronous and _takes(own, WSGI) and not _takes(own, 1):
        return f"If it is a WSGI app, run its own server instead: {server}"
    return "Name the app itself"


def _wsgi(target: str, shown: inspect.Signature, service: str, port: int | None) -> Refusal:
    return Refusal(
        f"{target!r} is a WSGI app, which takes {_words(shown)}. --asgi serves ASGI apps only, so "
        f"every request would fail. Run the app's own server instead: "
        f"{_own_server(target, service, port)}. If your framework has an "
        "ASGI app too, name that one, for example mysite.asgi:application in Django",
        see="wsgi-app",
    )


def _own_server(target: str, service: str, port: int | None) -> str:
    number = port or 8080
    return (
        f"lifecycle run --service {service or 'NAME'}:{number} -- "
        f"gunicorn --bind 0.0.0.0:{number} {target}"
    )


def _called(app: Callable[..., object]) -> Callable[..., object]:
    """Return what runs when the app is called: of an object with `__call__`, that method."""
    if isinstance(app, (FunctionType, MethodType, partial, type)):
        return app
    # Python looks it up on the class. `inspect.signature` forgets that it may be a static method.
    call: Any = inspect.getattr_static(type(app), "__call__", app)
    return call.__get__(app, type(app)) if hasattr(call, "__get__") else call  # type: ignore[no-any-return]


def _own_signature(call: Callable[..., object]) -> inspect.Signature | None:
    """Return the signature of the callable itself, or None if it shows one of something else."""
    if getattr(call, "__signature__", None) is not None:
        return None
    return inspect.signature(call, follow_wrapped=False)


def _takes(signature: inspect.Signature, count: int) -> bool:
    """Tell whether a call with so many positional arguments is possible."""
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _is_open(signature: inspect.Signature) -> bool:
    return any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values())


def _is_wsgi(signature: inspect.Signature) -> bool:
    first, second = [*signature.parameters, "", ""][:2]
    return _takes(signature, WSGI) and (first in ENVIRON or second in START_RESPONSE)


def _is_async(call: Callable[..., object]) -> bool:
    """Tell whether it, or a function that it decorates, is a coroutine function."""
    each: Any = call
    while each is not None:
        if inspect.iscoroutinefunction(each) or hasattr(each, "_is_coroutine"):  # asyncio's mark
            return True
        each = each.func if isinstance(each, partial) else getattr(each, "__wrapped__", None)
    return False


def _words(signature: inspect.Signature) -> str:
    return f"({', '.join(signature.parameters)})"
