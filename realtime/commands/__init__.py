"""The command line `microspot`.

app          the commands
options      options that several have
analyze      `microspot analyze`
watch_steps  what `microspot watch` does, step by step
"""
