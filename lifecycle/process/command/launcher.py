"""
What a command is started by: it becomes the command, with the signals as a shell would have them.

It is run by its path, with `python -I -S launcher.py PARENT PROGRAM COMMAND…`, so it imports
nothing of this package. In a thread of the parent, `subprocess` could do none of this: what
it runs between fork and exec may deadlock.
"""

import errno
import os
import signal
import sys

NOT_FOUND = 127
NOT_EXECUTABLE = 126
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command. Exits with 126 or 127, as a shell does, if that is impossible."""
    parent, program, *command = sys.argv[1:]
    reset_signals()
    end_with(int(parent))
    if os.environ.get("LISTEN_PID") == parent:  # systemd's sockets are for the command
        os.environ["LISTEN_PID"] = str(os.getpid())
    try:
        os.execv(program, command)  # noqa: S606 - what the user has asked for
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        # It was found: so it is the interpreter in its first line that was not.
        why = error.strerror or str(error)
        if missing:
            why = "the interpreter that its first line names is not there"
        elif error.errno == errno.ENOEXEC:
            why += ": its first line must name its interpreter, like #!/bin/sh"
        sys.stderr.write(f"lifecycle: cannot start {program}: {why}\n")
        sys.stderr.flush()
        os._exit(NOT_FOUND if missing else NOT_EXECUTABLE)


def reset_signals() -> None:
    """Undo what this process inherited: an ignored signal stays ignored over exec."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):  # one that the C library keeps for itself
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def end_with(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent dies, where it can do that (Linux)."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    except (ImportError, AttributeError, OSError):
        return
    if os.getppid() != parent:  # it died before that
        os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
