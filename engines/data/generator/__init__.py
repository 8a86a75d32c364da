"""The generator of synthetic clips: what a face does, how it moves, and the camera that sees it.

truth        which movement is an ME, and when it begins, peaks and ends
timeline     what a synthetic face does and when: recipe, movements, curves
behaviour    expressions, blinks, speech, gaze and turns drawn at random
actions      facial action units as motion fields
basis        an external motion basis in their place
camera       head motion, sensor, codec, and what alignment leaves of them
synthetic    clips of a moved face with truth
video_scene  whole video frames of a moved face with truth
backgrounds  real video with MEs warped in
synthesize   a set of clips on disk
"""
