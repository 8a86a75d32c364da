"""`python -m microspot.realtime`, the same as the command `microspot`."""

from .commands.app import main

if __name__ == "__main__":
    main()
