"""`python -m reionemu` is the command `reionemu`."""

from .cli import main

main()
