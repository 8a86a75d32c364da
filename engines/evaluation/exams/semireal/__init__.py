"""Movements of known time and strength in real video, in rows.

warp         a face's motion warped into the frames of real video
whole_clips  MEs in all quiet segments of a clip at once
room         where in a clip MEs may be: quiet, or with a moving mouth; how many of each person
shapes       what moves: MEs of either family, by part of the face; slow courses
plays        an ME warped into a piece of footage, aligned and spotted
planning     which ME is played where, and what else moves
rows         which rows there are, and who is in them
row_report   what a row reports
"""
