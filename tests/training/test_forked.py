"""Forked workers: what comes back from them, and that none is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest
import torch

from reionemu.errors import NonFiniteLossError, ReionemuError
from reionemu.training import forked
from reionemu.training.forked import can_fork, in_forks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux only")

FORK = multiprocessing.get_context("fork") if sys.platform == "linux" else None


def is_alive(pid: int) -> bool:
    """Whether a process is there and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition, seconds: float = 20.0) -> bool:
    """Whether a condition comes true within some time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_results_come_with_the_numbers_of_their_jobs(workers):
    jobs = [lambda i=i: (i**2, os.getpid()) for i in range(5)]
    results = dict(in_forks(jobs, workers))
    assert {number: square for number, (square, _) in results.items()} == {
        i: i**2 for i in range(5)
    }
    pids = {pid for _, pid in results.values()}
    assert 1 <= len(pids) <= min(workers, 5)
    assert os.getpid() not in pids


def test_no_jobs_are_no_work():
    assert list(in_forks([], 3)) == []


def test_a_worker_that_is_free_does_the_next_job(tmp_path):
    def long() -> int:
        assert eventually((tmp_path / "5").exists)
        return os.getpid()

    def short(i: int) -> int:
        (tmp_path / str(i)).touch()
        return os.getpid()

    jobs = [long, *(lambda i=i: short(i) for i in range(1, 6))]
    results = dict(in_forks(jobs, 2))
    assert len({results[i] for i in range(1, 6)}) == 1
    assert results[0] != results[1]


def test_an_iterator_that_is_closed_ends_the_workers():
    with closing(in_forks([os.getpid, lambda: time.sleep(60)], 2)) as work:
        assert next(work)[0] == 0
    assert multiprocessing.active_children() == []


def test_two_workers_work_at_the_same_time(tmp_path):
    def meet(me: int, other: int) -> bool:
        (tmp_path / str(me)).touch()
        return eventually((tmp_path / str(other)).exists)

    assert dict(in_forks([lambda: meet(0, 1), lambda: meet(1, 0)], 2)) == {0: True, 1: True}


def test_threads_of_the_parent_do_not_stop_the_forks():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    large = torch.randn(400, 400, requires_grad=True)
    try:
        torch.nn.functional.gelu(large @ large).sum().backward()
        np.ones((400, 400)) @ np.ones((400, 400))

        def job() -> float:
            torch.set_num_threads(1)
            x = torch.ones(400, 400, requires_grad=True)
            torch.sigmoid(x @ x).sum().backward()
            return float(x.detach().sum() + (np.ones((400, 400)) @ np.ones((400, 400)))[0, 0])

        assert dict(in_forks([job, job], 2)) == dict.fromkeys((0, 1), 160_400.0)
    finally:
        torch.set_num_threads(threads)


def test_forks_are_made_from_any_thread():
    results = {}
    thread = threading.Thread(target=lambda: results.update(in_forks([os.getppid], 1)))
    thread.start()
    thread.join()
    assert results == {0: os.getpid()}


def test_an_exception_arrives_with_its_facts_and_its_origin():
    def diverge():
        raise NonFiniteLossError("too far", epoch=4, history={"train_loss": [1.0]})

    with pytest.raises(NonFiniteLossError, match="too far") as caught:
        list(in_forks([diverge], 2))
    assert caught.value.epoch == 4
    assert caught.value.history == {"train_loss": [1.0]}
    assert "in diverge" in str(caught.value.__cause__)


def test_an_exception_that_cannot_be_sent_is_told():
    class LocalError(Exception):
        pass

    def fail():
        raise LocalError("only known here")

    with pytest.raises(ReionemuError, match="LocalError: only known here"):
        list(in_forks([fail], 1))


def test_a_result_that_cannot_be_sent_is_an_error():
    with pytest.raises((AttributeError, TypeError, ReionemuError), match="pickle"):
        list(in_forks([lambda: lambda: None], 1))


def test_leaving_the_program_is_passed_on():
    with pytest.raises(SystemExit, match="3"):
        list(in_forks([lambda: sys.exit(3)], 1))


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "signal 9, perhaps for want of memory"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "signal 15. Use fewer workers"),
        (lambda: os._exit(5), "ended with status 5"),
    ],
)
def test_a_worker_that_is_killed_is_an_error(end, message):
    with pytest.raises(ReionemuError, match=message):
        list(in_forks([end, lambda: None], 2))
    assert multiprocessing.active_children() == []


def test_an_answer_that_breaks_off_is_an_error(monkeypatch):
    def half(jobs, connection):
        os.write(connection.fileno(), (1000).to_bytes(4, "big") + b"not all of it")
        os._exit(1)

    monkeypatch.setattr(forked, "_serve", half)
    with pytest.raises(ReionemuError, match="ended with status 1"):
        list(in_forks([lambda: None], 1))


def test_an_error_ends_the_other_workers(tmp_path):
    def wait_long():
        (tmp_path / "pid.part").write_text(str(os.getpid()))
        (tmp_path / "pid.part").rename(tmp_path / "pid")
        time.sleep(60)

    def fail():
        assert eventually((tmp_path / "pid").exists)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(in_forks([wait_long, fail], 2))
    assert not is_alive(int((tmp_path / "pid").read_text()))


def parent_of_two(folder, interrupted=None):
    """A process with two workers that would take a minute; it and their ids, once they work."""

    def wait_long(name: str):
        (folder / f"{name}.part").write_text(str(os.getpid()))
        (folder / f"{name}.part").rename(folder / name)
        time.sleep(60)

    def parent():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            list(in_forks([lambda: wait_long("one"), lambda: wait_long("two")], 2))
        except KeyboardInterrupt:
            os._exit(77)

    process = FORK.Process(target=parent)
    process.start()
    files = [folder / "one", folder / "two"]
    assert eventually(lambda: all(file.exists() for file in files))
    return process, [int(file.read_text()) for file in files]


def test_ctrl_c_ends_the_workers_without_a_word_from_them(tmp_path, capfd):
    process, workers = parent_of_two(tmp_path)
    for pid in workers:
        os.kill(pid, signal.SIGINT)  # a terminal sends it to all
    time.sleep(0.2)
    assert all(is_alive(pid) for pid in workers)
    os.kill(process.pid, signal.SIGINT)
    process.join(20)
    assert process.exitcode == 77
    assert not any(is_alive(pid) for pid in workers)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_process_that_made_them(tmp_path, number):
    process, workers = parent_of_two(tmp_path)
    os.kill(process.pid, number)
    process.join(20)
    assert process.exitcode == -number
    assert eventually(lambda: not any(is_alive(pid) for pid in workers))


def test_this_process_can_be_forked():
    assert can_fork()
    assert multiprocessing.active_children() == []


def refuse():
    raise RuntimeError("Unable to handle autograd's threading in combination with fork")


@pytest.mark.parametrize(
    "gradient", [refuse, lambda: 3.0, lambda: os._exit(0), lambda: time.sleep(60)]
)
def test_forks_in_which_there_are_no_gradients_are_not_used(monkeypatch, gradient):
    monkeypatch.setattr(forked, "_gradient", gradient)
    monkeypatch.setattr(forked, "PATIENCE_S", 0.5)
    assert not can_fork()
    assert multiprocessing.active_children() == []


def test_a_process_that_cannot_be_forked_is_not(monkeypatch):
    def full():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", full)
    assert not can_fork()


def test_a_process_that_uses_a_gpu_is_not_forked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert not can_fork()


def test_a_daemon_is_not_forked():
    # The workers are daemons, which may not have children of their own.
    assert dict(in_forks([can_fork], 1)) == {0: False}
