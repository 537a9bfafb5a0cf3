"""
The code that runs inside the workers of a command. This folder is put on their PYTHONPATH.

Rules of this folder:

1. Plain Python 3.8 or later, with nothing but the standard library. The command may run on another
   Python, in an environment without pod-lifecycle.
2. At the interpreter's start, only built-in modules and C modules are imported. gevent may patch
   `threading`, `socket` and `ssl` later, so the server must import them first.
3. Any error causes one warning, and the worker keeps serving.
"""
