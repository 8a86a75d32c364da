"""How far generated micro-expressions are from those of real people, by one flow pipeline.

measures     what the flow says of one ME, from its crops at onset, apex and offset
following    frames in, measures of their MEs out: the aligner that runs live, anew for each ME
generated    MEs of the training recipe, in whole frames
two_samples  how well real and generated ones are told apart: AUC of a simple classifier
report       percentiles of both, and the AUC
like         a recipe that moves faces as the people of a study do
"""
