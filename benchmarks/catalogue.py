"""How long `reionemu artifact list` takes on 10,000 records, cold and warm.

    python benchmarks/catalogue.py [--records N] [--epochs N] [--keep FOLDER]

The records have the documents of a real one: 300 epochs of history, a split of 1,000 simulations.
"Cold" is the first listing, without a cache of what was read (the files themselves are still in
the system's memory, having just been written); "warm" is the best of the listings after it. Next
to them stand two bare costs: starting `reionemu --version`, and one lstat of every JSON file,
below which no listing can get that trusts nothing but the files.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from reionemu.artifact.formats.jsonio import encode
from reionemu.artifact.provenance import seal

FILES = ("info.json", "configs.json", "results.json", "provenance.json")
NAMES = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def documents(number: int, epochs: int, rng: random.Random) -> dict[str, bytes]:
    """The JSON files of one record."""
    when = (START + timedelta(minutes=37 * number)).isoformat()
    name, run = f"sweep/run-{number}", f"20260101T000000.{number:06d}Z-00000000"
    history = {k: [rng.random() for _ in range(epochs)] for k in ("train_loss", "val_loss", "rmse")}
    model = {
        "class_name": "FourParamEmulator",
        "input_dim": 4,
        "output_dim": 5,
        "hidden_dim": 16 * rng.randint(1, 8),
        "num_hidden_layers": 2,
        "activation": "silu",
    }
    optimizer = {"name": "adam", "lr": 10 ** rng.uniform(-4, -2), "weight_decay": 0.0}
    fit = {"epochs": epochs, "device": "cpu", "early_stopping_patience": None, "seed": number}
    loader = {"batch_size": 32, "normalize_X": True, "normalize_Y": False, "seed": number}
    dataset = {
        "path": "/data/condensed.h5",
        "content_sha256": f"{number % 7:064x}",
        "eps": 1e-30,
        "fingerprint": {
            "path": "/data/condensed.h5",
            "file_size_bytes": 10**9,
            "modified_at": when,
        },
        "n_samples": 1000,
        "n_parameters": 4,
        "n_targets": 5,
        "param_names": NAMES,
        "ell": [1500.0, 2500.0, 3500.0, 4500.0, 5500.0],
        "y_source": "dl_ksz",
        "y_transform": "ln",
        "parameter_ranges": {name: [0.1, 1.0] for name in NAMES},
    }
    errors: dict[str, Any] = {key: [rng.random() for _ in range(5)] for key in ("mean", "p95")}
    error = rng.random() / 10
    metrics = {"val_loss": min(history["val_loss"]), "val_mean_relative_error": error}
    rows = rng.sample(range(1000), 1000)
    lineage = [
        {"step": "training_set", "config": None, "content_sha256": f"{number % 7:064x}"},
        {"step": "split", "fractions": None, "indices": {"train": rows[:800], "val": rows[800:]}},
    ]
    circumstances = {
        "command": ["reionemu", "train"],
        "working_directory": "/home/user",
        "run": run,
        "started_at": when,
        "ended_at": when,
        "wall_time_s": 60 * rng.random(),
        "platform": {"system": "Linux", "machine": "x86_64", "host": "node7", "cpu_count": 16},
        "software": {"python": "3.11.7", "reionemu": "0.5.0", "numpy": "2.1", "torch": "2.5"},
        "code": {"directory": "/home/user", "commit": "0" * 40, "dirty": False, "diff": None},
        "seeds": {"dataloader": number, "fit": number},
        "lineage": lineage,
        "files": {file: {"sha256": "0" * 64, "size_bytes": 1000} for file in FILES},
    }
    version = {"schema_version": 1, "created_at": when}
    summary = {"best_epoch": epochs - 3, "held_out": "val", "n_samples": {"train": 800}}
    return {
        "info.json": encode(
            {**version, "run_id": name, "experiment_name": name, "description": None}
            | {"dataset": dataset, "training_box": {name: [0.1, 1.0] for name in NAMES}}
            | {"artifacts": {file: file for file in FILES}}
        ),
        "configs.json": encode(
            {**version, "model": model, "optimizer": optimizer, "training": fit, "kfold": None}
            | {"data_loading": {"dataloader": loader}, "tuning": None}
        ),
        "results.json": encode(
            {**version, "status": "completed", "summary": summary, "history": history}
            | {"metrics": {**metrics, "errors": errors}, "dataset_prep_stats": {}}
        ),
        "provenance.json": seal({"schema_version": 1, **circumstances}),
    }


def write(root: Path, records: int, epochs: int) -> None:
    """Write the records."""
    rng = random.Random(0)
    for number in range(records):
        folder = root / "sweep" / f"run-{number}"
        folder.mkdir(parents=True)
        for name, content in documents(number, epochs, rng).items():
            (folder / name).write_bytes(content)


def seconds(*arguments: str, cache: Path) -> float:
    """How long a command takes, from its start to its end."""
    command = [sys.executable, "-m", "reionemu", *arguments]
    started = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    return time.perf_counter() - started


def lstats(root: Path) -> float:
    """How long one lstat of every file takes."""
    folders = [entry.path for entry in os.scandir(root / "sweep")]
    started = time.perf_counter()
    for folder in folders:
        for name in FILES:
            os.lstat(f"{folder}/{name}")
    return time.perf_counter() - started


def main() -> None:
    """Make the records, list them, print the times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="make the records here and leave them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary) / "artifacts"
        cache = Path(temporary) / "cache"
        if not root.exists():
            write(root, options.records, options.epochs)
            time.sleep(2.1)  # files that have only just changed are read again
        listing = ("artifact", "list", str(root))
        search = ("artifact", "find", str(root), "metrics.val_mean_relative_error<0.05")
        cold = seconds(*listing, cache=cache)
        warm = min(seconds(*listing, cache=cache) for _ in range(5))
        found = min(seconds(*search, cache=cache) for _ in range(5))
        print(f"{options.records} records, {options.epochs} epochs; seconds")
        print(f"start of Python and reionemu  {seconds('--version', cache=cache):7.2f}")
        print(f"one lstat of every file       {lstats(root):7.2f}")
        print(f"list, cold                    {cold:7.2f}")
        print(f"list, warm                    {warm:7.2f}")
        print(f"find, warm                    {found:7.2f}")
        size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        print(f"size of the cache             {size / 1e6:7.1f} MB")


if __name__ == "__main__":
    main()
