"""Data: annotations, footage, faces, and the generator of synthetic clips.

annotations   the table format of true and spotted intervals
tables        tables as spreadsheets write and read them
decoding      how video is opened and decoded, with the whitelists of what may be opened
sei_messages  H.264 and HEVC packets without messages that strict decoders refuse
footage       real video with every frame aligned
faces         portraits with landmarks, split into train, validation and test

timeline      what a synthetic face does and when: recipe, movements, curves
behaviour     expressions, blinks, speech, gaze and turns drawn at random
actions       facial action units as motion fields
basis         an external motion basis in their place
camera        head motion, sensor, codec, and what alignment leaves of them
synthetic     clips of a moved face with truth
video_scene   whole video frames of a moved face with truth
backgrounds   real video with MEs warped in
synthesize    a set of clips on disk
"""
