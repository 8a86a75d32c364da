"""Processes: many cameras divided among processes, with one stream of records.

plan   how many processes there are
group  the parent's part: starts the processes and joins their records
child  the child's part: a pipeline over its share of the sources
"""
