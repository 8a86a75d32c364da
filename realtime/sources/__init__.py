"""Where frames come from: cameras, streams, files, folders of images, other programs.

open            `open_source(uri)`, and the choice of all kinds of sources
options         limits and time-outs that all of them share
address         what a source is called, without secrets
cameras         which cameras there are, by name, and what they give
live            a camera or stream that is lost and found again; read by capture/
arrival_clock   when a live frame was taken, by the camera's times and the arrivals
timeouts        how long a live source may be silent, and the pauses between reconnects
push            frames that another program captures
recorded        what files and folders have in common
video_file      a video file
packet_ledger   which frames a video file holds, so that lost ones are counted
synthetic_clip  the packaged sample, and a rendered video whose every movement is known
pacing          playing a recording in real time
rate_check      whether frames come often enough for micro-expressions
images/         a folder of numbered images
capture/        the process that reads a live source, and its parent's end
truth           what is true of a source: tables, coded files, its own knowledge
"""
