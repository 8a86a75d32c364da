"""Overlay: the picture that a person watches, drawn from a frame and the views of its faces.

draw        the whole picture: video with outlines, cards, timelines
cards       one card per face
timeline    the last seconds of every face on one time axis
movement    what moved, on the face: outline of the region, arrows
palette     colours
canvas      drawing primitives in points, whatever the size of the picture
event_text  how events and faces are worded
consent     what people in front of a camera are told
"""
