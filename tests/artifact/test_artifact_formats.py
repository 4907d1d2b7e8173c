"""docs/formats.md describes everything that is written, with its type and shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors
import torch

import reionemu

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables under a heading or a file name."""
    begin = PAGE.index(heading) + len(heading)
    table = PAGE[PAGE.index("| --- |", begin) :]
    body = re.match(r"(\|.*\n)+", table)[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


def terms(heading: str) -> set[str]:
    """Everything in code type in the first column of a table."""
    return {term for row in rows(heading) for term in re.findall(r"`([^`]+)`", row[0])}


def keys(document: dict, prefix: str = "") -> Iterator[str]:
    """Dotted names of all keys of a document."""
    for key, value in document.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")


@pytest.fixture
def full(condensed_h5: Path, tmp_path: Path) -> Path:
    """An artifact with everything in it that can be."""
    config = reionemu.DataLoaderConfig(normalize_Y=True)
    _, normalizers, _ = reionemu.make_dataloaders(condensed_h5, config=config)
    model = reionemu.MCDropoutEmulator()
    return reionemu.save_artifact(
        "run",
        tmp_path,
        dataset_path=condensed_h5,
        condense_config=reionemu.CondenseConfig(),
        cl_config=reionemu.ClConfig(),
        build_config=reionemu.BuildXYConfig(),
        dataloader_config=config,
        fit_config=reionemu.FitConfig(),
        kfold_config=reionemu.KFoldConfig(),
        model_config=model.record(),
        optimizer_config={"lr": 1e-3},
        tuning_config={"trials": 3},
        results_summary={"best_epoch": 3},
        metrics={"rmse": 0.1},
        history={"train_loss": [1.0]},
        dataset_prep_stats={"processed": 3},
        normalizers=normalizers,
        checkpoint=model.state_dict(),
        description="everything",
    )


def test_every_file_is_described(full: Path) -> None:
    assert {path.name for path in full.iterdir()} == terms("## Artifact")


def test_every_key_of_info_is_described(full: Path) -> None:
    info = reionemu.read_json(full / "info.json")
    written = {key for key in keys(info) if not key.startswith("dataset.parameter_ranges.")}
    documented = terms("`info.json`\n")
    nested = {
        f"{row[0].strip('`')}.{term}"
        for row in rows("`info.json`\n")
        if row[0] in ("`artifacts`", "`dataset.fingerprint`", "`software`")
        for term in re.findall(r"`([^`]+)`", row[2])
    }
    assert written == (documented | nested) - {"training_box"}


def test_the_types_of_info_are_those_described(full: Path) -> None:
    info = reionemu.read_json(full / "info.json")
    kinds = {"integer": int, "string": str, "number": float, "object": dict, "array": list}
    for names, kind, _ in rows("`info.json`\n"):
        for name in re.findall(r"`([^`]+)`", names):
            value = info
            for key in name.split("."):
                value = value.get(key)
            assert value is None or type(value) is kinds[re.match(r"\w+", kind)[0]], name


@pytest.mark.parametrize("file", ["configs.json", "results.json"])
def test_every_key_of_configs_and_results_is_described(file: str, full: Path) -> None:
    document = reionemu.read_json(full / file)
    documented = terms(f"`{file}`{':' if file == 'configs.json' else chr(10)}")
    sections = {key for key, value in document.items() if isinstance(value, dict)}
    two_levels = {"dataset_prep", "data_loading"}
    written = {key for key in document if key not in two_levels} | {
        f"{section}.{key}" for section in sections & two_levels for key in document[section]
    }
    assert written == documented


def test_the_binary_files_are_described(full: Path) -> None:
    entries = {
        term for row in rows("### Binary files") for term in re.findall(r"`([^`]+)`", row[1])
    }
    with np.load(full / "normalizers.npz") as arrays:
        assert set(arrays) == {name for name in entries if re.fullmatch(r"[XY]_\w+", name)}
    with safetensors.safe_open(full / "weights.safetensors", framework="np") as weights:
        assert set(weights.metadata()) <= entries
        assert set(weights.keys()) == set(reionemu.MCDropoutEmulator().state_dict())


def hdf5_items(h5: h5py.File) -> Iterator[tuple[str, object]]:
    """Every dataset and attribute of a file, as the page names them."""
    sims = set(h5["sims"])

    def general(name: str) -> str:
        parts = name.split("/")
        return "/" + "/".join("<sim>" if part in sims else part for part in parts)

    found: dict[str, object] = {f"attr {name}": value for name, value in h5.attrs.items()}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[general(name)] = item
        for key, value in item.attrs.items():
            found[f"{general(name)} attr {key}"] = value

    h5.visititems(visit)
    return iter(found.items())


def hdf5_rows() -> dict[str, tuple[str, str]]:
    """(type, shape) by path, attributes as "<path> attr <name>"."""
    described = {}
    for path, kind, shape, _, _ in rows("## HDF5 file"):
        if " attr " in f" {path}":
            group = "" if path.startswith("attr") else path.split("`")[1] + " "
            names = re.findall(r"`([^`]+)`", path.partition("attr ")[2])
            described |= {f"{group}attr {name}": (kind, shape) for name in names}
        else:
            described[path.strip("`")] = (kind, shape)
    return described


def test_every_dataset_and_attribute_is_described(condensed_h5: Path) -> None:
    with h5py.File(condensed_h5) as h5:
        assert {name for name, _ in hdf5_items(h5)} == set(hdf5_rows())


def test_types_and_shapes_are_those_described(condensed_h5: Path) -> None:
    dimensions: dict[str, int] = {}
    described = hdf5_rows()
    with h5py.File(condensed_h5) as h5:
        for name, item in hdf5_items(h5):
            kind, shape = described[name]
            if isinstance(item, h5py.Dataset):
                is_text = h5py.check_string_dtype(item.dtype) is not None
                assert is_text if kind == "string" else item.dtype.name.startswith(kind), name
                if shape.startswith("("):
                    letters = re.findall(r"\w", shape)
                    assert len(letters) == item.ndim, name
                    for letter, length in zip(letters, item.shape, strict=True):
                        assert dimensions.setdefault(letter, length) == length, name
            elif kind.startswith("string"):
                assert isinstance(item, str), name
            else:
                assert np.asarray(item).dtype.kind == {"i": "i", "f": "f"}[kind[0]], name
    assert dimensions == {"N": 64, "z": 26, "b": 5, "n": 24, "p": 4}


def test_the_hash_of_the_content_is_the_one_described(save: Callable, dataset: Path) -> None:
    import hashlib

    path = save(reionemu.FourParamEmulator())
    with h5py.File(dataset) as h5:
        X, Y, ell = (h5[f"training/{name}"][()] for name in ("X", "Y", "ell"))
    content = b"".join(
        repr(array.shape).encode() + array.astype(kind).tobytes()
        for array, kind in ((X, "<f4"), (Y, "<f4"), (ell, "<f8"))
    )
    recorded = reionemu.read_json(path / "info.json")["dataset"]["content_sha256"]
    assert recorded == hashlib.sha256(content).hexdigest()


def test_the_metadata_of_the_weights_is_the_truth_about_the_model(save: Callable) -> None:
    torch.manual_seed(1)
    model = reionemu.FourParamEmulator(activation="silu")
    path = save(model, model_config={"class_name": "FourParamEmulator", "activation": "relu"})
    with pytest.warns(reionemu.ReionemuWarning, match="model.activation = 'relu'.*had 'silu'"):
        assert reionemu.load_artifact(path).model().record() == model.record()
