"""`python -m microspot.engines`, the same as the command `microspot-engines`."""

from .commands.app import main

if __name__ == "__main__":
    main()
