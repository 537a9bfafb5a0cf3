"""A scraper: what `/metrics` answers, as the official parsers read it."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

import lifecycle

LIMIT = 20.0
"""Seconds for anything on a busy machine."""
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""What Prometheus sends."""
Key = tuple[Any, ...]


class Scrape(NamedTuple):
    """One answer."""

    status: int
    content_type: str
    text: str
    seconds: float

    @property
    def samples(self) -> dict[Key, float]:
        """Each sample by its name and its labels."""
        read = openmetrics if "openmetrics" in self.content_type else plain
        found: dict[Key, float] = {}
        for family in read(self.text):
            for sample in family.samples:
                key = sample.name, *sorted(sample.labels.items())
                assert key not in found
                found[key] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of one sample of ours, or None."""
        return self.samples.get((f"pod_lifecycle_{name}", *sorted(labels.items())))

    def labels(self, name: str) -> list[dict[str, str]]:
        """Return the labels of all samples of a name of ours."""
        return [dict(key[1:]) for key in self.samples if key[0] == f"pod_lifecycle_{name}"]


def scrape(url: str, accept: str = "", **headers: str) -> Scrape:
    """GET a URL, whatever the status."""
    request = urllib.request.Request(url, headers={"Accept": accept, **headers})
    began = time.perf_counter()
    try:
        response = urllib.request.urlopen(request, timeout=LIMIT)
    except urllib.error.HTTPError as error:
        response = error  # type: ignore[assignment]
    with response:
        text = response.read().decode()
        seconds = time.perf_counter() - began
        return Scrape(response.status, response.headers["Content-Type"], text, seconds)


async def scraped(life: lifecycle.Lifecycle, accept: str = "", **headers: str) -> Scrape:
    """Scrape a lifecycle of this process."""
    return await asyncio.to_thread(scrape, f"{life.qos_url}/metrics", accept, **headers)
