"""The licence holder's kit: what may be said of a licensed data set, `microspot study`.

run      a data set through the live pipeline once for each engine set, and the study of it
rows     a protocol's figures, without anything of one person or one recording
movement the real micro-expressions, measured for `engines.evaluation.realism`
card     the study for people
"""
