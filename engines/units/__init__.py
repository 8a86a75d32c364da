"""What moved in a face, in the words of the Facial Action Coding System (FACS).

displacement  px of the reference crop, and the size classes a to e
places        where the regions of a face lie in its mesh and in its crop
flow_region   the region that moved most, by the optical flow alone
truth         what a set knows of what moved
findings      an action unit and a region as they are told
reading       action units and region from the outputs of a recognizer
labels        the rule from action units to classes and labels, which needs no training
"""
