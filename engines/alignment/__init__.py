"""Face alignment: a BGR image in, steady face crops with their quality out.

aligner        frames -> crops, one object per camera
aligned        what an aligner gives: faces, and why one was not used
landmarker     MediaPipe's face landmarker, shared between cameras
landmark_request  landmarks that were asked for and have not come yet
head           how a head is turned and how far its eyes are open, by a mesh
face_tracks    which face of a frame is which of the last one
stabilizer     one face held still against a reference, over one segment
registration   how a face has moved since its reference was taken, sub-pixel
face_template  where the parts of a face lie in its crop
displacement   how far a face has moved since an event's onset
affine         maps of the plane
bridge         how long a face may be missing
"""
