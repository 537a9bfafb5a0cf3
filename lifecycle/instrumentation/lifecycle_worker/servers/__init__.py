"""
The servers: one file for each, with all that is known of it.

Rules of this folder:

1. A file has one function for each module of its server that it changes, `patch_…(module)`. It
   is called right after that module was executed, before whoever imports it sees it.
2. The server's public API first; where there is none, one named seam. A version on which it has
   moved is a warning, and the worker serves on, uncounted.
3. The decision to close a connection is made once, when the header is written, and the same
   decision closes it.
"""

from __future__ import annotations

PATCHES: dict[str, tuple[str, str, str]] = {}
"""
What is imported, to the file of this folder, its function, and the server's name. The name is
empty where the import alone does not mean that this process, or its child, is going to serve.
"""
