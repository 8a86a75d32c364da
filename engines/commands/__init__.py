"""The command line of the engines.

app          the commands of `microspot-engines`
version      which microspot this is
entry_point  exit codes, errors and signals of every command of the project
"""
