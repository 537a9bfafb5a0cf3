"""Telling the variables of Kubernetes' service links from settings."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import Final

_PORT: Final = r"_PORT_[0-9]+_(TCP|UDP|SCTP)"
_URL: Final = r"(tcp|udp|sctp)://.*"
_ADDRESS: Final = r"[0-9]+([.][0-9]+){3}|[0-9a-f:]*:[0-9a-f:.]*"
# How the name of a service link ends, and its value: the value alone is no sign, since
# LIFECYCLE_TCP_TARGETS=tcp://… is a mistake to be told of; nor is the name alone.
_LINKS: Final = (
    (f"(_PORT|{_PORT})$", _URL),
    (f"({_PORT}_PROTO)$", "tcp|udp|sctp"),
    (f"({_PORT}_PORT|_SERVICE_PORT(_[A-Z0-9_]+)?)$", "[0-9]{1,5}"),
    (f"({_PORT}_ADDR|_SERVICE_HOST)$", _ADDRESS),
)
_LINK_OR_OPTION: Final = "_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$"


def is_service_link(
    name: str, value: str, environ: Mapping[str, str] = types.MappingProxyType({})
) -> bool:
    """
    Tell whether Kubernetes made this variable for a Service called `lifecycle…`.

    An option may be called `service_host` or `service_port` too: these are a link's if the
    rest of its family, like `LIFECYCLE_QOS_PORT_22222_TCP`, is in the environment.
    """
    if not any(re.search(end, name) and _is(shape, value) for end, shape in _LINKS):
        return False
    if not re.search(_LINK_OR_OPTION, name) or _is(_URL, value):
        return True  # a URL too: the Service may be called `lifecycle-service`
    port = re.sub(_LINK_OR_OPTION, "_PORT", name)
    return any(
        other.startswith(port) and is_service_link(other, environ[other]) for other in environ
    )


def _is(shape: str, value: str) -> bool:
    return re.fullmatch(shape, value, re.IGNORECASE | re.DOTALL) is not None
