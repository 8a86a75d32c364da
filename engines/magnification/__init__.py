"""Small movements made large, in pictures for people; no network sees them.

magnify     how much and in which way: Magnification
flow        how far each part of a face went since a picture, below a tenth of a pixel
lagrangian  the movement magnified: what moved goes farther
eulerian    the grey levels magnified, for comparison: what changed changes more
color_map   where each part of a face went, as a picture

A picture is (S, S, 3) uint8 BGR of one steady crop; a clip is (N, S, S, 3).
"""
