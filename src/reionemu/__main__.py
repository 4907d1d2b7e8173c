"""`python -m reionemu` is the command `reionemu`."""

from .cli import main

if __name__ == "__main__":
    main()
