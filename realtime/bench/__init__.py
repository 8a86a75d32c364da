"""`microspot bench`: the real step on one core, beside its yardsticks, in alternating rounds.

report        the whole report, as the command prints it
rounds        what a frame costs end to end, and the bare landmarker on the same frames
networks      one proposer step, windows computed anew for every frame, engines by backend
scale         how cost grows with cameras and with intervals
many_cameras  cameras at the pace of their frames, on all cores
common_start  several cameras are measured from when all are ready
csv_and_plot  the report as a CSV and a plot, named after what it belongs to
"""
