"""
The fixture `kubelet`, which pytest finds through an entry point.

Every pytest run in an environment with pod-lifecycle loads this file. Nothing is therefore
imported here before a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lifecycle.testing.blocking import BlockingKubelet


@pytest.fixture
def kubelet() -> Iterator[BlockingKubelet]:
    """
    A kubelet for one test. All its processes end with the test.

    Its methods block: `pod = kubelet.run(PodSpec(Container([...])))`, `pod.until_ready()`,
    `pod.delete().wait()`. In an `async def` test, use `async with Kubelet() as kubelet:` instead.
    """
    from lifecycle.testing.blocking import BlockingKubelet

    with BlockingKubelet() as running:
        yield running
