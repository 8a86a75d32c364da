"""Sinks: where records and pictures of a run go; `open.open_sink` chooses one by its URI.

record_schema the keys of every record, as JSON Schema
base          what a sink is: `write` for records, `draw` for frames
open          from a URI to a sink: the table SINKS
working_sinks the sinks of a run: one that fails takes nothing from the others
picture_sink  what sinks that paint the overlay have in common
text_files    JSON lines and CSV tables
video_writer  the overlay as an H.264 file
run_log       who made a recording, when and with what
window        the overlay in a window
coding/       files of coding tools: ELAN, BORIS, Observer, Datavyu, Praat
network/      events sent to a webhook, or to listeners on this machine
lsl/          events, scores and times of frames as LSL streams
mqtt/         events to a broker, for Home Assistant too
metrics/      figures of the run for Prometheus
database/     events in SQLite, and how they are forgotten
html_report   a page with everything that was found
report_pictures  the pictures of events on that page
terminal      the live table of `microspot watch`
callback      records handed to a Python callable
atomic_file   files that are replaced whole or not at all
"""
