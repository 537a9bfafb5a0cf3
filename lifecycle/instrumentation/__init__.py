"""
What runs inside the workers of a command: the folder that is put on their PYTHONPATH.

Rules of this folder:

1. Plain Python of 3.8 or later, nothing but the standard library: the command may run on
   another Python, in an environment that does not know us.
2. What an interpreter's start imports is built in or C. `threading`, `socket` and `ssl` may be
   patched later, by gevent, and are imported by the server first.
3. Whatever goes wrong in it is one warning, and the worker serves on.
"""
