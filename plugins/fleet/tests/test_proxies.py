"""The proxy of the environment."""

from __future__ import annotations

import pytest
from lifecycle_fleet.cluster.proxies import proxy_of

HTTPS = "https://cluster.example:6443"
BOTH = {"HTTPS_PROXY": "http://secure:1", "HTTP_PROXY": "plain:2"}


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        (HTTPS, {}, ""),
        (HTTPS, BOTH, "http://secure:1"),
        ("http://cluster.example", BOTH, "http://plain:2"),
        (HTTPS, {"https_proxy": "lower:3"}, "http://lower:3"),
        ("https://127.0.0.1:6443", BOTH, ""),
        ("https://[::1]:6443", BOTH, ""),
        ("https://localhost", BOTH, ""),
        (HTTPS, BOTH | {"NO_PROXY": "*"}, ""),
        (HTTPS, BOTH | {"NO_PROXY": "other, cluster.example"}, ""),
        (HTTPS, BOTH | {"no_proxy": "example"}, ""),
        (HTTPS, BOTH | {"NO_PROXY": ".example"}, ""),
        (HTTPS, BOTH | {"NO_PROXY": "*.example"}, ""),
        ("https://example", BOTH | {"NO_PROXY": ".example"}, "http://secure:1"),
        (HTTPS, BOTH | {"NO_PROXY": "ample"}, "http://secure:1"),
        (HTTPS, BOTH | {"NO_PROXY": "cluster.example:6443"}, ""),
        (HTTPS, BOTH | {"NO_PROXY": "cluster.example:443"}, "http://secure:1"),
        ("https://10.1.2.3", BOTH | {"NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://11.1.2.3", BOTH | {"NO_PROXY": "10.0.0.0/8,nonsense/99"}, "http://secure:1"),
        ("https://10.1.2.3", BOTH | {"NO_PROXY": "10.1.2.3"}, ""),
        ("https://[fd00::1]:6443", BOTH | {"NO_PROXY": "fd00::/8"}, ""),
        ("https://[fd00::1]:6443", BOTH | {"NO_PROXY": "fd00::1"}, ""),
        ("https://[fd00::1]:6443", BOTH | {"NO_PROXY": "[fd00::1]:6443"}, ""),
        ("https://[fd00::1]:6443", BOTH | {"NO_PROXY": "[fd00::1]:443"}, "http://secure:1"),
    ],
)
def test_the_proxy_is_the_one_that_kubectl_uses(
    server: str, environ: dict[str, str], proxy: str
) -> None:
    """Go's rules hold, with networks and ports in NO_PROXY, and this machine is reached directly."""
    assert proxy_of(server, environ) == proxy
