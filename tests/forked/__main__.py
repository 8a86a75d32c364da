"""The process that is forked: `python -m tests.forked SOCKET`."""

from tests.forked import main

main()
