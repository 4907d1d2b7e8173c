"""What a user does with files that the other package made.

    python exchange_script.py MINE THEIRS OUT

MINE and THEIRS are folders that `user_script.py` made under this package and under the other.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from user_script import Record, record_h5, record_model, record_normalizer, saved_models

from reionemu import (
    BuildXYConfig,
    ClConfig,
    add_cl_to_condensed_h5,
    build_and_write_training,
    dataset_summary,
    load_normalizers,
    make_dataloaders,
    read_json,
)


def state_dicts(theirs: Path, record: Record) -> None:
    for name, (model, dimension) in saved_models().items():
        state = torch.load(theirs / f"{name}.pt", weights_only=True)
        model.load_state_dict(state)
        record_model(name, model, record, dimension)


def artifacts(theirs: Path, record: Record) -> None:
    for folder in sorted((theirs / "artifacts").iterdir()):
        if not folder.name.startswith("."):
            for document in ("info", "configs", "results"):
                content = read_json(folder / f"{document}.json")
                record.documents[f"artifact/{folder.name}/{document}"] = content
    for name, file in (("full", "normalizers.npz"), ("by_hand", "norms.npz")):
        for axis, normalizer in load_normalizers(theirs / "artifacts" / name / file).items():
            record_normalizer(f"artifact/{name}/{axis}", normalizer, record)
    checkpoint = torch.load(theirs / "artifacts/full/model.pt", weights_only=True)
    model, dimension = saved_models()["artifact"]
    model.load_state_dict(checkpoint)
    record_model("checkpoint", model, record, dimension)


def condensed_file(whose: str, folder: Path, out: Path, record: Record) -> None:
    """Spectra, arrays and loaders made anew from a condensed file that has them already."""
    path = out / f"{whose}.h5"
    shutil.copy(folder / "condensed.h5", path)
    loaded, _, _ = make_dataloaders(path)
    record.numbers[f"{whose}/first"] = loaded["val"].dataset.indices
    updated = add_cl_to_condensed_h5(path, config=ClConfig(nbins=7, ell_cut=300.0))
    written = build_and_write_training(path, config=BuildXYConfig(y_transform="log10"))
    record.documents[f"{whose}/counts"] = [updated, written]
    record_h5(path, f"{whose}/training", record, group="training")
    summary = dataset_summary(path)
    record.documents[f"{whose}/names"] = summary["param_names"]


def main() -> None:
    mine, theirs, out = (Path(argument).resolve() for argument in sys.argv[1:])
    out.mkdir(parents=True)
    record = Record()
    state_dicts(theirs, record)
    artifacts(theirs, record)
    condensed_file("mine", mine, out, record)
    condensed_file("theirs", theirs, out, record)
    record.save(out)


if __name__ == "__main__":
    main()
