"""Whether anything leaves the machine or stays on its disk, by the commands' system calls.

    python -m tests.syscalls                          every command, with what is installed here
    python -m tests.syscalls watch page               these two
    python -m tests.syscalls --newest                 with the newest versions that we allow
    python -m tests.syscalls --oldest                 with the oldest
    python -m tests.syscalls --oldest-of onnxruntime  with what is installed here, but for this one

The versions allowed are those of pyproject.toml.

Native code passes Python's socket layer by, so that no patch of `socket` sees it; strace does. A
run fails on a look-up of any name (none of the commands is given one), on any other connect or send
to an address off the loopback, and on any file left outside the outputs it was given and our cache.
Each command has a home and a folder for temporary files of its own, both new, and none of the
switches of `engines/telemetry.py` in its environment. The Lab Streaming Layer, whose nature is to
call into the network, is watched with the configuration that keeps it on the machine.

`trace` runs strace and reads its lines, `rules` judges them, `commands` says what is run,
`environments` makes --newest and --oldest. Linux only; needs strace.
"""
