"""A fleet that exists in numbers alone, run by the supervisor that ships.

times              how long things take: the only place of these numbers
scenarios          how many cameras and machines, what fails and how often
events             what is due next
served             how long each camera was watched, and each outage
simulated_cluster  machines and groups as a Cluster
failures           machines, racks and processes that fail
run                rounds of the supervisor over a scenario, and the table of what came of it

Cameras have no pictures here and cost no time: what is measured is placement and supervisor.
"""
