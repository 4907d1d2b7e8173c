"""Compare records: what this package and others keep of an experiment, by trying.

    python tools/compare_records/run.py --cache FOLDER [--only NAME ...] [--features KEY ...]

For each tracker an environment is made in the cache folder (wheels only, pinned), then its probes
run there (see common.py and track_*.py). What came out is put into outcomes.json, with what was
seen for each cell, and docs/comparison.md is written from that. A tracker that cannot be installed
keeps its column, "not installed here". About an hour for all; nothing is sent anywhere.

The published package is run by the interpreter that REIONEMU_PEER_PYTHON names (default
`.peer-venv/bin/python`, which `make peer-venv` makes), this one by the interpreter of this script.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from features import FEATURES, JUDGED

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUTCOMES = HERE / "outcomes.json"
PAGE = ROOT / "docs" / "comparison.md"

TRACKERS = {
    "reionemu": "reionemu",
    "peer": "reionemu (published)",
    "mlflow": "MLflow",
    "dvc": "DVC + DVCLive",
    "sacred": "Sacred",
    "aim": "Aim",
    "wandb": "W&B offline",
    "hub": "HF Hub + safetensors",
}
PACKAGES = {
    "reionemu": ("reionemu",),
    "peer": ("reionemu",),
    "mlflow": ("mlflow",),
    "dvc": ("dvc", "dvclive"),
    "sacred": ("sacred",),
    "aim": ("aim",),
    "wandb": ("wandb",),
    "hub": ("huggingface_hub", "safetensors"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the environments")
    parser.add_argument("--only", nargs="+", choices=TRACKERS, default=list(TRACKERS))
    parser.add_argument("--features", nargs="*", default=[], help="keys of features.py")
    parser.add_argument("--runs", type=int, default=1000, help="runs in the listing")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    options = parser.parse_args()
    if not options.page:
        for name in options.only:
            probe(name, options.cache.resolve(), options.features, options.runs)
    PAGE.write_text(page(json.loads(OUTCOMES.read_text())))
    print(f"written: {PAGE.relative_to(ROOT)}")


def probe(name: str, cache: Path, features: list[str], runs: int) -> None:
    """Run the probes of one tracker and put what came out beside that of the others."""
    print(TRACKERS[name], flush=True)
    try:
        python = environment(name, cache)
        version = versions(python, PACKAGES[name])
    except (OSError, subprocess.CalledProcessError) as error:
        put(name, "not installed here", {}, keep=False)
        print(f"  not installed here: {error}", flush=True)
        return
    out = cache / f"{name}.json"
    script = HERE / f"track_{name}.py"
    work = cache / "work" / name
    command = [python, script, "probe", work, *features, "--out", out, "--runs", runs]
    subprocess.run([str(word) for word in command], check=True, env=side(name))
    put(name, version, json.loads(out.read_text()), keep=bool(features))


def environment(name: str, cache: Path) -> Path:
    """The interpreter of a tracker's environment, which is made if it is not there."""
    if name == "reionemu":
        return Path(sys.executable)
    if name == "peer":
        return Path(os.environ.get("REIONEMU_PEER_PYTHON", ROOT / ".peer-venv/bin/python"))
    wanted = HERE / "requirements" / f"{name}.txt"
    folder = cache / f"env-{name}"
    python, mark = folder / "bin" / "python", folder / ".made-from"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if not mark.exists() or mark.read_text() != digest:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        options = ["--disable-pip-version-check", "-qq", "--no-deps", "--only-binary", ":all:"]
        install = [str(python), "-m", "pip", "install", *options, "--requirement", str(wanted)]
        subprocess.run(install, check=True)
        mark.write_text(digest)
    return python


