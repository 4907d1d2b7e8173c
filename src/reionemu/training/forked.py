"""Work in forked processes: they need not be sent what they work on, lambdas and all.

A fork takes along the memory of the process but only one of its threads. What is safe here: the
children compute on one thread of PyTorch, as the workers of its DataLoader do, so that they never
wait for threads of OpenMP that are not there; and before the first of them is trusted, another
has to show that a gradient comes back from a fork at all. Where a GPU was found before the fork
PyTorch refuses that, and then, as where there is no fork, the work is done in this process.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

from ..errors import ReionemuError

T = TypeVar("T")

PATIENCE_S = 20.0
"""How long a fork may take to show that it works."""


def can_fork() -> bool:
    """Whether work on the CPU can be done in forks of this process."""
    if (
        not sys.platform.startswith("linux")
        or multiprocessing.current_process().daemon  # which may not have children
        or torch.cuda.is_initialized()
    ):
        return False
    try:
        worker = _Worker([_gradient])
    except OSError:
        return False
    try:
        worker.ask(0)
        return worker.connection.poll(PATIENCE_S) and worker.result() == (0, 2.0)
    except Exception:  # whatever it is, forks are not to be relied on
        return False
    finally:
        worker.end()


def in_forks(jobs: Sequence[Callable[[], T]], workers: int) -> Generator[tuple[int, T], None, None]:
    """Do jobs in forks of this process, yielding each one's number and result as it is done.

    The forks end with the iterator, also if it is closed or an exception is raised in it; and with
    this process, however that ends.

    Parameters
    ----------
    jobs : sequence of callable
        () -> a result that can be pickled.
    workers : int
        Processes at a time.

    Raises
    ------
    ReionemuError
        If a process is killed, or its exception cannot be sent.
    Exception
        What a job raises; the jobs not done yet are given up.
    """
    left = iter(range(len(jobs)))
    crew: list[_Worker] = []
    try:
        for number in itertools.islice(left, workers):
            crew.append(_Worker(jobs))
            crew[-1].ask(number)
        while crew:
            ready = wait([worker.connection for worker in crew])
            for worker in [worker for worker in crew if worker.connection in ready]:
                done = worker.result()
                following = next(left, None)
                worker.ask(following)
                if following is None:
                    worker.join()
                    crew.remove(worker)
                yield done
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """A forked process that does the jobs it is asked for and sends what comes of them."""

    def __init__(self, jobs: Sequence[Callable[[], Any]]) -> None:
        self.connection, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=_serve, args=(jobs, other), daemon=True)
        with other, warnings.catch_warnings():
            # Since Python 3.12, of forks of a process that has threads.
            warnings.filterwarnings("ignore", ".*multi-threaded.*", DeprecationWarning)
            self._process.start()

    def ask(self, number: int | None) -> None:
        """Ask for a job, or, with None, for an end of it."""
        with contextlib.suppress(OSError):  # `result` tells that the process is gone
            self.connection.send(number)

    def result(self) -> tuple[int, Any]:
        """The number of the job that was asked for and its result; or raise what it raised."""
        try:
            number, returned, answer, trace = pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self._process.join()
            raise ReionemuError(_death(self._process.exitcode)) from None
        if returned:
            return number, answer
        self.ask(None)
        self.join()
        raise answer from _WorkerError(trace)

    def join(self) -> None:
        """Let the process end, so that what it has printed is seen."""
        self._process.join(PATIENCE_S)
        self.end()

    def end(self) -> None:
        """End the process, in the middle of what it does if need be."""
        if not self.connection.closed:
            self._process.kill()
            self._process.join()
            self._process.close()
            self.connection.close()


class _WorkerError(Exception):
    """The traceback, in a worker process, of an exception that is raised here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _serve(jobs: Sequence[Callable[[], Any]], connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while (number := connection.recv()) is not None:
            try:
                answer = pickle.dumps((number, True, jobs[number](), None))
            except BaseException as error:
                answer = _pickled(number, error)
            connection.send_bytes(answer)


def _pickled(number: int, error: BaseException) -> bytes:
    trace = traceback.format_exc()
    try:
        answer = pickle.dumps((number, False, error, trace))
        pickle.loads(answer)
    except Exception:
        text = f"{type(error).__name__}: {error} (raised in a worker process)"
        answer = pickle.dumps((number, False, ReionemuError(text), trace))
    return answer


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        how = f"was killed by signal {-code}"
        hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    else:
        how, hint = f"ended with status {code} in the middle of its work", ""
    return f"a worker process {how}{hint}. Use fewer workers, or workers=1 for none"


def _gradient() -> float:
    torch.set_num_threads(1)
    x = torch.ones((), requires_grad=True)
    (x * x).backward()
    assert x.grad is not None
    return x.grad.item()
