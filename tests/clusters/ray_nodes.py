"""A real Ray of two nodes on this host, for tests: ``ray_nodes.py SOCKET`` serves until ``stop``.

Each node has 4 CPUs and pretends to have 2 GPUs. Words that are sent to the socket: ``node-down``,
which kills the second node; ``node-up``, which starts another; ``stop``. The answers are the
addresses of the cluster, and of the one for clients.
"""

from __future__ import annotations

import socket
import sys
from multiprocessing.connection import Listener

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 4, "num_gpus": 2}


def main(path: str) -> None:
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    head = {**NODE, "include_dashboard": True, "dashboard_port": 0, "ray_client_server_port": port}
    try:
        cluster = Cluster(initialize_head=True, head_node_args=head)
    except Exception:  # half a minute is all that Ray gives a node of a busy machine
        cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    with Listener(path, "AF_UNIX") as listener:
        word = ""
        while word != "stop":
            with listener.accept() as asked:
                word = asked.recv()
                if word == "node-down":
                    cluster.remove_node(second, allow_graceful=False)
                elif word == "node-up":
                    second = cluster.add_node(**NODE)
                    cluster.wait_for_nodes()
                elif word == "stop":
                    cluster.shutdown()
                asked.send(f"{cluster.address} ray://127.0.0.1:{port}")


main(sys.argv[1])
