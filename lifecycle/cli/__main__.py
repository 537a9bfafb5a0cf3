"""Entry point of `python -m lifecycle.cli`."""

from lifecycle.cli import main

main()
