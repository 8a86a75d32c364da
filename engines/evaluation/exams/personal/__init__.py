"""Whether a threshold of each face's own helps, on synthetic people who differ at rest.

people       rest, blinks, speech and tremor of a person, and the renderer of such a person
examination  the same alarms a minute with one threshold for all and with one for each
command      `microspot-engines exam personal`
"""