def versions(python: Path, packages: tuple[str, ...]) -> str:
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    command = [str(python), "-c", code, *packages]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def side(name: str) -> dict[str, str]:
    """The environment variables, less what could put this package in another's place."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}


def put(name: str, version: str, outcomes: dict[str, Any], keep: bool) -> None:
    """Replace what is known of a tracker; with `keep`, only the features that were probed."""
    known = json.loads(OUTCOMES.read_text()) if OUTCOMES.exists() else {}
    before = known.get(name, {}).get("outcomes", {}) if keep else {}
    today = date.today().isoformat()
    known[name] = {"version": version, "date": today, "outcomes": {**before, **outcomes}}
    OUTCOMES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


# The page -------------------------------------------------------------------------------------


def page(known: dict[str, Any]) -> str:
    """docs/comparison.md: the table, what each row asks, and what was seen for each cell."""
    names = [name for name in TRACKERS if name in known]
    head = [INTRODUCTION, "| | " + " | ".join(title(name, known) for name in names) + " |"]
    head.append("|---|" + "---|" * len(names))
    rows, asked, seen = [], [], []
    for number, (key, (feature, how)) in enumerate(FEATURES.items(), start=1):
        cells = [cell(known[name], key, key in JUDGED.get(name, ())) for name in names]
        rows.append(f"| {number}. {feature} | " + " | ".join(c["mark"] for c in cells) + " |")
        asked.append(f"{number}. **{feature}**: {how}" + "." * (not how.endswith("?")))
        seen += [f"\n### {number}. {feature}\n", "| | | seen |", "|---|---|---|"]
        for name, each in zip(names, cells, strict=True):
            seen.append(f"| {TRACKERS[name]} | {each['mark']} | {escaped(each['evidence'])} |")
    parts = [*head, *rows, WHAT, *asked, NOTES, "## What was seen", *seen]
    return "\n".join(parts) + "\n"


def title(name: str, known: dict[str, Any]) -> str:
    return f"{TRACKERS[name]} {known[name]['version'].replace(' ', ' / ')}"


def cell(column: dict[str, Any], key: str, judged: bool) -> dict[str, str]:
    """What the page says of a feature; a star after a mark that no experiment decided."""
    missing = {"mark": "not checked", "evidence": column["version"]}
    found = column["outcomes"].get(key, missing)
    star = "\\*" if judged and found["mark"] != "not checked" else ""
    return {**found, "mark": found["mark"] + star}


def escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


INTRODUCTION = """\
# Records compared

What this package keeps of an experiment, beside the published package and the tools that are used
for the same. `make compare-records` (or `python tools/compare_records/run.py --cache FOLDER`) makes
an environment for each tool, records the same small experiment (a configuration, 20 epochs of two
metrics, a NaN, a file of weights) the way its documentation says, tries what can be tried of each
feature, and writes this page.

A mark without a star is the outcome of an experiment. **One with a star was set by the authors**,
from the tool's help, names or files, because there was nothing to try or they found nothing: it may
miss what is documented elsewhere. The rows are what this package is about; the other tools do much
else that is not asked here: servers, screens, teams, pipelines, registries.
"""

WHAT = """
yes: as asked; partly, no: see what was seen; n.a.: not what the tool is for; a star: set by the
authors. Times are of one shared machine, one tool after another and not alternated: the same
command varied by a factor of two with other load.

## What was asked
"""

NOTES = """
## Where it was made easier, and what was not tried

- All is offline and on one local disk, ten kills and four flips a kind: no network file system, no
  rates. MLflow, Aim and W&B have servers that were not tried; by their documentation some of their
  cells would be better with one.
- The probes were written by the authors of the first column, and changed while they were made
  where one judged wrongly: of this package (killed: it looked at the unfinished run instead of
  the record; self-test: other checks spoke first), of DVC (killed) and of MLflow (flips in bytes
  no longer used).
- MLflow: its default store, SQLite, whose tables are made before the first run.
- Aim: `aim storage reindex` is called before reading; without it, or `aim up`, runs of this version
  are not found.
- MLflow and Aim record where files of a run lie as absolute paths: a copied folder leads to none.
- W&B writes its log about every 15 s, Sacred its metrics every 10 s: there the runs that are
  killed take 30 s, elsewhere 1 s. W&B is read with `wandb leet inspect --json`;
  its screen, `wandb leet`, shows local runs, but what can be done in it was not tried.
- DVC: each run is a `Live(exp_name=...)` that is saved as an experiment. Its queue is not tried,
  for want of a wheel.
- HF Hub + safetensors is for models, not for runs; the metrics are kept in the model card.
- Flipped bits keep the file's times, as those of a failing disk do.
"""


if __name__ == "__main__":
    main()
