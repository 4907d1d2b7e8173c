"""Posteriors saved, loaded, checked, and gone on with where they were interrupted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reionemu
from reionemu.artifact.formats.arrays import safetensors_arrays
from reionemu.artifact.formats.posterior import decode_posterior
from reionemu.artifact.formats.sidecars import save_arrays
from reionemu.artifact.lineage import weights_sha256
from reionemu.artifact.provenance import file_entry, seal
from reionemu.errors import ConfigError, RecordError, ReionemuWarning
from reionemu.inference import load_posterior, mock_from_simulation, save_posterior
from reionemu.inference.recording import infer_artifact
from reionemu.inference.records import verify_posterior
from reionemu.inference.sampling import EmceeOptions

GOLDEN = Path(__file__).parents[1] / "artifact" / "golden" / "v1-companions"
FILE = "posterior.safetensors"
STEPS = EmceeOptions(walkers=12, steps=60)

pytestmark = pytest.mark.filterwarnings(
    "ignore:the samples are not converged", "ignore:.*densities of samples"
)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> reionemu.Artifact:
    """A small Gaussian process of 30 invented simulations, with their history."""
    folder = tmp_path_factory.mktemp("artifacts") / "gp"
    return reionemu.load_artifact(shutil.copytree(GOLDEN / "gaussian_process", folder))


@pytest.fixture(scope="module")
def observed(emulator: reionemu.Artifact) -> Any:
    """(band powers, truth) of a simulation that was not trained on."""
    steps = {step["step"]: step for step in emulator.provenance["lineage"]}
    row = steps["split"]["indices"]["test"][0]
    return mock_from_simulation(emulator, row, dataset=GOLDEN / "dataset.h5")


@pytest.fixture(scope="module")
def saved(emulator: reionemu.Artifact, observed: Any) -> tuple[Any, Path]:
    """(posterior, folder) as `infer_artifact` gives them."""
    with pytest.warns(ReionemuWarning, match="not converged"):
        return infer_artifact(
            emulator,
            observed[0],
            "posterior",
            emulator.path.parent,
            tau=(0.05, 0.01),
            priors={"kb_zre": "normal(0.8, 0.3)"},
            sampler=STEPS,
            seed=3,
            truth=observed[1],
            description="a test",
        )


@pytest.fixture
def copied(saved: tuple[Any, Path], tmp_path: Path) -> Path:
    """The record in a folder of its own, to be spoiled."""
    return Path(shutil.copytree(saved[1], tmp_path / "copy"))


def assert_same(a: Any, b: Any, where: str = "posterior") -> None:
    """Compare bit for bit, into dataclasses and dictionaries."""
    assert type(a) is type(b) or {type(a), type(b)} <= {tuple, list}, where
    if isinstance(a, np.ndarray):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), where
        assert a.tobytes() == b.tobytes(), where
    elif is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


def test_a_posterior_comes_back_as_it_was(saved: tuple[Any, Path]) -> None:
    posterior, path = saved
    assert_same(load_posterior(path), posterior)


def test_a_posterior_of_version_1_is_what_it_was_when_it_was_written() -> None:
    path = GOLDEN.parent / "v1-posterior"
    posterior = load_posterior(path)
    with np.load(f"{path}.npz") as numbers:
        np.testing.assert_array_equal(posterior.chains.samples, numbers["samples"])
        np.testing.assert_array_equal(posterior.chains.log_prob, numbers["log_prob"])
        np.testing.assert_array_equal(posterior.derived["tau"], numbers["tau"])
        np.testing.assert_array_equal(posterior.history.median, numbers["x_hi"])
        medians = [row.median for row in posterior.summary()]
        np.testing.assert_allclose(medians, numbers["median"], rtol=1e-12)
    artifact = reionemu.load_artifact(path)
    assert artifact.verify().findings == ()
    (finding,) = verify_posterior(artifact)  # its emulator is not where it was
    assert finding.level == "note"
    emulator = reionemu.load_artifact(GOLDEN / "gaussian_process").provenance
    steps = artifact.provenance["lineage"]
    assert steps[: len(emulator["lineage"])] == emulator["lineage"]
    assert steps[-3]["seal"] == emulator["seal"]


def test_weights_and_a_missing_history_come_back(
    saved: tuple[Any, Path], emulator: reionemu.Artifact, tmp_path: Path
) -> None:
    chains = saved[0].chains
    weights = np.random.default_rng(1).dirichlet(np.ones(chains.log_prob.size))
    chains = replace(chains, weights=weights.reshape(chains.log_prob.shape))
    posterior = replace(saved[0], chains=chains, history=None, derived={})
    path = save_posterior(posterior, "weighted", tmp_path, artifact=emulator)
    assert_same(load_posterior(path), posterior)


def test_the_lineage_reaches_from_the_simulations_to_the_samples(
    saved: tuple[Any, Path], emulator: reionemu.Artifact, observed: Any
) -> None:
    provenance = reionemu.load_artifact(saved[1]).provenance
    before, steps = emulator.provenance["lineage"], provenance["lineage"]
    assert steps[: len(before)] == before
    used, data, samples = steps[len(before) :]
    assert used["path"] == str(emulator.path)
    assert used["seal"] == emulator.provenance["seal"]
    assert used["run"] == emulator.provenance["run"]
    assert data["content_sha256"] == observed[0].sha256
    stored = decode_posterior((saved[1] / FILE).read_bytes(), FILE)
    assert samples["content_sha256"] == weights_sha256(stored.arrays)


def test_what_was_chosen_and_what_came_out_are_recorded(
    saved: tuple[Any, Path], observed: Any
) -> None:
    posterior, path = saved
    artifact = reionemu.load_artifact(path)
    chosen = artifact.configs["inference"]
    assert chosen["tau"] == [0.05, 0.01]
    assert chosen["late_time"] is None
    assert chosen["priors"] == {"kb_zre": "normal(0.8, 0.3)"}
    assert chosen["sampler"]["name"] == "emcee"
    assert (chosen["sampler"]["walkers"], chosen["sampler"]["steps"]) == (12, 60)
    assert (chosen["seed"], artifact.provenance["seeds"]["inference"]) == (3, 3)
    summary = artifact.results["summary"]
    assert summary["names"] == list(posterior.all_names)
    for row in posterior.summary():
        recorded = summary["parameters"][row.name]
        assert {**recorded, "name": row.name} == {f.name: getattr(row, f.name) for f in fields(row)}
    assert summary["truth"]["zmean_zre"] == observed[1].theta["zmean_zre"]
    assert summary["truth"]["tau"] == observed[1].tau
    assert artifact.results["metrics"]["chi2"] == posterior.predictive.chi2
    assert artifact.info["description"] == "a test"


def test_only_an_emulator_makes_a_posterior_and_only_a_posterior_is_one(
    saved: tuple[Any, Path], emulator: reionemu.Artifact, tmp_path: Path
) -> None:
    posterior, path = saved
    with pytest.raises(RecordError, match="is no record of an emulator, but 'inference'"):
        save_posterior(posterior, "x", tmp_path, artifact=reionemu.load_artifact(path))
    with pytest.raises(RecordError, match="holds no posterior"):
        load_posterior(emulator.path)
    with pytest.raises(FileNotFoundError):
        load_posterior(tmp_path / "nowhere")


def reseal(folder: Path) -> None:
    """Make checksums, and the last step of the lineage, those of the files as they are."""
    document = reionemu.read_json(folder / "provenance.json")
    arrays, _ = safetensors_arrays((folder / FILE).read_bytes(), FILE)
    document["lineage"][-1]["content_sha256"] = weights_sha256(arrays)
    for name in document["files"]:
        document["files"][name] = file_entry((folder / name).read_bytes())
    (folder / "provenance.json").write_bytes(seal(document))


def rewrite(folder: Path, edit: Callable[[dict, dict], object]) -> None:
    found, metadata = safetensors_arrays((folder / FILE).read_bytes(), FILE)
    arrays, document = dict(found), json.loads(metadata["reionemu"])
    edit(arrays, document["posterior"])
    save_arrays(folder, arrays, document, FILE)
    reseal(folder)


def test_whatever_is_left_out_is_a_damaged_record_and_no_traceback(
    saved: tuple[Any, Path], copied: Path
) -> None:
    stored = decode_posterior((saved[1] / FILE).read_bytes(), FILE)
    for key in [*stored.arrays, *(key for key in stored.options if key != "history")]:
        shutil.copy(saved[1] / FILE, copied)
        rewrite(copied, lambda arrays, options, key=key: arrays.pop(key, options.pop(key, None)))
        with pytest.raises(RecordError) as caught:
            load_posterior(copied)
        assert str(copied) in str(caught.value), key


@pytest.mark.parametrize("value", [3, [], {"a": 1}, "text", None, float("nan")])
def test_options_of_another_kind_are_refused(
    value: Any, saved: tuple[Any, Path], copied: Path
) -> None:
    may_be = {"facts": dict, "diagnostics": dict, "priors": dict, "sampler": str, "derived": list}
    for key in ("names", "derived", "sampler", "diagnostics", "priors", "facts", "predictive"):
        if not isinstance(value, may_be.get(key, ())):
            shutil.copy(saved[1] / FILE, copied)
            rewrite(copied, lambda arrays, options, key=key: options.update({key: value}))
            with pytest.raises(RecordError) as caught:
                load_posterior(copied)
            assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("covariance", [[1.0]], "covariance"), ("dl", None, "dl"), ("colour", 1, "colour")],
)
def test_band_powers_that_cannot_be_are_refused(
    field: str, value: Any, message: str, copied: Path
) -> None:
    document = reionemu.read_json(copied / "data.json")
    document["band_powers"][field] = value
    (copied / "data.json").write_text(json.dumps(document))
    with pytest.raises(RecordError, match="changed after the record was saved"):
        load_posterior(copied)
    reseal(copied)
    with pytest.raises(RecordError, match=message):
        load_posterior(copied)


def test_densities_are_those_of_the_samples(saved: tuple[Any, Path]) -> None:
    assert verify_posterior(reionemu.load_artifact(saved[1])) == []


def test_a_sample_that_was_moved_is_found_by_its_density(copied: Path) -> None:
    def edit(arrays: dict, options: dict) -> None:
        arrays["samples"] = arrays["samples"].copy()
        arrays["samples"][0, 0, 0] += 0.05

    rewrite(copied, edit)
    artifact = reionemu.load_artifact(copied)
    assert artifact.verify().ok  # every byte is as it was sealed
    (finding,) = verify_posterior(artifact)
    assert (finding.level, finding.where) == ("error", FILE)
    assert "densities of samples differ by" in finding.message


@pytest.mark.parametrize("change", ["gone", "another"])
def test_an_emulator_that_is_not_there_any_more_is_noted(
    change: str, copied: Path, emulator: reionemu.Artifact, tmp_path: Path
) -> None:
    document = reionemu.read_json(copied / "provenance.json")
    used = document["lineage"][-3]
    if change == "gone":
        used["path"] = str(tmp_path / "nowhere")
    else:
        used["seal"] = "0" * 64
    (copied / "provenance.json").write_bytes(seal(document))
    (finding,) = verify_posterior(reionemu.load_artifact(copied))
    assert finding.level == "note"
    words = "there is no artifact" if change == "gone" else "is not known to be the emulator it was"
    assert words in finding.message


class Stop:
    """A progress function that interrupts once so many steps are done."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, what: str, done: int, total: int) -> None:
        if done >= self.after:
            raise KeyboardInterrupt


