"""Reading cameras and streams in a process of its own, because a read can hang for good.

client      the parent's end: starts a worker, hears from it within a time, ends it for certain
worker      the process: reads a camera or stream; runs as a script
device      which local cameras there are, and how each system's are opened
packets     the worker's packets of a live stream, waiting to be decoded
outbox      the worker's messages to its parent, waiting to be sent
host_clock  the clock that parent and worker share
"""
