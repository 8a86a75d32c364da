"""Recordings analysed one after the other: `microspot analyze VIDEO... --out DIR`.

run            all videos, by all cores, going on where an earlier run ended
videos         which videos a command names, and what their folders are called
one_video      one video: the live pipeline, and what is written of it
scores_file    the scores of every tick as arrays
kept_scores    what thresholds that are chosen later need, on request
progress_note  how far a video has come, for whoever waits
final_overlay  the overlay in which events stand on their own frames
pictured_report  the report with pictures of each event
event_pictures  stills of an event, and a loop with its movement magnified
steady_crops   the faces of the last seconds, of which pictures are made
index_page     a page over all videos
totals         how often MEs came in several videos together
conditions     whose the videos are, as a table says it
"""
