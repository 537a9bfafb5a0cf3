"""
The path of the control socket, by port, in the first writable folder of a short list.

`lifecycle prestop` imports this module on a tenth of a core, so the module imports nothing.
"""

from __future__ import annotations

# Each file has mode 0600, and both ends check the uid of the other one.
FOLDERS = ("/run/lifecycle", "/run", "/dev/shm", "/tmp")  # noqa: S108


def candidates(port: int, run_dir: str = "") -> list[str]:
    """Return the possible paths of the socket of this port, the most likely first."""
    folders = (run_dir,) if run_dir else FOLDERS
    return [f"{folder}/lifecycle-{port}.sock" for folder in folders]
