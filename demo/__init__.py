"""The browser page: it shows what `realtime` finds, and finds nothing itself.

__main__   command `microspot-demo`
app        routes, start and end of the server
pages      the page, in Gradio's frame; its scripts and styles are in static/
fragments  the pieces of HTML that it is made of
limits     every bound of the demo: counts, bytes, seconds, pixels
access/    who may come in: host, origin, password
server/    connections: how many there may be, and how long each may keep the server waiting
views/     the three tabs (live, camera, analyse) and their websockets
"""
