"""
Where the control socket is: by port, in the first writable folder of a short list.

Imported by `lifecycle prestop`, which runs on a tenth of a core: import next to nothing.
"""

from __future__ import annotations

# Each file there is of mode 0600, and both ends check the other's uid.
FOLDERS = ("/run/lifecycle", "/run", "/dev/shm", "/tmp")  # noqa: S108


def candidates(port: int, run_dir: str = "") -> list[str]:
    """Return where the socket of this port may be, the likeliest first."""
    folders = (run_dir,) if run_dir else FOLDERS
    return [f"{folder}/lifecycle-{port}.sock" for folder in folders]
