"""Every command does its job, prints what it should where it should, and speaks JSON if asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import reionemu as package

SHORT = ("--set", "fit.epochs=8", "--set", "model.hidden_dim=8")
POINT = ("--zmean", "8", "--alpha", "0.45", "--kb", "1", "--b0", "0.6")


def strict(text):
    """Parse JSON, refusing the NaN that JSON does not have."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def saved(reionemu, condensed_h5, tmp_path):
    """An artifact made by `reionemu train`, the DoD's way."""
    root = tmp_path / "artifacts"
    outcome = reionemu(
        "train", condensed_h5, "--out", root, "--name", "one", "--model", "mc-dropout",
        "--split", "train=0.7,val=0.1,test=0.2", "--seed", "42", *SHORT,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    return root / "one"


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from reionemu.cli.app import app\n"
        "try: app(['--help'], prog_name='reionemu')\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'h5py', 'ray', 'matplotlib', 'rich', 'scipy', 'numpy', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
    for command in ("run", "condense", "spectra", "training-set", "train", "crossval", "tune"):
        assert f"  {command} " in result.stdout


def test_predict_loads_no_torch_and_no_h5py(saved):
    code = (
        "import sys; from reionemu.cli.app import app\n"
        f"try: app(['predict', {str(saved)!r}, *{POINT!r}])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "print(sorted({'torch', 'h5py', 'ray', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


def test_version(reionemu):
    outcome = reionemu("--version")
    assert (outcome.code, outcome.out) == (0, f"reionemu {package.__version__}\n")


def test_stages(reionemu, raw_suite, tmp_path):
    (raw_suite / "sim3" / "obs_grids.hdf5").unlink()
    h5_path = tmp_path / "new.h5"
    outcome = reionemu("condense", raw_suite, h5_path)
    assert outcome.code == 0
    assert outcome.out == f"{h5_path}: 23 simulations, 1 left out\n"
    assert "left out sim3" in outcome.err
    assert "no obs grids file" in outcome.err
    assert reionemu("spectra", h5_path, "--nbins", 3).out == f"{h5_path}: 23 spectra computed\n"
    outcome = reionemu("training-set", h5_path, "--y-transform", "log10", "--json")
    assert strict(outcome.out)["processed"] == 23
    with h5py.File(h5_path) as h5:
        assert h5["training/Y"].shape == (23, 3)
        assert h5["training"].attrs["y_transform"] == "log10"


def test_condense_json_lists_what_was_left_out(reionemu, raw_suite, tmp_path):
    (raw_suite / "sim0" / "pk_arrays.hdf5").write_bytes(b"")
    outcome = reionemu("condense", raw_suite, tmp_path / "new.h5", "--json")
    document = strict(outcome.out)
    assert document["skipped_missing_obs_pk"] == 1
    assert document["skipped"][0]["sim"] == "sim0"
    assert "empty" in document["skipped"][0]["reason"]


def test_train_records_split_errors_and_box(saved):
    artifact = package.load_artifact(saved)
    summary = artifact.results["summary"]
    assert summary["n_samples"] == {"train": 17, "val": 2, "test": 5}
    assert summary["held_out"] == "test"
    assert len(artifact.results["history"]["train_loss"]) == 8
    assert artifact.configs["training"]["seed"] == 42
    assert artifact.configs["dataset_prep"]["cl"]["nbins"] == 5
    box = artifact.info["training_box"]
    assert set(box) == {"zmean_zre", "alpha_zre", "kb_zre", "b0_zre"}
    errors = artifact.results["metrics"]["errors"]
    assert len(errors["mean"]) == 5
    assert np.isclose(np.mean(errors["mean"]), errors["mean_relative_error"])


def test_recorded_errors_are_those_of_the_saved_emulator(saved, condensed_h5):
    artifact = package.load_artifact(saved)
    X, Y, _ = package.load_training_arrays(condensed_h5)
    rows = np.random.default_rng(42).permutation(24)[19:]
    emulator = artifact.emulator(bounds="unbounded")
    error = np.abs(emulator.predict(X[rows]).mean / np.exp(Y[rows].astype(float)) - 1)
    recorded = artifact.results["metrics"]["errors"]
    np.testing.assert_allclose(recorded["mean"], error.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(recorded["max"], error.max(axis=0), rtol=1e-9)


def test_predict_one_point(reionemu, saved):
    expected = package.load_artifact(saved).emulator().predict([8, 0.45, 1, 0.6])
    document = strict(reionemu("predict", saved, *POINT, "--json").out)
    np.testing.assert_allclose(document["mean"], expected.mean, rtol=1e-12)
    np.testing.assert_allclose(document["std"], expected.std, rtol=1e-12)
    assert document["units"] == "uK^2"
    table = reionemu("predict", saved, *POINT).out
    assert "D_ell [uK^2]" in table
    assert f"{expected.ell[0]:.1f}" in table
    assert f"{expected.mean[0]:#.5g}" in table


def test_predict_a_file_reads_columns_by_name(reionemu, saved, tmp_path):
    points = tmp_path / "points.txt"
    points.write_text("# b0_zre kb_zre alpha_zre zmean_zre\n0.6 1 0.45 8\n0.55 0.9 0.4 7.5\n")
    outcome = reionemu("predict", saved, "--params", points)
    rows = np.loadtxt(outcome.out.splitlines())
    expected = (
        package.load_artifact(saved).emulator().predict([[8, 0.45, 1, 0.6], [7.5, 0.4, 0.9, 0.55]])
    )
    np.testing.assert_allclose(rows[:, :5], expected.mean, rtol=1e-6)
    np.testing.assert_allclose(rows[:, 5:10], expected.std, rtol=1e-6)


def test_predict_the_history_and_other_multipoles(reionemu, saved, tmp_path):
    emulator = package.load_artifact(saved).emulator()
    history = emulator.predict_history([8, 0.45, 1, 0.6], [9, 7])
    wanted = ("--redshifts", "9,7", "--ell", "1500,2000")
    outcome = reionemu("predict", saved, *POINT, *wanted, "--json")
    document = strict(outcome.out)
    np.testing.assert_allclose(document["history"]["x_hi"], history.x_hi)
    np.testing.assert_allclose(document["history"]["tau"], history.tau)
    expected = emulator.predict([8, 0.45, 1, 0.6]).at([1500, 2000])
    np.testing.assert_allclose(document["mean"], expected.mean)
    assert document["ell"] == [1500, 2000]
    table = reionemu("predict", saved, *POINT, *wanted).out
    assert f"tau {history.tau:.6f} +- " in table
    assert f"{history.x_hi[0]:.5f}" in table
    points = tmp_path / "points.txt"
    points.write_text("# zmean_zre alpha_zre kb_zre b0_zre\n8 0.45 1 0.6\n")
    header, row = reionemu("predict", saved, "--params", points, "--redshifts", "7").out.split(
        "\n"
    )[:2]
    columns = dict(zip(header.split()[1:], map(float, row.split()), strict=True))
    assert np.isclose(columns["tau"], history.tau)
    assert np.isclose(columns["x_HI_7"], history.x_hi[1])
    outcome = reionemu("predict", saved, *POINT, "--redshifts", "6;7")
    assert (outcome.code, outcome.out) == (1, "")
    assert "--redshifts 6;7: expected numbers, such as 6,7,8" in outcome.err


@pytest.mark.filterwarnings("default")
def test_predict_outside_the_box(reionemu, saved):
    far = ("--zmean", "80", *POINT[2:])
    outcome = reionemu("predict", saved, *far)
    assert outcome.code == 1
    assert "zmean_zre = 80 is outside the range" in outcome.err
    assert "--out-of-range warn" in outcome.err
    assert '"warn"' not in outcome.err
    assert outcome.out == ""
    document = strict(reionemu("predict", saved, *far, "--out-of-range", "nan", "--json").out)
    assert document["mean"][0] == {"$float": "nan"}
    outcome = reionemu("predict", saved, *far, "--out-of-range", "warn")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: extrapolating: zmean_zre = 80")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--zmean", "8", "--kb", "1"), "error: --alpha, --b0 are missing"),
        ((*POINT[:6],), "error: --b0 is missing"),
        ((*POINT, "--out-of-range", "wran"), "--out-of-range must be raise, warn or nan; got"),
    ],
)
def test_what_predict_lacks_is_said_in_its_own_options(reionemu, saved, arguments, message):
    outcome = reionemu("predict", saved, *arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert message in outcome.err


def test_what_a_record_lacks_is_asked_for_as_an_option(reionemu, tmp_path):
    path = package.save_artifact("bare", tmp_path)
    outcome = reionemu("predict", path, *POINT)
    assert outcome.code == 1
    assert "state_dict cannot be given to this command, only in Python" in outcome.err
    golden = Path(__file__).parents[1] / "artifact" / "golden" / "peer-0.4.0" / "without_dataset"
    outcome = reionemu("predict", golden, *POINT)
    assert "--given y_transform=... --given y_source=..." in outcome.err
    assert "--given bounds=unbounded for no check" in outcome.err
    assert "emulator(" not in outcome.err


@pytest.mark.parametrize("command", [("predict",), ("artifact", "card")])
def test_a_run_that_has_not_completed_says_so(reionemu, tmp_path, command):
    run = package.start_artifact("run", tmp_path, fit_config=package.FitConfig(epochs=9))
    point = POINT if command == ("predict",) else ()
    run.log(1, {"train_loss": 1.0})
    outcome = reionemu(*command, tmp_path / "run", *point)
    assert outcome.code == 1
    assert "the run is still running (epoch 1 of 9); wait until it has completed" in outcome.err
    with pytest.raises(ValueError), run:
        raise ValueError("out of luck")
    outcome = reionemu(*command, tmp_path / "run", *point)
    assert outcome.code == 1
    assert "the run failed" in outcome.err
    assert "ValueError: out of luck; mend the cause" in outcome.err
    assert "--resume" in outcome.err
    assert "state_dict" not in outcome.err


def test_a_run_that_was_killed_says_how_to_complete_it(reionemu, tmp_path):
    code = (
        "import os, reionemu, sys\n"
        "run = reionemu.start_artifact('run', sys.argv[1])\n"
        "run.log(1, {'train_loss': 1.0}); os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path]).returncode == 9
    outcome = reionemu("predict", tmp_path / "run", *POINT)
    assert "the run was interrupted (epoch 1); resume it" in outcome.err
    assert "--resume" in outcome.err


def test_artifact_show(reionemu, saved):
    text = reionemu("artifact", "show", saved).out
    for part in ("MCDropoutEmulator", "completed", "24 simulations", "zmean_zre in [", "model.pt"):
        assert part in text
    document = strict(reionemu("artifact", "show", saved, "--json").out)
    assert document["info"]["experiment_name"] == "one"


@pytest.mark.parametrize("options", [("--model", "mc-dropout", *SHORT), ()])
def test_crossval(reionemu, condensed_h5, options):
    outcome = reionemu("crossval", condensed_h5, "--folds", 3, "--json", *options)
    result = strict(outcome.out)
    assert np.shape(result["out_of_fold"]) == (24, 5)
    assert len(result["fold_best_val"]) == 3
    assert np.isclose(result["std_best_val"], np.std(result["fold_best_val"], ddof=1))
    assert sum(errors["n"] for errors in result["errors"]) == 24
    table = reionemu("crossval", condensed_h5, "--folds", 3, *options).out
    assert f"{result['fold_best_val'][0]:.4g}" in table


def test_example_can_be_copied_once(reionemu, tmp_path):
    folder = tmp_path / "suite"
    assert reionemu("example", folder).code == 0
    assert len(list((folder / "raw").glob("sim*/obs_grids.hdf5"))) == 64
    outcome = reionemu("example", folder)
    assert (outcome.code, outcome.out) == (1, "")
    assert "exists" in outcome.err
