"""
The program that becomes the command, after it has reset the signals as a shell does.

This file is run by its path, with `python -I -S launcher.py PARENT PAGE PROGRAM COMMAND…`, and
imports nothing of this package. PAGE is the address of the page about its errors. `subprocess`
cannot do this in a process with threads: code that it runs between fork and exec may deadlock.
"""

import errno
import os
import signal
import sys

NOT_FOUND = 127
NOT_EXECUTABLE = 126
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command. If that is impossible, exit with 126 or 127, as a shell does."""
    parent, page, program, *command = sys.argv[1:]
    reset_signals()
    end_with(int(parent))
    if os.environ.get("LISTEN_PID") == parent:  # systemd's sockets are for the command
        os.environ["LISTEN_PID"] = str(os.getpid())
    try:
        os.execv(program, command)  # noqa: S606 - what the user has asked for
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        # The program was found, so the interpreter in its first line is missing.
        why = error.strerror or str(error)
        if missing:
            why = "the interpreter in its first line does not exist"
        elif error.errno == errno.ENOEXEC:
            why += ": its first line must name its interpreter, for example #!/bin/sh"
        sys.stderr.write(f"lifecycle: cannot start {program}: {why}\nSee {page}\n")
        sys.stderr.flush()
        os._exit(NOT_FOUND if missing else NOT_EXECUTABLE)


def reset_signals() -> None:
    """Reset the signals that this process inherited. Without this, ignored signals survive exec."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):  # one that the C library keeps for itself
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def end_with(parent: int) -> None:
    """Have the kernel send SIGTERM to this process when its parent dies (Linux)."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    except (ImportError, AttributeError, OSError):
        return
    if os.getppid() != parent:  # it died before that
        os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
