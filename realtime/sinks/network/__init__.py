"""Events sent to other programs: `--out https://…`.

webhook   a POST for each final event, until the other side has taken it
spool     what is not yet taken, on the disk
delivery  the thread that sends, with pauses that grow while the other side is away
signing   how a receiver knows that we sent it
"""
