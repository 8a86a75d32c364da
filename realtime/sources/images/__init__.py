"""Folders of images as sources, and what images promise before they are decoded.

image_folder    a folder of numbered images as a source
image_series    which files of a folder are its frames, and which only lie beside them
image_headers   size, depth and kind of an image, read from its header
"""
