"""
Streams of server-sent events: which requests open one, and which streams never end.

This module is public, for adapters to other servers. It is independent of servers and does no I/O.

Rules of this file:

1. The media type marks an event stream. Case does not matter, and there may be parameters.
   `Accept` is a list with weights, perhaps over several lines. `Content-Type` is one media type.
2. Only an `EventSource` reconnects when its stream has ended. Its request is a GET, and its
   `Accept` contains the media type of events. A wildcard (`*/*`) does not count.
3. A stream with an end has a header in its response, and the drain waits for it.

The code is in the package for workers, because workers may run another Python version that does
not have pod-lifecycle.
"""

from __future__ import annotations

from lifecycle.instrumentation.lifecycle_worker.event_streams import (
    EVENTS as EVENTS,
)
from lifecycle.instrumentation.lifecycle_worker.event_streams import (
    FINITE as FINITE,
)
from lifecycle.instrumentation.lifecycle_worker.event_streams import (
    STREAM_HEADER as STREAM_HEADER,
)
from lifecycle.instrumentation.lifecycle_worker.event_streams import (
    asks_for_events as asks_for_events,
)
from lifecycle.instrumentation.lifecycle_worker.event_streams import (
    is_endless as is_endless,
)
