"""Annotations: our own table, and the tables of data sets of micro-expressions.

table     the one table format of true and spotted intervals
datasets  which reader is whose: read_dataset
result    what a reader gives: intervals, and every row that it repaired or left out
workbook  sheets of Excel files, and where in them something is wrong
quirks    what is odd about each data set, in one place
report    counts, for `annotations report`
"""

from ..coded.words import MARKER
from ..tables import read_rows
from .table import REQUIRED, TYPES, Interval, read_table

__all__ = ["MARKER", "REQUIRED", "TYPES", "Interval", "read_rows", "read_table"]
