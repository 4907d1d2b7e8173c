"""The script of a tracker: `write` and `ask` are for the probes, `probe` runs them all."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from experiment import EPOCHS, LR, UNKNOWN, Outcome, ProbeError, is_right
from features import FEATURES
from probes import Tracker
from processes import QUIET, anonymous


def main(tracker: Tracker) -> None:
    """`write` and `ask` are for the probes; `probe` runs them all and writes a JSON file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("write", "ask", "probe"))
    parser.add_argument("where", type=Path)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_intermixed_args()
    os.environ.update(QUIET)
    if options.what == "write":
        _write(tracker, options.where.resolve(), *options.words)
    elif options.what == "ask":
        _answer(tracker, options.where.resolve(), *options.words)
    else:
        _probe(tracker, options.where, options.words, options.runs, options.out)


def _write(tracker: Tracker, root: Path, name: str, lr: str, pause: str) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    if float(pause) < 0:
        tracker.write(root, name, LR, iter(range(1, EPOCHS + 1)))
        print("saving", flush=True)
        while True:
            for each in (2 * LR, LR):
                tracker.write(root, name, each, iter(range(1, EPOCHS + 1)))
    tracker.write(root, name, float(lr), _epochs(float(pause)))
    print("end", flush=True)


def _epochs(pause: float) -> Iterator[int]:
    """The epochs; each is acknowledged once the tracker has come back for the next."""
    print("begun", flush=True)
    for epoch in range(1, EPOCHS + 1):
        time.sleep(pause)
        yield epoch
        print(f"epoch {epoch}", flush=True)


def _answer(tracker: Tracker, root: Path, method: str, *words: str) -> None:
    answer = getattr(tracker, method)(root, *words)
    if method == "read":
        answer = [asdict(record) for record in answer]
    if method == "plain":
        record, needs = answer
        imported = tracker.module in sys.modules
        answer = {"record": asdict(record), "needs": needs, "imported": imported}
    print("ANSWER " + json.dumps(answer, default=str), flush=True)


def _sanity(tracker: Tracker, work: Path) -> str | None:
    """What is wrong if one undisturbed experiment does not come back whole."""
    shutil.rmtree(work, ignore_errors=True)
    root = tracker.fresh(work)
    try:
        tracker.save(root, "sane")
        found = tracker.records(root)
    except ProbeError as error:
        return f"an undisturbed experiment: {error}"
    finally:
        shutil.rmtree(work)
    right = len(found) == 1 and is_right(found[0], LR)
    return None if right else f"an undisturbed experiment is not read back: {found}"[:300]


def _probe(tracker: Tracker, work: Path, only: list[str], runs: int, out: Path | None) -> None:
    outcomes, work = {}, work.resolve()
    home = work / "home"
    home.mkdir(parents=True, exist_ok=True)
    os.environ["HOME"] = str(home)
    sane = _sanity(tracker, work / "sanity")
    for key in only or FEATURES:
        probe: Callable[..., Outcome] | None = getattr(tracker, f"probe_{key}", None)
        folder = work / key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        begin = time.monotonic()
        try:
            if sane is not None:
                outcome = Outcome(UNKNOWN, sane)
            elif probe is None:
                outcome = Outcome(UNKNOWN, "no probe")
            else:
                outcome = probe(folder, runs) if key == "listing" else probe(folder)
        except Exception as error:  # what a probe could not do is an outcome, not an end
            outcome = Outcome(UNKNOWN, f"{type(error).__name__}: {error}"[:300])
        outcome = Outcome(outcome.mark, anonymous(outcome.evidence, folder))
        outcomes[key] = asdict(outcome)
        took = time.monotonic() - begin
        print(
            f"  {tracker.name}: {key}: {outcome.mark} ({took:.0f} s): {outcome.evidence}",
            flush=True,
        )
        shutil.rmtree(folder, ignore_errors=True)
    if out:
        out.write_text(json.dumps(outcomes, indent=1, sort_keys=True) + "\n")
