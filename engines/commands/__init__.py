"""The command line of the engines.

app          the commands of `microspot-engines`: doctor, and those below
sets         synthesize, expressions
runs         train, ablate, export
scoring      calibrate, score
datasets     annotations report and table
output       what they share: how they print, what they need
version      which microspot this is
entry_point  exit codes, errors and signals of every command of the project
"""
