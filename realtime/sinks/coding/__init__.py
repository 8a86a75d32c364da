"""Events as files of the tools in which people code behaviour; each also read as truth.

coded_run  a run as a coder sees it, and the sink that every format shares
marks      a run as a log of behaviours, for BORIS and The Observer XT
elan       ELAN (.eaf)
boris      BORIS: project (.boris) and table of events (.boris.tsv)
observer   The Observer XT (.observer.txt)
datavyu    Datavyu (.datavyu.csv)
textgrid   Praat (.TextGrid)

`microspot.engines.data.coded` reads them, and those that the tools write themselves.
"""
