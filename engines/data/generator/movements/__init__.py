"""The kinds of movements that a face makes, each drawn at random.

emotions          what an ME shows, and its labels
even_units        MEs whose units are drawn evenly
courses           how an expression rises and returns
long_expressions  expressions that are no MEs
slow_expressions  what MEs lie on
nuisances         blinks, speech, gaze, nods, tongue, tremor
"""
