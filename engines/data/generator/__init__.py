"""The generator of synthetic clips: what a face does, how it moves, and the camera that sees it.

truth        which movement is an ME, and when it begins, peaks and ends
timeline     what a synthetic face does and when: recipe, movements, curves
drawing      numbers, sizes and times that are drawn alike
behaviour    MEs drawn at random, and all that a face does
movements    the kinds of movements beside: expressions, blinks, speech, nods
actions      facial action units as motion fields
basis        an external motion basis in their place
sites        where muscles move skin
families     local and measured motion fields beside the units
expressions  motion fields measured from real expressions
motion       the fields of one face and their sum
appearance   skin, lines, glasses, dark rooms, small faces
camera       head motion, sensor, codec, and what alignment leaves of them
synthetic    clips of a moved face with truth
video_scene  whole video frames of a moved face with truth
backgrounds  real video with MEs warped in
synthesize   a set of clips on disk
set_files    the files of a set
"""
