"""What a camera may be: examinations by rate, size of the face, bitrate and the like.

sweep       the same movements at each value of one axis, on synthetic faces
film        a portrait filmed, made smaller, and sent through a link
widths      how small a face may be, on real video
video_link  a codec at a bitrate, and the aligner behind it
"""
