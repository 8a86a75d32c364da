"""The command line `microspot`.

app          the commands and their options
watch_steps  what `microspot watch` does, step by step
"""
