"""demo shows: one browser page, thin, on what `realtime` says.

app       routes, start and end; the page itself is Gradio's (pages), its drawing is in static/
guard     one gate over every route and websocket: host, origin, password (access, logins, backoff)
doors     connections: how long each may keep the server waiting, and how many there may be
scratch   folders for uploads and results, gone with who made them
visit     one page's websocket: what comes in is bounded, what goes out is queued
live      the page's camera is one more source         (static/live.js)
camera    a source of the server, one pipeline, many viewers (static/camera.js)
analyse   an uploaded video through the same pipeline  (static/analyse.js)
runs      one `realtime.watch` in a thread, telling a page through a sink (PageSink)
"""
