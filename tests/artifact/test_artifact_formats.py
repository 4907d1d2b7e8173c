"""docs/formats.md describes everything that is written, with its type and shape."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors
import torch

import reionemu
from reionemu.artifact import code_version, lineage, provenance, pulse
from reionemu.artifact.experiment import Contents
from reionemu.artifact.formats.arrays import safetensors_arrays
from reionemu.artifact.formats.documents import Code, Library, Script, Session
from reionemu.artifact.formats.jsonio import MAX_BYTES, MAX_DEPTH, MAX_VALUES
from reionemu.artifact.formats.migrations import known_version
from reionemu.artifact.formats.posterior import MAX_PARAMETERS
from reionemu.artifact.formats.sidecars import MAX_ARRAY_BYTES, MAX_WEIGHTS_BYTES
from reionemu.artifact.sharing import strictzip
from reionemu.artifact.write import save_record
from reionemu.models.ensemble.model import NetworkEnsemble
from reionemu.models.ensemble.uncertainty import Uncertainty
from reionemu.models.suite import Suite
from reionemu.parameters import PARAMETER_NAMES
from reionemu.simulation.campaign.ledger import config_document
from reionemu.simulation.config import OwnSeeds, SimulationConfig

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()


GOLDEN = Path(__file__).parent / "golden" / "v1-companions" / "gaussian_process"
COMPANIONS = reionemu.load_artifact(GOLDEN).companions()
PREDICTIONS = reionemu.load_artifact(GOLDEN).predictions()


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
    contents = Contents(companions=COMPANIONS, predictions=PREDICTIONS)
    contents.describe(condensed_h5)
    contents.update(
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
    return save_record("run", tmp_path, contents)


@pytest.fixture
def recorded(condensed_h5: Path, tmp_path: Path) -> tuple[set[str], Path]:
    """(names of the files while the run went on, its record) of a run recorded as it went."""
    loader = reionemu.DataLoaderConfig(seed=1)
    split = {"train": 0.6, "val": 0.2, "test": 0.2}
    loaders, normalizers, _ = reionemu.make_dataloaders(condensed_h5, split=split, config=loader)
    model = reionemu.FourParamEmulator()
    config = reionemu.FitConfig(epochs=2, seed=3)
    optimizer = torch.optim.Adam(model.parameters())
    with reionemu.start_artifact(
        "run",
        tmp_path,
        dataset_path=condensed_h5,
        dataloader_config=loader,
        fit_config=config,
        split=split,
        state_seconds=0,
    ) as run:
        arguments = (model, loaders["train"], loaders["val"], optimizer, torch.nn.MSELoss(), config)
        reionemu.fit(*arguments, record=run)
        files = {path.name for path in run.path.iterdir()}
        run.record(checkpoint=model.state_dict(), normalizers=normalizers)
        run.record(companions=COMPANIONS, predictions=PREDICTIONS)
    return files, run.path


def test_every_file_is_described(full: Path, recorded: tuple[set[str], Path]) -> None:
    assert {path.name for path in full.iterdir()} == terms("## Artifact")
    files, path = recorded
    assert {path.name for path in path.iterdir()} == terms("## Artifact")
    assert files == terms("### Runs that have not completed")


INFO, PROVENANCE, RESULTS = (f"\n`{name}.json`\n" for name in ("info", "provenance", "results"))


def test_every_key_of_info_is_described(full: Path) -> None:
    info = reionemu.read_json(full / "info.json")
    written = {key for key in keys(info) if not key.startswith("dataset.parameter_ranges.")}
    nested = {
        f"{row[0].strip('`')}.{term}"
        for row in rows(INFO)
        if row[0] in ("`artifacts`", "`dataset.fingerprint`")
        for term in re.findall(r"`([^`]+)`", row[2])
    }
    assert written == (terms(INFO) | nested) - {"training_box"}


KINDS = {
    "integer": int,
    "string": str,
    "number": float,
    "object": dict,
    "array": list,
    "boolean": bool,
}


@pytest.mark.parametrize("heading", [INFO, PROVENANCE, RESULTS])
def test_the_types_are_those_described(
    heading: str, full: Path, recorded: tuple[set[str], Path]
) -> None:
    for path in (full, recorded[1]):
        document = reionemu.read_json(path / heading.strip("\n`"))
        for names, kind, _ in rows(heading):
            for name in re.findall(r"`([^`]+)`", names):
                value = document
                for key in name.split("."):
                    value = value.get(key)
                if value is None:
                    assert "null" in kind or "optional" in kind or "if it failed" in kind, name
                else:
                    assert type(value) is KINDS[re.match(r"\w+", kind)[0]], name


@pytest.mark.parametrize("file", ["configs.json", "results.json"])
def test_every_key_of_configs_and_results_is_described(file: str, full: Path) -> None:
    document = reionemu.read_json(full / file)
    documented = terms(f"`{file}`:" if file == "configs.json" else RESULTS) - {"error"}
    sections = {key for key, value in document.items() if isinstance(value, dict)}
    two_levels = {"dataset_prep", "data_loading"}
    written = {key for key in document if key not in two_levels} | {
        f"{section}.{key}" for section in sections & two_levels for key in document[section]
    }
    assert written == documented


def test_every_key_of_provenance_is_described(recorded: tuple[set[str], Path]) -> None:
    document = reionemu.read_json(recorded[1] / "provenance.json")
    assert set(document) == terms(PROVENANCE)
    meanings = {row[0].strip("`"): row[2] for row in rows(PROVENANCE)}
    for key in ("platform", "self_test", "software", "sessions", "seeds"):
        part = document[key][0] if key == "sessions" else document[key]
        assert set(part) <= set(re.findall(r"`(\w+)`", meanings[key])), key
    models = {"code": Code, "script": Script, "library": Library, "sessions": Session}
    for key, model in models.items():
        assert set(model.model_fields) <= set(re.findall(r"`(\w+)`", meanings[key])), key
    assert set(document["files"]) == terms("## Artifact") - {"provenance.json"}


def test_every_step_of_the_lineage_is_described(recorded: tuple[set[str], Path]) -> None:
    document = reionemu.read_json(recorded[1] / "provenance.json")
    described = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows("Steps of `lineage`")
    }
    assert [step["step"] for step in document["lineage"]] == list(described)
    split = next(step["indices"] for step in document["lineage"] if step["step"] == "split")
    for step in document["lineage"]:
        assert set(step) - {"step"} == described[step["step"]] - split.keys()


def test_the_seal_and_the_checksums_are_those_described(recorded: tuple[set[str], Path]) -> None:
    content = (recorded[1] / "provenance.json").read_bytes()
    document = reionemu.read_json(recorded[1] / "provenance.json")
    blank = content.replace(document["seal"].encode(), b"0" * 64)
    assert hashlib.sha256(blank).hexdigest() == document["seal"]
    for name, entry in document["files"].items():
        file = (recorded[1] / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(file).hexdigest(), "size_bytes": len(file)}


def test_the_hash_of_the_weights_is_the_one_described(recorded: tuple[set[str], Path]) -> None:
    document = reionemu.read_json(recorded[1] / "provenance.json")
    digest = hashlib.sha256()
    with safetensors.safe_open(recorded[1] / "weights.safetensors", framework="np") as weights:
        for name in sorted(weights.keys()):
            tensor = weights.get_tensor(name)
            digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
            digest.update(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes("C"))
    assert document["lineage"][-1]["content_sha256"] == digest.hexdigest()


def test_versions_and_limits_are_those_of_the_code() -> None:
    versions = {
        re.findall(r"`([^`]+)`", names)[-1]: int(version)
        for names, _, version, _ in rows("### Versions")
        if "HDF5" not in names
    }
    assert versions == {
        "provenance.json": known_version("provenance"),
        "weights.safetensors": known_version("weights"),
        "companions.safetensors": known_version("companions"),
        "posterior.safetensors": known_version("posterior"),
        "data.json": known_version("data"),
    }
    assert {known_version(kind) for kind in ("info", "configs", "results")} == {1}
    limits = [row[1] for row in rows("| limit on reading")]
    assert limits == [
        f"{MAX_BYTES // 2**20} MB (2^26 bytes)",
        f"{MAX_VALUES:,}".replace(",", " "),
        f"{MAX_DEPTH} (200 on writing)",
        str(sys.int_info.default_max_str_digits),
        f"{MAX_WEIGHTS_BYTES // 2**30} GB (2^30 bytes)",
        f"{MAX_PARAMETERS} each",
    ]
    assert 2**26 == MAX_ARRAY_BYTES == MAX_BYTES


def test_an_exported_record_holds_what_is_described(
    recorded: tuple[set[str], Path], tmp_path: Path
) -> None:
    out = reionemu.export_artifact(recorded[1], tmp_path / "run.zip")
    with zipfile.ZipFile(out) as archive:
        members = archive.infolist()
    names = [member.filename for member in members]
    assert names == sorted(terms("## Artifact") | terms("### Exported record"))
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert {member.external_attr >> 16 for member in members} == {0o100644}
    assert {member.create_system for member in members} == {3}


def test_limits_and_names_on_import_are_those_of_the_code() -> None:
    limits = [row[1] for row in rows("| limit on import")]
    assert limits == [
        str(strictzip.MAX_MEMBERS),
        f"{strictzip.MAX_TOTAL_BYTES // 2**30} GB (2^30 bytes)",
        f"{strictzip.MAX_JSON_BYTES // 2**20} MB (2^26 bytes)",
        f"{strictzip.MAX_RATIO} times its packed size, and {strictzip._CHUNK // 2**10} kB "
        "(2^16 bytes)",
        f"{strictzip.MAX_NAME} characters",
    ]
    named = PAGE.partition("ASCII characters without")[2].partition("do not begin")[0]
    assert set(re.findall(r"`(.)`", named)) == strictzip._FORBIDDEN


def test_what_is_said_of_runs_and_secrets_is_what_the_code_does() -> None:
    assert f"touches it every {pulse.HEARTBEAT_S:.0f} s" in PAGE
    assert f"younger than {pulse.STALE_S / 60:.0f} minutes" in PAGE
    assert f"null above {lineage.MAX_HASHED_BYTES // 10**6} MB" in PAGE
    assert f"over {code_version.MAX_DIFF_BYTES // 2**10} kB" in PAGE
    assert f"`{provenance.HIDDEN}`" in PAGE
    paragraph = PAGE.partition("Environment variables are not recorded")[2].partition("\n\n")[0]
    words, _, files = paragraph.partition("A diff leaves out")
    named = re.findall(r"`([^`]+)`", words)
    assert len(named) == provenance._SECRET.pattern.count("|") + 1
    assert all(provenance._SECRET.fullmatch(word) for word in named)
    assert tuple(re.findall(r"`([^`]+)`", files)) == code_version._LIKE_SECRETS


def test_history_has_the_numbers_of_the_epochs_if_they_are_not_counted_from_one(
    tmp_path: Path,
) -> None:
    for name, first in (("counted", 1), ("later", 5)):
        with reionemu.start_artifact(name, tmp_path) as run:
            run.log(first, {"train_loss": 2.0})
            run.log(first + 1, {"train_loss": 1.0})
    histories = [
        reionemu.read_json(tmp_path / name / "results.json")["history"]
        for name in ("counted", "later")
    ]
    assert histories[0] == {"train_loss": [2.0, 1.0]}
    assert histories[1] == {"epoch": [5, 6], "train_loss": [2.0, 1.0]}
    assert "`epoch`" in next(row[2] for row in rows(RESULTS) if row[0] == "`history`")


def test_every_published_schema_is_of_a_document_described() -> None:
    from reionemu.artifact.formats.documents import MODELS

    words = {"history": "history.jsonl", "weights": "weights.safetensors"}
    words |= {"stages": "reionemu_stages", "companions": "companions.safetensors"}
    words |= {"posterior": "posterior.safetensors"}
    for kind in MODELS:
        assert f"`{words.get(kind, kind + '.json')}`" in PAGE


def test_the_binary_files_are_described(full: Path) -> None:
    entries = {
        term for row in rows("### Binary files") for term in re.findall(r"`([^`]+)`", row[1])
    }
    with np.load(full / "normalizers.npz") as arrays:
        assert set(arrays) == {name for name in entries if re.fullmatch(r"[XY]_\w+", name)}
    with safetensors.safe_open(full / "weights.safetensors", framework="np") as weights:
        assert set(weights.metadata()) <= entries
        assert set(weights.keys()) == set(reionemu.MCDropoutEmulator().state_dict())


def test_posteriors_are_described(save_posterior: Callable) -> None:
    path = save_posterior()
    assert {file.name for file in path.iterdir()} == terms("## Posterior")
    config = reionemu.read_json(path / "configs.json")["inference"]
    assert set(config) == terms("| key of `inference` |")
    steps = {row[0].strip("`"): row[1] for row in rows("| further `step` |")}
    lineage = reionemu.read_json(path / "provenance.json")["lineage"]
    assert [step["step"] for step in lineage] == ["weights", *steps]
    for step in lineage[1:]:
        named = set(re.findall(r"`(\w+)`", steps[step["step"]]))
        assert set(step) - {"step"} == named - {"weights"}
    content = (path / "posterior.safetensors").read_bytes()
    found, metadata = safetensors_arrays(content, "the samples")
    options = json.loads(metadata["reionemu"])["posterior"]
    arrays = {name for name in found if "." not in name}
    assert arrays | {"weights"} == {t for t in terms("| array of a posterior |") if "." not in t}
    page = PAGE.partition("## Posterior")[2].partition("## HDF5 file")[0]
    band_powers = reionemu.read_json(path / "data.json")["band_powers"]
    for key in (*options, *band_powers):
        assert f"`{key}`" in page, key


def described(file: str, heading: str = "### Binary files") -> dict[str, tuple[str, str]]:
    """(type, shape) by array of a binary file."""
    table = rows(heading)
    first = next(i for i, row in enumerate(table) if row[0] == f"`{file}`")
    found = {}
    for i, (owner, names, kind, shape) in enumerate(table[first:]):
        if i and owner:
            break
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", names), (kind, shape))
    return found


def check_arrays(arrays: dict[str, np.ndarray], table: dict[str, tuple[str, str]]) -> dict:
    """Compare arrays with their description; what the letters of the shapes stand for."""
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        kind, shape = table[name]
        assert array.dtype.name.startswith("int" if kind == "integer" else kind), name
        expected = [part.strip() for part in shape.strip("()").split(",") if part.strip()]
        assert len(expected) == array.ndim, name
        for letter, size in zip(expected, array.shape, strict=True):
            assert (
                int(letter) == size
                if letter.isdigit()
                else sizes.setdefault(letter, size) == (size)
            ), name
    return sizes


def test_the_arrays_of_companions_and_predictions_are_those_described() -> None:
    covariance = Suite("shared", ln_covariance=np.eye(5))
    arrays = replace(COMPANIONS, suite=covariance).arrays()
    table = described("companions.safetensors")
    assert set(arrays) == set(table) - {"reionemu"}
    sizes = check_arrays(arrays, table)
    assert sizes == {"n": 18, "p": 4, "b": 5, "q": 5, "u": 5, "b + h": 9}
    table = described("predictions.npz")
    assert set(PREDICTIONS) == set(table)
    assert check_arrays(PREDICTIONS, table) == {"m": 30, "b": 5}


def test_the_arrays_of_surrogates_are_those_described() -> None:
    process = reionemu.load_artifact(GOLDEN).emulator().spectrum.model
    table = described("GaussianProcess", "Of models that are no networks")
    assert set(process.arrays()) == set(table)
    assert check_arrays(process.arrays(), table)["n"] == 18
    rng = np.random.default_rng(0)
    layers = (rng.random((2, 5, 6)), rng.random((2, 7, 3)))
    uncertainty = Uncertainty(np.ones(3), np.ones(3), np.ones(3), np.zeros(4))
    ensemble = NetworkEnsemble(process.inputs, "tanh", layers, np.zeros(3), np.ones(3), uncertainty)
    arrays = ensemble.arrays()
    layers = {name: arrays.pop(name) for name in ("layer_0", "layer_1")}
    table = described("NetworkEnsemble", "Of models that are no networks")
    assert set(arrays) == set(table) - {"layer_<i>"}
    check_arrays(arrays, table)
    assert {array.ndim for array in layers.values()} == {table["layer_<i>"][1].count(",") + 1}


def hdf5_items(h5: h5py.File) -> Iterator[tuple[str, object]]:
    """Every dataset and attribute of a file, as the page names them."""
    sims = set(h5["sims"])

    def general(name: str) -> str:
        parts = name.split("/")
        return "/" + "/".join("<sim>" if part in sims else part for part in parts)

    found: dict[str, object] = {f"attr {name}": value for name, value in h5.attrs.items()}

    def visit(group: h5py.Group) -> None:
        for item in group.values():  # not visititems, which passes over second links
            name = item.name.lstrip("/")
            if isinstance(item, h5py.Dataset):
                found[general(name)] = item
            else:
                visit(item)
            for key, value in item.attrs.items():
                found[f"{general(name)} attr {key}"] = value

    visit(h5)
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


@pytest.fixture
def suite_h5(condensed_h5: Path, tmp_path: Path) -> Path:
    """A file with all that there can be: of a campaign, band powers, means over realizations."""
    path = Path(shutil.copyfile(condensed_h5, tmp_path / "suite.h5"))
    with h5py.File(path, "a") as h5:
        one, other = sorted(h5["sims"])[:2]
        for name in h5[f"sims/{one}/params"]:
            h5[f"sims/{other}/params/{name}"][()] = h5[f"sims/{one}/params/{name}"][()]
        h5["campaign"] = json.dumps(
            {
                "schema_version": 1,
                "config": config_document(SimulationConfig(realizations=OwnSeeds())),
                "rows": [[8.0, 0.5, 1.0, 0.6]] * len(h5["sims"]),
                "design": {"ranges": {name: [0.0, 20.0] for name in PARAMETER_NAMES}},
            }
        )
    reionemu.add_cl_to_condensed_h5(path, config=reionemu.ClConfig(estimator="bandpower"))
    reionemu.build_and_write_training(path, config=reionemu.BuildXYConfig(realizations="mean"))
    return path


def test_every_dataset_and_attribute_is_described(condensed_h5: Path, suite_h5: Path) -> None:
    found = set()
    for path in (condensed_h5, suite_h5):
        with h5py.File(path) as h5:
            found |= {name for name, _ in hdf5_items(h5)}
    assert found == set(hdf5_rows())


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("condensed_h5", {"N": 64, "z": 26, "k": 26, "b": 5, "n": 24, "p": 4}),
        ("suite_h5", {"N": 64, "z": 26, "k": 26, "b": 5, "n": 23, "p": 4, "g": 1}),
    ],
)
def test_types_and_shapes_are_those_described(
    request: pytest.FixtureRequest, file: str, expected: dict[str, int]
) -> None:
    dimensions: dict[str, int] = {}
    described = hdf5_rows()
    with h5py.File(request.getfixturevalue(file)) as h5:
        for name, item in hdf5_items(h5):
            kind, shape = described[name]
            if isinstance(item, h5py.Dataset):
                is_text = h5py.check_string_dtype(item.dtype) is not None
                numbers = "int" if kind == "integer" else kind
                assert is_text if kind == "string" else item.dtype.name.startswith(numbers), name
                if shape.startswith("("):
                    sizes = [part.strip() for part in shape.strip("()").split(",") if part.strip()]
                    assert len(sizes) == item.ndim, name
                    for size, length in zip(sizes, item.shape, strict=True):
                        if size.isalpha():
                            assert dimensions.setdefault(size, length) == length, name
            elif kind.startswith("string"):
                assert isinstance(item, str) or np.asarray(item).dtype.kind in "OSU", name
            else:
                assert np.asarray(item).dtype.kind == {"i": "i", "f": "f"}[kind[0]], name
    dimensions.pop("w", None)  # as many as it takes
    assert dimensions == expected


def test_the_hash_of_the_content_is_the_one_described(save: Callable, dataset: Path) -> None:
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
