"""
Streams of server-sent events: who asks for one, and which of them never end by themselves.

Public, for whoever puts another server under pod-lifecycle. It knows no server and does no I/O.

Rules of this file:

1. An event stream is known by its media type, which is text in any case and has parameters:
   `Accept` is a list, perhaps over several lines, with weights; `Content-Type` is one of them.
2. Only an `EventSource` connects again when its stream has ended. It asks with GET, and says
   that it accepts events. A wildcard (`*/*`) does not say so.
3. A stream that has an end says so in a header of its response, and is waited for.

The rule itself is among what runs in workers: those may run another Python, without pod-lifecycle.
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
