"""Events sent to other programs: `--out https://…`, `--out ws:HOST:PORT`, `--out sse:HOST:PORT`.

webhook   a POST for each final event, until the other side has taken it
spool     what is not yet taken, on the disk
delivery  the thread that sends, with pauses that grow while the other side is away
push      records served to listeners on this machine, by websocket or as an event stream
broadcast one stream of records for many listeners, none of which is waited for
gate      who may listen
secret    tokens and secrets, from the environment or a file
signing   how a receiver knows that we sent it
"""
