"""A name for each failure of a request, so that a message tells what to do."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator
from typing import Final

import httpx2
from lightkube.core.exceptions import ConfigError

from lifecycle_fleet.errors import ApiServerError

EXPIRED: Final = "expired"
FORBIDDEN: Final = "forbidden"
NOT_FOUND: Final = "not found"

_STATES: Final = {
    401: "unauthorized",
    403: FORBIDDEN,
    404: NOT_FOUND,
    409: "conflict",
    410: EXPIRED,
    422: "invalid",
    429: "throttled",
}


@contextlib.contextmanager
def named_errors(timeout: float = 10.0) -> Iterator[None]:
    """
    Turn each failure into an `ApiServerError` with a name.

    Args:
        timeout: Seconds that the request had, for the message.

    Raises:
        ApiServerError: The block has raised.
    """
    try:
        yield
    except httpx2.ProxyError as error:
        raise ApiServerError("unreachable", f"the proxy refuses: {error}") from error
    except (httpx2.ConnectTimeout, httpx2.ConnectError) as error:
        state = "untrusted" if _is_untrusted(error) else "unreachable"
        raise ApiServerError(state, str(error) or "no connection") from error
    except httpx2.TimeoutException as error:
        raise ApiServerError("slow", f"no answer for {timeout:g} s") from error
    except httpx2.HTTPError as error:
        raise ApiServerError("connection lost", str(error) or type(error).__name__) from error
    except (ConfigError, ImportError, OSError) as error:
        raise ApiServerError("no access", str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ApiServerError("broken", f"the answer cannot be read: {error!r}") from error


def failure(code: int, body: str) -> ApiServerError:
    """Return the error of an answer."""
    state = _STATES.get(code, "broken" if code >= 500 else f"refused ({code})")
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        body = str(json.loads(body).get("message") or body)
    return ApiServerError(state, body if body.strip() else f"HTTP {code}")


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
