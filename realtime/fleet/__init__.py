"""Fleet: cameras on many machines, kept running by one supervisor.

    file of cameras -> supervisor: placement -> cluster: start, change, stop of groups of cameras

cluster     what the supervisor sees of machines and groups, and asks of them; knows no Ray
settings    numbers of placement and supervisor
placement   pure: from what is wanted and what runs to the next actions
supervisor  one round: look, place, ask
simulation/ the same supervisor over machines and cameras that exist in numbers alone
"""
