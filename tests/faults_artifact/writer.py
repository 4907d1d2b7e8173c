"""A process that saves artifacts, to be killed, limited and crowded by the tests.

It imports everything once, then forks a child for each job it reads, a JSON object a line, and
answers with the child's process id. Every file of a record carries the same number, its tag, so
that a mixture of two records can be told.

Jobs: {"do": one of JOBS, "root": ..., "name": ..., "tag": ...}
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import signal
import sys
from pathlib import Path

import numpy as np
import torch

import reionemu
from reionemu.artifact import placing
from reionemu.artifact.experiment import Contents
from reionemu.artifact.write import save_record
from reionemu.models.companions import Companions


def save(root: str, name: str, tag: int) -> None:
    model = reionemu.FourParamEmulator(hidden_dim=4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float(tag))
    contents = Contents(
        companions=Companions(points=np.full((3, 4), float(tag))),
        predictions={"truth": np.full((3, 5), tag)},
    )
    contents.update(
        model_config=model.record(),
        tuning_config={"tag": tag},
        metrics={"tag": tag},
        description=str(tag),
        normalizers={"X": reionemu.Normalizer(np.full(4, float(tag)), np.ones(4))},
        checkpoint=model.state_dict(),
    )
    save_record(name, Path(root), contents)


def loop(job: dict) -> None:
    """Save tag + 1, tag + 2, ...; write each number to `log` when it has been saved."""
    log = os.open(job["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    tag, step, left = job["tag"], job.get("step", 1), job.get("count", -1)
    while left:
        tag, left = tag + step, left - 1
        save(job["root"], job["name"], tag)
        os.write(log, f"{tag}\n".encode())


EPOCHS = 4


def record(job: dict) -> None:
    """Runs of EPOCHS epochs that are recorded as they go, each going on with what was killed.

    Each run adds up its epochs in its state, so that a resumed one comes to the same sum.
    """
    log = os.open(job["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    left = job.get("count", -1)
    model = reionemu.FourParamEmulator(hidden_dim=2)
    while left:
        left -= 1
        with reionemu.start_artifact(
            job["name"],
            Path(job["root"]),
            model_config=model.record(),
            resume=job.get("resume", True),
            state_seconds=0,
        ) as run:
            state = run.saved_state() or {"done": 0, "sum": 0.0, "tag": secrets.randbits(20)}
            for epoch in range(state["done"] + 1, EPOCHS + 1):
                state = {**state, "done": epoch, "sum": state["sum"] + epoch}
                run.log(epoch, {"train_loss": float(epoch)})
                run.save_state(epoch, state)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.fill_(float(state["tag"]))
            run.record(
                checkpoint=model.state_dict(), metrics={"tag": state["tag"], "sum": state["sum"]}
            )
        os.write(log, f"{state['tag']}\n".encode())


def once(job: dict) -> None:
    save(job["root"], job["name"], job["tag"])


def report(job: dict) -> None:
    """Save, and write what was raised, if anything, to `log`."""
    try:
        save(job["root"], job["name"], job["tag"])
        outcome = {"error": None}
    except BaseException as error:
        bases = [base.__name__ for base in type(error).__mro__]
        outcome = {"error": str(error), "bases": bases}
    os.write(job["descriptor"], json.dumps(outcome).encode())


def limited(job: dict) -> None:
    """Save under a limit on the size of every file."""
    job["descriptor"] = os.open(job["log"], os.O_WRONLY | os.O_CREAT)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    read_end, write_end = os.pipe()
    resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], resource.RLIM_INFINITY))
    descriptor, job["descriptor"] = job["descriptor"], write_end
    report(job)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.write(descriptor, os.read(read_end, 65536))


def unprivileged(job: dict) -> None:
    """Save as a user who may not write there."""
    job["descriptor"] = os.open(job["log"], os.O_WRONLY | os.O_CREAT)
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    report(job)


JOBS = {
    "loop": loop,
    "record": record,
    "once": once,
    "limited": limited,
    "unprivileged": unprivileged,
}


def main() -> None:
    torch.set_num_threads(1)
    save(sys.argv[1], "warm-up", 0)  # imports what is imported late
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: a dead child is gone
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            if job.get("two_renames"):
                placing._can_exchange = lambda: False
            try:
                JOBS[job["do"]](job)
            finally:
                os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main()
