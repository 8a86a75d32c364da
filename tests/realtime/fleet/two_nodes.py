"""A Ray cluster of two nodes of one core each, in a process of its own.

    python -m tests.realtime.fleet.two_nodes

Prints the address. Whatever is written to its standard input kills the second node; the end of the
input ends the cluster.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}


def main() -> None:
    """Start, print, obey, end."""
    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    try:
        second = cluster.add_node(**NODE)
        print(cluster.address, flush=True)
        for _ in sys.stdin:
            raylet = second.all_processes["raylet"][0].process
            raylet.kill()
            raylet.wait()
            print("killed", flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
