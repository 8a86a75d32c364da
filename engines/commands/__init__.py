"""The command line of the engines.

app          the commands of `microspot-engines`
entry_point  exit codes, errors and signals of every command of the project
"""
