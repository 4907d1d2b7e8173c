"""A campaign on a local Ray cluster of three nodes, ill-treated: PATH N.

Run by a test in a process of its own, as Ray warns of many things. Once some simulations are there
a worker process is killed, later a node is removed with all that it was doing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import ray
from conftest import HERE, Lab
from ray.cluster_utils import Cluster

from reionemu.simulation.campaign import run


def main() -> None:
    path, n = Path(sys.argv[1]), int(sys.argv[2])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    nodes = [cluster.add_node(**node) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    events, done = [], 0

    def ill_treat(what: str, count: int, total: int) -> None:
        nonlocal done
        done = count
        if count >= 4 and "worker killed" not in events:
            os.kill(newest_process(path), signal.SIGKILL)
            events.append("worker killed")
        if count >= 8 and "node removed" not in events:
            cluster.remove_node(nodes[0])
            events.append("node removed")

    run.SIMULATOR = "fake_simulator"
    result = run.run_campaign(
        Lab.design(n),
        path / "raw",
        Lab.config,
        cache=path / "cache",
        ray=cluster.address,
        progress=ill_treat,
    )
    ray.shutdown()
    cluster.shutdown()
    found = {"made": result.made, "there": result.already_there, "complete": result.complete}
    failed = [f"{failure.name}: {failure.message}" for failure in result.failed]
    print(json.dumps({**found, "failed": failed, "events": events, "done": done}))


def newest_process(path: Path) -> int:
    """The process that wrote the last line of the fake simulator's log."""
    return int((path / "log").read_text().splitlines()[-1].split()[0])


main()
