"""
The fixture `kubelet`, found by pytest through its entry point.

Nothing is imported here before a test asks for the fixture: every pytest run in an
environment with this distribution loads this file.
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
    A kubelet of the test's own; whatever it has started ends with the test.

    It blocks: `pod = kubelet.run(PodSpec(Container([...])))`, `pod.until_ready()`,
    `pod.delete().wait()`. In an `async def` test use `async with Kubelet() as kubelet:`.
    """
    from lifecycle.testing.blocking import BlockingKubelet

    with BlockingKubelet() as running:
        yield running
