"""Surrogates and companions made to do harm, or of nonsense, are refused in bounded memory."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reionemu
from reionemu.artifact.formats.arrays import safetensors_arrays
from reionemu.artifact.formats.sidecars import save_arrays
from reionemu.errors import RecordError

GOLDEN = Path(__file__).parent / "golden" / "v1-companions"
MEGABYTES = 50
BIG = 10**400

pytestmark = pytest.mark.filterwarnings("ignore:.*configs.json has model")

Edit = Callable[[dict[str, np.ndarray], dict[str, Any]], object]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "gaussian_process", tmp_path / "run"))


def rewrite(record: Path, name: str, edit: Edit) -> None:
    """Change arrays and metadata of a safetensors file."""
    found, metadata = safetensors_arrays((record / name).read_bytes(), name)
    arrays, document = dict(found), json.loads(metadata["reionemu"])
    edit(arrays, document)
    save_arrays(record, arrays, document, name)


def refused(record: Path) -> str:
    """What is said when it is loaded; it may be said by nothing but a RecordError."""
    reionemu.load_artifact(record)
    tracemalloc.start()
    try:
        with pytest.raises(RecordError) as caught:
            reionemu.load_artifact(record).emulator()
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 2**20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 2000
    return str(caught.value)


def array(name: str, value: Any) -> Edit:
    """Another array in the place of one; None for none."""

    def edit(arrays: dict[str, np.ndarray], document: dict[str, Any]) -> None:
        del arrays[name]
        if value is not None:
            arrays[name] = np.asarray(value)

    return edit


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    return lambda arrays, document: arrays.update({name: change(arrays[name])})


def option(*keys: str, value: Any) -> Edit:
    def edit(arrays: dict[str, np.ndarray], document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return edit


def spoiled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def spoil(array: np.ndarray) -> np.ndarray:
        array = np.array(array)
        array.flat[array.size // 2] = value
        return array

    return spoil


NOT_POSITIVE = np.full((5, 5), -0.9) + 1.9 * np.eye(5)
COMPANIONS: dict[str, tuple[Edit, str]] = {
    "scale-short": (array("calibration.scale", np.ones(4)), "calibration"),
    "scale-all-short": (
        lambda arrays, document: arrays.update(
            {f"calibration.{key}": np.ones(4) for key in ("scale", "floor")},
            **{"calibration.correlation": np.eye(4)},
        ),
        "calibration has shape (4,), and not (5,)",
    ),
    "scale-missing": (array("calibration.scale", None), "calibration is not usable"),
    "scale-nan": (changed("calibration.scale", spoiled(np.nan)), "finite numbers"),
    "scale-negative": (changed("calibration.scale", np.negative), "calibration is not usable"),
    "scale-table": (array("calibration.scale", np.ones((5, 5))), "calibration"),
    "scale-number": (array("calibration.scale", 1.0), "calibration"),
    "floor-infinite": (changed("calibration.floor", spoiled(np.inf)), "finite numbers"),
    "correlation-not-positive": (
        array("calibration.correlation", NOT_POSITIVE),
        "calibration is not usable",
    ),
    "correlation-lopsided": (
        changed("calibration.correlation", lambda R: np.tril(R)),
        "symmetric",
    ),
    "correlation-large": (
        changed("calibration.correlation", lambda R: 4 * R),
        "calibration is not usable",
    ),
    "count-text": (option("companions", "calibration", "n", value="x"), "calibration"),
    "count-huge": (
        option("companions", "calibration", "n", value=float("inf")),
        "calibration is not usable",
    ),
    "calibration-list": (option("companions", "calibration", value=[]), "calibration is not"),
    "calibration-none": (
        lambda arrays, document: document["companions"].pop("calibration"),
        "has no error bars",
    ),
    "suite-kind": (option("companions", "suite", "realizations", value=["own"]), "suite"),
    "suite-none": (option("companions", "suite", "n_realizations", value=0), "n_realizations"),
    "suite-infinite": (
        option("companions", "suite", "n_realizations", value=float("inf")),
        "n_realizations",
    ),
    "suite-area": (option("companions", "suite", "map_area", value=-1.0), "map_area must be > 0"),
    "suite-area-big": (option("companions", "suite", "map_area", value=BIG), "map_area"),
    "covariance-shape": (
        lambda arrays, document: arrays.update({"suite.ln_covariance": np.eye(4)}),
        "covariance has shape",
    ),
    "covariance-negative": (
        lambda arrays, document: arrays.update({"suite.ln_covariance": -np.eye(5)}),
        "no covariance",
    ),
    "points-columns": (changed("points", lambda points: points[:, :3]), "training points"),
    "points-nan": (changed("points", spoiled(np.nan)), "finite numbers"),
    "points-none": (changed("points", lambda points: points[:0]), "empty"),
    "points-flat": (changed("points", np.ravel), "points are not a table"),
    "joint-shape": (array("correlation", np.eye(8)), "correlation with the history has shape"),
    "joint-not-positive": (
        array("correlation", np.full((9, 9), -0.9) + 1.9 * np.eye(9)),
        "ositive definite",
    ),
    "joint-alone": (
        lambda arrays, document: document["companions"].pop("history"),
        "no history",
    ),
    "history-missing": (array("history.curve_root", None), "histories is not usable"),
    "history-degree": (
        changed("history.curve_coefficients", lambda array: array[:, :4]),
        "histories is not usable",
    ),
    "history-nan": (changed("history.depth_root", spoiled(np.nan)), "finite numbers"),
    "history-names": (
        option("companions", "history", "inputs", "names", value=["a", "b", "c", "d"]),
        "inputs",
    ),
    "history-ranges": (
        option("companions", "history", "inputs", "low", value=[0.0, 0.0, 0.0, BIG]),
        "RecordError",
    ),
    "history-inputs": (option("companions", "history", "inputs", value=3), "inputs"),
    "history-text": (option("companions", "history", value="x"), "history is not a JSON object"),
    "empty-and-huge": (array("points", np.zeros((0, 2**40))), "empty"),
    "text": (lambda arrays, document: document.update(companions="x"), "do not say what"),
    "version": (lambda arrays, document: document.update(version="1"), "version must be"),
}


@pytest.mark.parametrize("name", COMPANIONS)
def test_companions_that_cannot_be_are_refused(
    record: Path, name: str, reseal: Callable[..., None]
) -> None:
    edit, said = COMPANIONS[name]
    rewrite(record, "companions.safetensors", edit)
    reseal(record)
    assert said in refused(record) or said == "RecordError"
    assert not reionemu.load_artifact(record).verify().ok


MODEL: dict[str, tuple[Edit, str]] = {
    "points-missing": (array("points", None), "not usable"),
    "points-fewer": (changed("points", lambda points: points[1:]), "not usable"),
    "points-columns": (changed("points", lambda points: points[:, 1:]), "not usable"),
    "weights-nan": (changed("weights", spoiled(np.nan)), "finite numbers"),
    "weights-flat": (changed("weights", np.ravel), "not usable"),
    "weights-huge": (changed("weights", spoiled(1e308)), "not usable"),
    "scale-infinite": (changed("scale", spoiled(np.inf)), "finite numbers"),
    "mean-number": (array("mean", 1.0), "not usable"),
    "none-and-huge": (
        lambda arrays, document: arrays.update(
            points=np.zeros((0, 4)), weights=np.zeros((0, 5)), projection=np.zeros((0, 2**40))
        ),
        "empty",
    ),
    "bins-fewer": (
        lambda arrays, document: arrays.update(
            {
                "mean": arrays["mean"][:4],
                "scale": arrays["scale"][:4],
                "weights": arrays["weights"][:, :4],
            }
        ),
        "RecordError",
    ),
    "class": (option("model", "class_name", value="os.system"), "'os.system' is not known"),
    "class-other": (option("model", "class_name", value="NetworkEnsemble"), "not usable"),
    "class-network": (option("model", "class_name", value="FourParamEmulator"), "RecordError"),
    "class-list": (option("model", "class_name", value=["GaussianProcess"]), "RecordError"),
    "inputs": (option("model", "inputs", value=[1, 2]), "inputs"),
    "inputs-none": (option("model", "inputs", value=None), "inputs"),
    "inputs-names": (option("model", "inputs", "names", value=["a"]), "inputs"),
    "inputs-low": (option("model", "inputs", "low", value=[1.0, 1.0, 1.0, BIG]), "RecordError"),
    "inputs-cosmology": (
        option("model", "inputs", "cosmology", value={"h": "x"}),
        "inputs",
    ),
    "inputs-universe": (
        option("model", "inputs", "cosmology", value={"omega_m": -3.0}),
        "RecordError",
    ),
    "lengths": (option("model", "hyperparameters", "smooth", value=[1.0]), "not usable"),
    "lengths-zero": (option("model", "hyperparameters", "smooth", value=[0.0] * 4), "not usable"),
    "lengths-text": (option("model", "hyperparameters", "smooth", value="abcd"), "not usable"),
    "amplitude-big": (option("model", "hyperparameters", "amplitude", value=BIG), "RecordError"),
    "hyperparameters": (option("model", "hyperparameters", value=7), "not usable"),
}


@pytest.mark.parametrize("name", MODEL)
def test_a_process_that_cannot_be_is_refused(
    record: Path, name: str, reseal: Callable[..., None]
) -> None:
    edit, said = MODEL[name]
    rewrite(record, "weights.safetensors", edit)
    reseal(record)
    assert said in refused(record) or said == "RecordError"
    assert not reionemu.load_artifact(record).verify().ok


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ends inside its header"),
        ((2**62).to_bytes(8, "little"), "ends inside its header"),
        (b"\x02" + bytes(7) + b"{}", "do not say what is in it"),
        (b"\x02" + bytes(7) + b"[]", "no JSON object"),
    ],
)
def test_files_that_are_no_companions_are_refused(
    record: Path, content: bytes, said: str, reseal: Callable[..., None]
) -> None:
    (record / "companions.safetensors").write_bytes(content)
    reseal(record)
    message = refused(record)
    assert said in message
    assert "companions.safetensors" in message


def test_a_network_needs_no_companions_but_is_refused_with_wrong_ones(
    tmp_path: Path, reseal: Callable[..., None]
) -> None:
    path = Path(shutil.copytree(GOLDEN / "mc_dropout", tmp_path / "run"))
    calibrated = reionemu.load_artifact(path).emulator().predict([8.0, 0.5, 0.9, 0.5])
    rewrite(path, "companions.safetensors", array("calibration.scale", np.ones(4)))
    reseal(path)
    assert "calibration" in refused(path)
    (path / "companions.safetensors").unlink()
    alone = reionemu.load_artifact(path).emulator()
    assert alone.history is None
    prediction = alone.predict([8.0, 0.5, 0.9, 0.5])
    assert np.isfinite(prediction.std).all()
    assert not np.allclose(prediction.std, calibrated.std)
