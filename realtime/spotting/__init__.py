"""Spotting: from the crops of one face to events; `realtime.session` puts the parts together.

time_grid        capture times become ticks of the weights' grid
frame_decimator  of several frames nearest one tick, one is selected
ring             the last crops, times and features of a face
nuisance_history what else moved at the last ticks
scorer           a new column of features gives one new score per window length
refinement       windows that pass T_CPN get a better interval and score
personal_threshold  which of them pass, where each face has a threshold of its own
streaming_nms    overlapping candidates compete until nothing later can change the result
event_builder    a decided candidate becomes an Event, with emotion and intensity once it is final
batching         inference requests of several sessions share a batch
gil_copy         array copies that keep the interpreter's lock
"""
