"""A campaign on a Ray cluster: one task a simulation, tried again when a worker or a node dies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

from ...clusters import connect
from ...errors import ConfigError
from ...files import human_size
from .plan import Task
from .processes import PAUSE_S, TRIES
from .resources import Needs
from .work import BUSY, FAILED, Answer, Settings, Worker

_WAITING_PER_CORE = 2
"""Tasks given to Ray beyond those that run: enough that no core waits for the next one."""


_worker: tuple[Settings, Worker] | None = None


def run_on_ray(
    address: str, settings: Settings, tasks: Sequence[Task], needs: Needs
) -> Generator[tuple[Task, Answer], None, None]:
    """Do tasks on a cluster, yielding each with its answer as it is done.

    Parameters
    ----------
    address : str
        As `ray.init` takes it; "local" starts Ray on this machine. A connection that the program
        has made already is used instead.
    settings : Settings
    tasks : sequence of Task
    needs : Needs
        Ray starts as many tasks on a machine as its cores and memory allow.

    Raises
    ------
    ConfigError
        If Ray is not installed, no cluster is there, or none of its machines has the memory.
    """
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        connect(ray, address)
    try:
        _require_memory(ray, needs.memory(1))
        gpus = 0 if settings.device == "cpu" else 1
        options = {"num_cpus": 1, "num_gpus": gpus, "memory": needs.worker, "max_retries": TRIES}
        remote = ray.remote(**options)(_do)
        shared = ray.put(settings)
        yield from _fed(ray, lambda task: remote.remote(shared, task), tasks)
    finally:
        if started:
            ray.shutdown()


def _fed(
    ray: Any, submit: Any, tasks: Sequence[Task]
) -> Generator[tuple[Task, Answer], None, None]:
    """Keep the cluster in work, however many cores it has at the moment."""
    left, running = deque(tasks), dict[Any, Task]()
    try:
        while left or running:
            cores = int(ray.cluster_resources().get("CPU", 1))
            while left and len(running) < (1 + _WAITING_PER_CORE) * max(cores, 1):
                task = left.popleft()
                running[submit(task)] = task
            ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
            for reference in ready:
                task, answer = running.pop(reference), _answer(ray, reference)
                if answer.state == BUSY:
                    left.append(task)
                    time.sleep(PAUSE_S)
                else:
                    yield task, answer
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _answer(ray: Any, reference: Any) -> Answer:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()
        kind = type(error).__name__
        return Answer(FAILED, f"{kind}: {reason[0] if reason else 'no reason was given'}")


def _do(settings: Settings, task: Task) -> Answer:
    """Do one task in a process of Ray's, which keeps what the next one can use."""
    global _worker
    if _worker is None or _worker[0] != settings:
        _worker = settings, Worker(settings)
    return _worker[1].do(task)


def _require_memory(ray: Any, memory: int) -> None:
    """Raise ConfigError unless a machine could run a task; Ray would wait for one for ever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    largest = max((node.get("memory", 0) for node in nodes), default=0)
    if largest < memory:
        raise ConfigError(
            f"a simulation may take {human_size(memory)} of memory, and no machine of the Ray "
            f"cluster offers more than {human_size(largest)}"
        )


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "running on Ray needs Ray, which is not installed: pip install 'reionemu[tune]'"
        ) from None
    return ray
