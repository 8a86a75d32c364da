"""Fleet: cameras on many machines, kept running by one supervisor.

    file of cameras -> supervisor: placement -> cluster: start, change, stop of groups of cameras

fleet_file         the file, read strictly
cluster            what the supervisor sees of machines and groups, and asks of them; knows no Ray
settings           numbers of placement and supervisor
placement          pure: from what is wanted and what runs to the next actions
supervisor         one round: look, place, ask
camera_group       a few cameras beside each other, and all that watch does for them; knows no Ray
changing_pipeline  the pipeline in it, whose sources come and go
ray_cluster        groups as actors of Ray; ray_group: one of them; ray_start: Ray itself
control, ray_control  how commands reach the supervisor
run, status        what `microspot fleet` does
simulation/        the same supervisor over machines and cameras that exist in numbers alone
"""
