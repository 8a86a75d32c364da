"""Stimulus markers by the Lab Streaming Layer, from a program without PsychoPy.

Run it: python demo/examples/lsl_markers.py [NAME [WATCHED]]     (pip install '.[lsl]')
Meanwhile: microspot watch 0 --markers lsl:stimuli --out lsl:spot --out events.csv
"""

import sys
import time

from pylsl import StreamInfo, StreamInlet, StreamOutlet, resolve_byprop

WORDS = ("holiday", "spider", "table")
PAUSE_S = 1.0
SHOWN_S = 0.5

if __name__ == "__main__":
    name, watched = [*sys.argv[1:3], *("stimuli", "spot")[len(sys.argv) - 1 :]]
    # One text a sample, at no rate; by the last argument readers find the stream again.
    outlet = StreamOutlet(StreamInfo(name, "Markers", 1, 0, "string", f"lsl_markers {name}"))
    found = resolve_byprop("name", f"{watched}-frames", timeout=120)
    if not found:
        sys.exit(f"no stream {watched}-frames: run microspot watch with --out lsl:{watched}")
    StreamInlet(found[0]).pull_sample()  # tables leave out what comes before the first frame
    outlet.wait_for_consumers(60)  # until microspot, or the recorder, has found the stream
    for word in WORDS:
        time.sleep(PAUSE_S)
        outlet.push_sample([f"show {word}"])  # stamped with the time of now
        time.sleep(SHOWN_S)
        outlet.push_sample(["hide"])
    time.sleep(PAUSE_S)  # for the last one to arrive
