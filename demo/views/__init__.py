"""The tabs of the page: what their websockets take and send.

live               the camera of the page is one more source           (static/live.js)
camera             a source of the server: one pipeline, many viewers  (static/camera.js)
analyse            an uploaded video through the same pipeline         (static/analyse.js)
review             the events of a video that was analysed, checked    (static/review.js)
results            the files and the review of each analysed video, while its page is open
page_session       one page's websocket: bounded input, queued output
admission_queue    how many pipelines run at once, and who waits
pipeline_run       `realtime.watch` in a thread, whose records go to a page through a sink
temporary_folders  folders for uploads and results, removed with the page that made them
wire               the messages: their layout, checks and bounds
"""
