"""The command line `microspot`.

app               the commands
options           options that several have
analyze           `microspot analyze`
evaluate          `microspot evaluate`
evaluation_plots  what its figures are drawn from
fleet             `microspot fleet`; fleet_simulation: its command `simulate`
reports           what is printed: measures, cameras, progress
watch_steps       what `microspot watch` does, step by step
"""
