"""Records of Gaussian processes: what is loaded is what was saved, or nothing is computed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import reionemu
from reionemu.artifact import model_card
from reionemu.artifact.checking.verify import verify_artifact
from reionemu.artifact.experiment import Contents
from reionemu.artifact.formats import sidecars
from reionemu.artifact.write import save_record
from reionemu.errors import RecordError, UnrecordableError
from reionemu.models.calibration import Calibration
from reionemu.models.companions import Companions
from reionemu.models.domain import Domain
from reionemu.models.emulator import Emulator
from reionemu.models.gaussian_process import GaussianProcess, fit_gaussian_process
from reionemu.models.inputs import Inputs
from reionemu.models.out_of_fold import OutOfFold
from reionemu.models.spectrum import SurrogateSpectrum
from reionemu.models.suite import Suite
from reionemu.parameters import PARAMETER_NAMES, ParameterBox
from reionemu.targets import Target

LOW, HIGH = np.array([6.5, 0.1, 0.3, 0.2]), np.array([9.5, 0.9, 1.5, 0.9])
ELL = np.array([1500.0, 2500.0, 3500.0, 4500.0, 5500.0])
THETA = LOW + (HIGH - LOW) * np.random.default_rng(11).random((7, 4))
BINARY = ("weights.safetensors", "companions.safetensors", "predictions.npz")
GOLDEN = Path(__file__).parent / "golden" / "v1-companions"


@pytest.fixture(scope="module")
def fitted() -> tuple[GaussianProcess, OutOfFold, np.ndarray, np.ndarray]:
    """A process fitted to 60 points of a smooth function, out-of-fold predictions, points, truth"""
    rng = np.random.default_rng(3)
    theta = LOW + (HIGH - LOW) * rng.random((60, 4))
    y = np.log(theta[:, 3:] * (ELL / 3000.0) ** -theta[:, 1:2] * (theta[:, :1] / 8.0) ** 2)
    y += 0.01 * rng.standard_normal(y.shape)
    process, unseen = fit_gaussian_process(theta, y, Inputs.over(theta, PARAMETER_NAMES))
    return process, unseen, theta, y


@pytest.fixture(scope="module")
def companions(fitted: tuple) -> Companions:
    _, unseen, theta, y = fitted
    calibration = Calibration.of(unseen.mean, unseen.total, y)
    suite = Suite("shared", 4, 0.005, 0.01 * (np.eye(5) + 0.5))
    return Companions(calibration, suite, theta)


@pytest.fixture
def record(fitted: tuple, companions: Companions, tmp_path: Path) -> Path:
    """A record of that process."""
    process, unseen, theta, y = fitted
    rows = np.arange(60)
    predictions = {"row": rows, "part": 0 * rows, "mean": unseen.mean, "std": unseen.std}
    contents = Contents(
        checkpoint=process,
        companions=companions,
        predictions={**predictions, "truth": y},
        training_box=ParameterBox.around(PARAMETER_NAMES, theta).to_mapping(),
        dataset={
            "path": "/gone.h5",
            "fingerprint": {"path": "/gone.h5", "file_size_bytes": 1}
            | {"modified_at": "2026-11-23T10:00:00+00:00"},
            "param_names": list(PARAMETER_NAMES),
            "ell": ELL.tolist(),
            "y_source": "dl_ksz",
            "y_transform": "ln",
            "eps": 1e-30,
        },
    )
    return save_record("run", tmp_path / "artifacts", contents)


def answers(emulator: Emulator, theta: np.ndarray) -> list[np.ndarray]:
    """Everything that a spectrum is asked for."""
    prediction = emulator.predict(theta, out_of_range="nan")
    return [
        prediction.mean,
        prediction.std,
        prediction.covariance,
        emulator.draws(theta, n_draws=3, out_of_range="nan"),
        emulator.gradient(theta, out_of_range="nan"),
        emulator.sample_covariance(theta, 0.1, out_of_range="nan"),
        emulator.realization_covariance(theta, out_of_range="nan"),
        emulator.is_sparse(theta),
    ]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_what_is_loaded_predicts_to_the_last_bit_what_was_saved(
    record: Path, fitted: tuple, companions: Companions
) -> None:
    process, _, theta, _ = fitted
    box = ParameterBox.around(PARAMETER_NAMES, theta)
    assert companions.calibration is not None
    spectrum = SurrogateSpectrum(
        process, Target("dl_ksz", "ln", 1e-30), companions.calibration, noise_is_scatter=False
    )
    in_memory = Emulator(
        spectrum,
        ell=ELL,
        parameter_names=PARAMETER_NAMES,
        box=box,
        suite=companions.suite,
        domain=Domain(box, theta),
    )
    expected = answers(in_memory, THETA)
    assert np.isfinite(expected[0]).any()
    assert_same(answers(reionemu.load_artifact(record).emulator(), THETA), expected)


def test_what_was_exported_and_imported_predicts_the_same(record: Path, tmp_path: Path) -> None:
    bundle = reionemu.export_artifact(record, tmp_path / "run.zip")
    imported = reionemu.import_artifact(bundle, tmp_path / "elsewhere")
    for name in BINARY:
        assert (imported.path / name).read_bytes() == (record / name).read_bytes()
    before, after = (reionemu.load_artifact(path) for path in (record, imported.path))
    assert_same(answers(after.emulator(), THETA), answers(before.emulator(), THETA))
    assert before.predictions().keys() == after.predictions().keys()
    assert verify_artifact(imported.path).ok


PREDICT = """
import json, sys
import reionemu
emulator = reionemu.load_artifact(sys.argv[1]).emulator()
theta = json.loads(sys.argv[2])
prediction = emulator.predict(theta, out_of_range="nan")
heavy = [name for name in ("torch", "scipy", "h5py", "ray", "astropy") if name in sys.modules]
numbers = [x.tobytes().hex() for x in (prediction.mean, prediction.std, prediction.covariance)]
numbers.append(emulator.gradient(theta, out_of_range="nan").tobytes().hex())
print(json.dumps([heavy, numbers]))
"""


def test_another_process_needs_numpy_alone_and_predicts_the_same(record: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PREDICT, str(record), json.dumps(THETA.tolist())],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy, numbers = json.loads(result.stdout)
    assert heavy == []
    emulator = reionemu.load_artifact(record).emulator()
    got = emulator.predict(THETA, out_of_range="nan")
    expected = [got.mean, got.std, got.covariance, emulator.gradient(THETA, out_of_range="nan")]
    assert numbers == [array.tobytes().hex() for array in expected]


def test_histories_need_numpy_alone() -> None:
    code = (
        "import sys, reionemu; e = reionemu.load_artifact(sys.argv[1]).emulator(); "
        "e.predict_history([8, .5, .9, .5]); e.joint_draws([8, .5, .9, .5]); "
        "sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(GOLDEN / "gaussian_process")]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_self_test_is_replayed(record: Path, reseal: Callable) -> None:
    assert verify_artifact(record).ok

    def more(document: dict) -> None:
        document["self_test"]["std"][2][3] *= 1.0001

    reseal(record, more)
    (error,) = verify_artifact(record).errors
    assert "predict" in error.message


def test_a_changed_calibration_that_was_sealed_again_is_found(
    record: Path, fitted: tuple, companions: Companions, reseal: Callable
) -> None:
    """As by a program that writes a record by itself: checksums are right, predictions are not."""
    assert companions.calibration is not None
    wider = Calibration(
        1.01 * companions.calibration.scale,
        companions.calibration.floor,
        companions.calibration.correlation,
        companions.calibration.n,
    )
    changed = Companions(wider, companions.suite, companions.points)
    sidecars.save_companions(record, changed, filename="companions.safetensors")
    reseal(record)
    assert any("predict" in finding.message for finding in verify_artifact(record).errors)


@pytest.mark.parametrize("name", BINARY)
def test_any_changed_byte_is_found_and_nothing_is_computed(record: Path, name: str) -> None:
    content, rng = (record / name).read_bytes(), random.Random(1)
    for place in [0, 7, 8, len(content) - 1, *rng.sample(range(len(content)), 20)]:
        damaged = bytearray(content)
        damaged[place] ^= rng.randint(1, 255)
        (record / name).write_bytes(damaged)
        assert name in {finding.where for finding in verify_artifact(record).errors}, place
        artifact = reionemu.load_artifact(record)
        with pytest.raises(RecordError, match=rf"{name}.* changed after the record was saved"):
            artifact.predictions() if name == "predictions.npz" else artifact.emulator()
    (record / name).write_bytes(content)
    assert verify_artifact(record).ok


def test_without_companions_a_process_has_no_error_bars_and_is_not_used(record: Path) -> None:
    (record / "companions.safetensors").unlink()
    with pytest.raises(RecordError, match=r"lacks companions.safetensors.*Copy the whole folder"):
        reionemu.load_artifact(record).emulator()
    assert "companions.safetensors" in {error.where for error in verify_artifact(record).errors}


def test_a_process_is_no_network(record: Path) -> None:
    with pytest.raises(RecordError, match="GaussianProcess is no network of PyTorch; use emul"):
        reionemu.load_artifact(record).model()


def test_other_parameters_than_the_models_are_refused(record: Path) -> None:
    names = tuple(reversed(PARAMETER_NAMES))
    with pytest.raises(RecordError, match="the model is of parameters zmean_zre, alpha_zre"):
        reionemu.load_artifact(record).emulator(param_names=names)
    with pytest.raises(RecordError, match=r"shape \(5,\), and not \(4,\)"):
        reionemu.load_artifact(record).emulator(ell=ELL[:4])


def test_predictions_are_those_that_were_saved(record: Path, fitted: tuple) -> None:
    found = reionemu.load_artifact(record).predictions()
    np.testing.assert_array_equal(found["mean"], fitted[1].mean)
    np.testing.assert_array_equal(found["truth"], fitted[3])
    np.testing.assert_array_equal(found["row"], np.arange(60))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("mean", None, "lacks the array mean"),
        ("mean", np.zeros(60), "mean in 2 dimension"),
        ("std", np.zeros((60, 4)), "different numbers of rows or bins"),
        ("row", np.zeros(59), "different numbers of rows or bins"),
    ],
)
def test_predictions_that_do_not_fit_together_are_refused(
    record: Path, name: str, change: np.ndarray | None, said: str, reseal: Callable
) -> None:
    with np.load(record / "predictions.npz") as file:
        arrays = {**file, name: change}
    np.savez(record / "predictions.npz", **{k: v for k, v in arrays.items() if v is not None})
    reseal(record)
    with pytest.raises(RecordError, match=said):
        reionemu.load_artifact(record).predictions()
    assert any(said in e.message for e in verify_artifact(record).errors)


@pytest.mark.parametrize(
    ("limit", "name"), [("MAX_WEIGHTS_BYTES", "weights"), ("MAX_ARRAY_BYTES", "predictions")]
)
def test_what_could_not_be_read_again_is_not_written(
    record: Path, limit: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    artifact = reionemu.load_artifact(record)
    model = artifact.emulator().spectrum.model
    contents = Contents(
        checkpoint=model, companions=artifact.companions(), predictions=artifact.predictions()
    )
    monkeypatch.setattr(sidecars, limit, 2000)
    with pytest.raises(UnrecordableError, match=rf"{name}\.\w+ would have \d+ bytes, more than"):
        save_record("large", tmp_path / "new", contents)
    assert not list((tmp_path / "new").iterdir())


def test_the_card_and_the_page_say_what_a_process_is_worth(tmp_path: Path) -> None:
    path = Path(shutil.copytree(GOLDEN / "gaussian_process", tmp_path / "run"))
    text = model_card(reionemu.load_artifact(path))
    assert "And the optical depth and the neutral fraction x_HI(z)" in text
    assert "All simulations share one realization" in text
    assert "made right on average over 24 simulations that were not trained on" in text
    assert "- model: `class_name=GaussianProcess`, `coordinates=physical`\n" in text
    assert "- spectrum, all bins: mean " in text
    assert "within 1, 2 and 3 sigma" in text
    assert "optimizer" not in text
    assert "Without an error bar" not in text
