"""Files of the tools in which people code behaviour, read as true intervals.

reading   `read_coded`: which format a file is of, and its intervals
pairing   starts and stops of states become intervals; apices find theirs
words     how micro- and macro-expressions and labels are called
boris     BORIS: projects, tables of events of two generations
observer  event logs of The Observer XT
datavyu   Datavyu's CSV
elan      ELAN, by pympi
textgrid  Praat, by praatio
"""
