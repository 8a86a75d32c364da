"""Events sent to other programs: `--out https://…`, `--out ws:HOST:PORT`, `--out sse:HOST:PORT`.

webhook      a POST for each final event, until the other side has taken it
spooled      what webhook and MQTT share: a sink whose events wait until they are taken
spool        what is not yet taken, on the disk
delivery     the thread that sends, with pauses that grow while the other side is away
destination  where events may be sent
push         records served to listeners, by websocket or as an event stream
broadcast    one stream of records for many listeners, none of which is waited for
open_events  whether an event's record is new, an update or its end
entrance     where a server listens: on this machine, or elsewhere with a token and TLS
gate         who may come in
http_server  what our HTTP servers share
secret       tokens and secrets, from the environment or a file
signing      how a receiver knows that we sent it
"""