@pytest.fixture
def go(emulator: reionemu.Artifact, observed: Any, tmp_path: Path) -> Callable[..., Any]:
    """`go(name, steps=..., ...)`: infer into a folder of its own; (posterior, path)."""

    def go(name: str = "run", steps: int = 1500, **options: Any) -> Any:
        sampler = EmceeOptions(walkers=12, steps=steps)
        return infer_artifact(emulator, observed[0], name, tmp_path, sampler=sampler, **options)

    return go


def test_an_interrupted_run_goes_on_to_the_samples_it_would_have_come_to(
    go: Callable, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(progress=Stop(1000))
    (entry,) = reionemu.catalogue(tmp_path)
    assert (entry.name, entry.status, entry.get("kind")) == ("run", "interrupted", "inference")
    with pytest.raises(RecordError, match=r"interrupted; resume it \(the same command\)"):
        load_posterior(tmp_path / "run")
    (run,) = (tmp_path / ".runs" / "run").iterdir()
    assert list((run / ".chain").glob("block-*.bin"))
    said: list[str] = []
    done: list[int] = []
    resumed, path = go(say=said.append, progress=lambda what, n, total: done.append(n))
    assert said == ["going on with the run of 'run' that was interrupted"]
    assert min(done) > 100  # not from the beginning
    assert not (tmp_path / ".runs").exists()
    assert len(reionemu.load_artifact(path).provenance["sessions"]) == 2
    whole, _ = go("whole")
    assert_same(resumed.chains.samples, whole.chains.samples)
    assert_same(resumed.chains.log_prob, whole.chains.log_prob)


def test_more_steps_go_on_where_fewer_stopped(go: Callable) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(progress=Stop(1000))
    said: list[str] = []
    posterior, path = go(steps=1600, say=said.append)
    assert said
    assert posterior.chains.diagnostics["n_steps"] == 1600
    assert reionemu.load_artifact(path).configs["inference"]["sampler"]["steps"] == 1600


def test_another_run_of_the_name_starts_afresh_and_says_why(go: Callable, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(progress=Stop(1000))
    with pytest.warns(ReionemuWarning) as caught:
        _, path = go(seed=1, steps=100)
    messages = [str(warning.message) for warning in caught]
    assert any(m.endswith("inference.seed was 0 and is 1") for m in messages)
    assert reionemu.load_artifact(path).provenance["seeds"]["inference"] == 1
    assert len(list((tmp_path / ".runs" / "run").iterdir())) == 1  # to be gone on with still


@pytest.mark.parametrize(
    "wrong", [{"priors": {"kb_zre": "nothing(1)"}}, {"seed": -1}, {"priors": {"colour": "x(1)"}}]
)
def test_a_mistake_leaves_nothing_behind(wrong: dict, go: Callable, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        go(**wrong)
    assert list(tmp_path.iterdir()) == []
