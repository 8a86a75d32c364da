"""Events in a database: `--out events.db`, `microspot forget`, `--keep`.

schema   the tables, their version, and how a file is opened
sink     one transaction for each event
erase    events deleted for good: of a source, or older than some days
keeper   deletes what is too old while a run goes on
"""
