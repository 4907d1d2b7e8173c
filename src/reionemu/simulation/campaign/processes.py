"""A campaign on one machine: worker processes of one thread each, fed by a thread each.

They are programs of their own, not forks: a library that starts threads is safe, a script that
runs a campaign needs no `if __name__ == "__main__"`, and a worker that the system kills for the
want of memory takes nothing with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

from ...errors import ReionemuError
from .plan import Task
from .work import BUSY, FAILED, Answer, Progress, Settings

TRIES = 3
"""Workers that may die over a task before it is given up."""

PAUSE_S = 0.2
"""Wait before a task that another program is at is tried again."""

_MODULE = __name__.rpartition(".")[0] + ".worker"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def run_on_processes(
    settings: Settings, tasks: Sequence[Task], workers: int, progress: Progress
) -> Generator[tuple[Task, Answer], None, None]:
    """Do tasks on this machine, yielding each with its answer as it is done.

    The processes end with the iterator, also if it is closed or an exception is raised in it.
    """
    crew = _Crew(settings, tasks)
    threads = [
        threading.Thread(target=crew.serve, name=f"reionemu-worker-{i}", daemon=True)
        for i in range(min(workers, len(tasks)))
    ]
    try:
        for thread in threads:
            thread.start()
        left = len(tasks)
        while left:
            item = crew.results.get()
            if isinstance(item, BaseException):
                raise item
            if isinstance(item[0], Task):
                left -= 1
                yield item
            else:
                progress(*item)
    finally:
        crew.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


class _Crew:
    """The tasks that are left, the processes that are at some, and what came of the others."""

    def __init__(self, settings: Settings, tasks: Sequence[Task]) -> None:
        self.results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._settings = settings
        self._tasks = deque(tasks)
        self._deaths: Counter[str] = Counter()
        self._processes: set[_Process] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def serve(self) -> None:
        """Feed one process, or the next one when it dies, until no task is left."""
        process = None
        try:
            while not self._stopped:
                try:
                    task = self._tasks.popleft()
                except IndexError:
                    break
                process = process or self._started()
                answer = None
                if process.is_ready:
                    answer = process.ask(task, lambda *step: self.results.put(step))
                if answer is None:
                    self._mourn(process, task)
                    process = None
                elif answer.state == BUSY:
                    self._tasks.append(task)
                    time.sleep(PAUSE_S)
                else:
                    self.results.put((task, answer))
        except BaseException as error:
            self.results.put(error)
        finally:
            if process is not None:
                process.end()

    def stop(self) -> None:
        """End all processes, in the middle of what they do if need be."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.kill()

    def _started(self) -> _Process:
        with self._lock:
            if self._stopped:
                raise ReionemuError("the campaign was stopped")
            process = _Process(self._settings)
            self._processes.add(process)
        process.greet(self._settings)
        return process

    def _mourn(self, process: _Process, task: Task) -> None:
        """Have the task of a process that died tried again, or give it up."""
        cause = process.end()
        with self._lock:
            self._processes.discard(process)
            self._deaths[task.name] += 1
        if self._deaths[task.name] < TRIES:
            self._tasks.appendleft(task)
        else:
            message = f"{TRIES} processes that worked at it died, the last one {cause}"
            self.results.put((task, Answer(FAILED, message)))


class _Process:
    """One worker process, and the pipes to it."""

    def __init__(self, settings: Settings) -> None:
        self.is_ready = False
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
            start_new_session=True,  # Ctrl-C is for the one who gives the orders
        )

    def greet(self, settings: Settings) -> None:
        """Tell a new process what the campaign is, and wait until it is ready, or has died."""
        self._tell(dataclasses.asdict(settings))
        self.is_ready = self._hear() is not None

    def ask(self, task: Task, progress: Callable[..., None]) -> Answer | None:
        """The answer to a task; None if the process dies over it."""
        self._tell(dataclasses.asdict(task))
        while message := self._hear():
            if "answer" in message:
                return Answer(**message["answer"])
            progress(*message["progress"])
        return None

    def end(self) -> str:
        """Close the pipes and wait for the end; how it came."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "by SIGKILL (out of memory? take fewer workers)"
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"

    def kill(self) -> None:
        """End it at once: what it was writing is in no one's way."""
        self._process.kill()

    def _tell(self, document: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # if it died, no answer will come
            self._process.stdin.write(json.dumps(document) + "\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def _hear(self) -> dict[str, Any] | None:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        return json.loads(line) if line.endswith("\n") else None
