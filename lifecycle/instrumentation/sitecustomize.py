"""
The module that Python runs at the start of each worker. It opens the board, and runs the next one.

Its syntax is that of Python 2.7, so that an older Python can print that it is too old. If another
sitecustomize runs this one again, it only runs the next one.
"""

import os
import sys


def _start():  # type: ignore[no-untyped-def]  # noqa: ANN202 - see the syntax
    """Start the instrumentation, and run the sitecustomize that this one hides."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.version_info < (3, 8):
        if os.environ.get("LIFECYCLE_BOARD"):
            sys.stderr.write(
                "lifecycle: requests are not counted, because Python %d.%d is too old. Use 3.8 or later\n"
                % sys.version_info[:2]
            )
        return
    try:
        from lifecycle_worker import start  # type: ignore[import-not-found]

        chain = start.start(folder)
    except Exception as error:  # an error here must not reach the app
        sys.stderr.write("lifecycle: this process is not counted: %r\n" % (error,))
        return
    chain()  # not within `try`: it may end the process, and reports its own errors


if __name__ == "sitecustomize":
    _start()  # type: ignore[no-untyped-call]
