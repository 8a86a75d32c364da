"""What differs between Linux, macOS and Windows, each thing in one place.

Where it can be, a name is looked for and not a system: so what runs where a name is missing can be
run on Linux, with the name taken away (`tests/portability`). Which libraries each system has wheels
of, and what has been run where, says README.md.

signals        the signals that end a command
replacement    a file or folder moved over another, also while somebody reads that
folders        where caches and what must not be lost lie
locks          a lock on a folder
pipes          a pipe that holds more; whether a pipe's reader has left
processes      whether a process runs; its peak memory, open files, cores and user
processor      the name of the processor
windows        what Windows itself tells
sockets        a port that is ours alone
"""
