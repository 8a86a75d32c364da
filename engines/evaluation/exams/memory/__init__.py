"""Whether the memory of rejected events helps, on synthetic people with a habit of their own.

habits       a brief movement that a person repeats and that is no micro-expression
seen         a segment of a person, scored once, and what is counted in it
examination  alarms with and without the memory, on a recording that it was not made from
command      `microspot-engines exam memory`
"""
