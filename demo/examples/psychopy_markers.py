"""Stimulus markers from PsychoPy, each stamped at the flip that shows or hides the stimulus.

Run it: python demo/examples/psychopy_markers.py [NAME]     (pip install psychopy pylsl)
Before: microspot watch 0 --markers lsl:stimuli --out lsl:spot --out events.csv
Begin when it shows a face: a marker from before its first frame is in no table.
"""

import sys

from psychopy import core, visual
from pylsl import StreamInfo, StreamOutlet

WORDS = ("holiday", "spider", "table")
PAUSE_S = 2.0
SHOWN_S = 1.0

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "stimuli"
    # One text a sample, at no rate; by the last argument readers find the stream again.
    info = StreamInfo(name, "Markers", 1, 0, "string", f"psychopy {name}")
    outlet = StreamOutlet(info)
    window = visual.Window()
    outlet.wait_for_consumers(60)  # until microspot or the recorder has found the stream
    core.wait(PAUSE_S)
    for word in WORDS:
        visual.TextStim(window, word).draw()
        window.callOnFlip(outlet.push_sample, [f"show {word}"])  # stamped as the screen changes
        window.flip()
        core.wait(SHOWN_S)
        window.callOnFlip(outlet.push_sample, ["hide"])
        window.flip()
        core.wait(PAUSE_S)
    window.close()
