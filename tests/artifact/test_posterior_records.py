"""Records of the kind "inference": what the machinery of records does with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import reionemu
from reionemu.artifact.formats.arrays import safetensors_arrays
from reionemu.artifact.formats.posterior import decode_posterior
from reionemu.artifact.formats.sidecars import save_arrays
from reionemu.artifact.lineage import weights_sha256
from reionemu.artifact.samples import stored_band_powers, stored_posterior
from reionemu.artifact.sharing.card import model_card
from reionemu.errors import RecordError, UnrecordableError

Edit = Callable[[dict[str, np.ndarray], dict[str, Any]], object]
FILE = "posterior.safetensors"


@pytest.mark.parametrize("weighted", [False, True])
def test_samples_come_back_bit_for_bit(
    weighted: bool, posterior: Callable, save_posterior: Callable
) -> None:
    saved = posterior(weighted)
    artifact = reionemu.load_artifact(save_posterior(stored=saved))
    found = stored_posterior(artifact)
    assert artifact.kind == artifact.info["kind"] == "inference"
    assert found.options == saved.options
    assert found.arrays.keys() == saved.arrays.keys()
    for name, array in saved.arrays.items():
        assert found.arrays[name].tobytes() == array.tobytes(), name
    samples = load_file(artifact.path / FILE)["samples"]  # as any reader of the format has it
    np.testing.assert_array_equal(samples, saved.arrays["samples"])


def test_band_powers_are_kept_as_they_were_given(save_posterior: Callable) -> None:
    artifact = reionemu.load_artifact(save_posterior())
    found = stored_band_powers(artifact)
    assert found == json.loads((artifact.path / "data.json").read_text())["band_powers"]
    assert found["covariance"] == [[0.01, 0.001], [0.001, 0.0225]]


def test_the_lineage_ends_in_the_samples(posterior: Callable, save_posterior: Callable) -> None:
    artifact = reionemu.load_artifact(save_posterior())
    steps = artifact.provenance["lineage"]
    assert [step["step"] for step in steps] == ["weights", "emulator", "data", "posterior"]
    assert steps[-1]["content_sha256"] == weights_sha256(posterior().arrays)
    assert artifact.provenance["seeds"]["inference"] == 3


def test_a_posterior_is_no_emulator_and_an_emulator_no_posterior(
    save_posterior: Callable, save: Callable, four_param: Any
) -> None:
    artifact = reionemu.load_artifact(save_posterior())
    for method in (artifact.emulator, artifact.model):
        with pytest.raises(RecordError, match=r"is a posterior, and no emulator: .*load_posterior"):
            method()
    other = reionemu.load_artifact(save(four_param))
    assert other.kind == "emulator"
    assert "kind" not in other.info
    with pytest.raises(RecordError, match=r"holds no posterior: .* of the kind 'emulator'"):
        stored_posterior(other)


def test_a_whole_record_is_whole(save_posterior: Callable) -> None:
    verification = reionemu.load_artifact(save_posterior()).verify()
    assert verification.ok
    assert verification.findings == ()


def rewrite(record: Path, edit: Edit) -> None:
    """Change arrays and metadata of the samples."""
    found, metadata = safetensors_arrays((record / FILE).read_bytes(), FILE)
    arrays, document = dict(found), json.loads(metadata["reionemu"])
    edit(arrays, document["posterior"])
    save_arrays(record, arrays, document, FILE)


def put(name: str, value: Any) -> Edit:
    def edit(arrays: dict[str, np.ndarray], options: dict[str, Any]) -> None:
        arrays[name] = np.asarray(value)

    return edit


def spoiled(name: str, value: float) -> Edit:
    def edit(arrays: dict[str, np.ndarray], options: dict[str, Any]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name].flat[7] = value

    return edit


def without(name: str) -> Edit:
    return lambda arrays, options: arrays.pop(name)


def option(name: str, value: Any) -> Edit:
    return lambda arrays, options: options.update({name: value})


DAMAGE: dict[str, tuple[Edit, str]] = {
    "nan": (spoiled("samples", np.nan), "samples are not all finite"),
    "no-probability": (spoiled("log_prob", -np.inf), "log_prob are not all finite"),
    "short": (lambda a, o: a.update(log_prob=a["log_prob"][:, :-1]), "log_prob' has shape (4, 49)"),
    "flat": (lambda a, o: a.update(samples=a["samples"][0]), "samples have shape (50, 2)"),
    "fewer": (lambda a, o: a.update(samples=a["samples"][..., :1]), "there are 2 parameters"),
    "derived-gone": (without("derived.tau"), "'derived.tau' is not there"),
    "derived-short": (put("derived.tau", np.ones((4, 49))), "'derived.tau' has shape"),
    "low-gone": (without("low"), "'low' is not there"),
    "empty-support": (put("low", np.array([0.0, np.inf])), "low is not below high"),
    "band-gone": (without("history.low68"), "'history' lacks a band"),
    "band-short": (put("history.median", np.zeros(5)), "'history' lacks a band"),
    "weights-negative": (put("weights", np.full((4, 50), -0.005)), "weights must be >= 0"),
    "weights-sum": (put("weights", np.ones((4, 50))), "have the sum 1"),
    "weights-nan": (put("weights", np.full((4, 50), np.nan)), "weights must be >= 0"),
    "float32": (lambda a, o: a.update(samples=a["samples"].astype("f4")), "not made of float64"),
    "nothing": (put("history.x", np.zeros(0)), "'history.x' is empty"),
    "names-text": (option("names", "ab"), "names is not a list"),
    "names-numbers": (option("names", [1, 2]), "names is not a list"),
    "names-twice": (option("names", ["a", "a"]), "names has a name twice"),
    "names-none": (option("names", []), "names no parameters"),
    "derived-many": (option("derived", [str(i) for i in range(1000)]), "more than 100"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_samples_that_are_none_are_refused(
    damage: str, save_posterior: Callable, reseal: Callable
) -> None:
    path = save_posterior()
    edit, message = DAMAGE[damage]
    rewrite(path, edit)
    with pytest.raises(RecordError, match="changed after the record was saved"):
        stored_posterior(reionemu.load_artifact(path))
    reseal(path)
    with pytest.raises(RecordError) as caught:
        stored_posterior(reionemu.load_artifact(path))
    assert message in str(caught.value)
    findings = reionemu.artifact.verify_artifact(path).errors
    assert any(message in f.message for f in findings if f.where == FILE)


def test_samples_that_would_be_refused_are_not_written(posterior: Callable) -> None:
    stored = posterior()
    stored.arrays["log_prob"][1, 2] = np.nan
    with pytest.raises(UnrecordableError, match="log_prob are not all finite"):
        reionemu.artifact.formats.posterior.save_posterior(Path(), stored, FILE)


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_files_of_another_kind_are_refused(content: bytes) -> None:
    with pytest.raises(RecordError, match="the file"):
        decode_posterior(content, "the file")


def test_other_samples_than_those_of_the_lineage_are_found(
    save_posterior: Callable, reseal: Callable
) -> None:
    path = save_posterior()
    rewrite(path, lambda arrays, options: arrays.update(log_prob=arrays["log_prob"] - 1))
    reseal(path)
    (error,) = reionemu.artifact.verify_artifact(path).errors
    assert (error.where, error.message) == (FILE, "is not what the lineage ends in")


@pytest.mark.parametrize("name", [FILE, "data.json"])
def test_a_file_that_is_gone_is_missed(name: str, save_posterior: Callable) -> None:
    path = save_posterior()
    (path / name).unlink()
    artifact = reionemu.load_artifact(path)
    read = stored_posterior if name == FILE else stored_band_powers
    with pytest.raises(RecordError, match=r"lacks its .* Copy the whole folder"):
        read(artifact)
    assert {error.where for error in artifact.verify().errors} == {name}


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"schema_version": 1, "band_powers": 3}'])
def test_band_powers_that_are_none_are_refused(
    content: bytes, save_posterior: Callable, reseal: Callable
) -> None:
    path = save_posterior()
    (path / "data.json").write_bytes(content)
    reseal(path)
    with pytest.raises(RecordError, match=r"data\.json"):
        stored_band_powers(reionemu.load_artifact(path))
    assert any(
        error.where == "data.json" for error in reionemu.artifact.verify_artifact(path).errors
    )


def test_the_catalogue_tells_kinds_apart(
    save_posterior: Callable, save: Callable, four_param: Any, tmp_path: Path
) -> None:
    save_posterior()
    save(four_param)
    known = reionemu.catalogue(tmp_path / "artifacts")
    assert [e.name for e in known.find("kind=inference")] == ["posterior"]
    assert [e.name for e in known.find("kind=emulator")] == ["run"]
    (entry,) = known.find("inference.sampler.name=emcee")
    assert entry.get("summary.parameters.tau.median") == 0.5
    assert entry.get("inference.tau.0") == 0.0544


def test_differences_name_the_step_that_differs(
    posterior: Callable, save_posterior: Callable
) -> None:
    stored = posterior()
    stored.arrays["log_prob"] -= 1
    a, b = (
        reionemu.load_artifact(save_posterior(name, given))
        for name, given in (("a", None), ("b", stored))
    )
    steps = {step.step: step.same for step in reionemu.artifact.diff(a, b).lineage}
    assert steps == {"weights": True, "emulator": None, "data": True, "posterior": False}
    again = reionemu.artifact.diff(a, a)
    assert again.is_empty
    assert {step.step: step.same for step in again.lineage}["posterior"] is True


def test_it_is_exported_and_imported_with_a_card_of_its_own(
    save_posterior: Callable, tmp_path: Path
) -> None:
    path = save_posterior()
    artifact = reionemu.load_artifact(path)
    reionemu.export_artifact(path, tmp_path / "it.zip")
    copy = reionemu.import_artifact(tmp_path / "it.zip", tmp_path / "elsewhere")
    for name in (FILE, "data.json"):
        assert (copy.path / name).read_bytes() == (path / name).read_bytes()
    text = model_card(copy)
    assert "| `alpha_zre` | 0.5 | 0.4 to 0.6 | 0.25 to 0.75 | uniform\\(0, 1\\) |" in text
    for words in (
        "posterior of `alpha_zre` runs into the edge",
        "The samples are converged: 50 autocorrelation times",
        "chi^2 = 1.5 of 2 band powers; posterior-predictive p = 0.4",
        "constraint of tau: 0.0544 +- 0.0073",
        "load_posterior('artifacts/posterior')",
    ):
        assert words in text
    for words in ("Training data", "emulator.predict", "tabular-regression"):
        assert words not in text
    graph = {entity["@id"]: entity for entity in reionemu.artifact.ro_crate(artifact)["@graph"]}
    action = graph["#sampling"]
    assert {"@id": "data.json"} in action["object"]
    assert {"@id": "#emulator"} in action["object"]
    assert {"@id": FILE} in action["result"]
