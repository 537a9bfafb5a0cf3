"""
What Python runs at the start of each worker: it opens the board, and hands on to the next one.

Its syntax is that of Python 2.7, so that an older Python can say that it is too old. It runs
again, and only hands on, where another sitecustomize hands on to it.
"""

import os
import sys


def _start():  # type: ignore[no-untyped-def]  # noqa: ANN202 - see the syntax
    """Start what runs in a worker, and run the sitecustomize that this one hides."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.version_info < (3, 8):
        if os.environ.get("LIFECYCLE_BOARD"):
            sys.stderr.write(
                "lifecycle: Python %d.%d is too old to tell of its requests: use 3.8 or later\n"
                % sys.version_info[:2]
            )
        return
    try:
        from lifecycle_worker import start  # type: ignore[import-not-found]

        chain = start.start(folder)
    except Exception as error:  # its own troubles are not the app's
        sys.stderr.write("lifecycle: this process is not counted: %r\n" % (error,))
        return
    chain()  # not within `try`: it may end the process, and says itself what goes wrong


if __name__ == "sitecustomize":
    _start()  # type: ignore[no-untyped-call]
