"""Observations of given spectra and of simulations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from reionemu.artifact.read import Artifact
from reionemu.data.arrays import load_training_set
from reionemu.errors import (
    ConfigError,
    DatasetError,
    InferenceDataError,
    MissingFileError,
    ReionemuWarning,
)
from reionemu.inference.mock import mock_from_simulation, mock_from_spectrum
from reionemu.parameters import PARAMETER_NAMES

ELL = np.array([2000.0, 4000.0, 6000.0])
DL = np.array([1.5, 1.0, 0.5])
AREA = 0.01
X = np.array([[7.5, 0.5, 1.0, 0.5], [8.0, 0.6, 0.9, 0.4], [8.5, 0.7, 0.8, 0.3], [9, 0.2, 0.3, 0.6]])


def write_suite(path: Path, factor: float = 1.0, **changes: Any) -> Path:
    """Training arrays of four simulations; changes are of attributes, None to leave one out."""
    attrs = {
        "y_source": "dl_ksz",
        "y_transform": "ln",
        "eps": 1e-30,
        "realizations": "shared",
        "map_area": AREA,
        **changes,
    }
    averaged = attrs.pop("averaged", None)
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        group["X"] = X.astype(np.float32)
        dl = factor * DL * np.arange(1, 5)[:, None]
        group["Y"] = (np.log(dl) if attrs["y_transform"] == "ln" else dl).astype(np.float32)
        group["ell"] = ELL
        group["sim_ids"] = [b"sim0", b"sim1", b"sim10", b"sim2"]
        group["param_names"] = [name.encode() for name in PARAMETER_NAMES]
        group["tau"] = np.array([0.05, 0.06, 0.07, 0.08])
        group["z"] = np.array([6.0, 8.0, 10.0])
        group["x_hi"] = np.array([[0.1, 0.5, 0.9]] * 4) * np.array([[1], [1], [0.9], [1]])
        if averaged:
            group["realizations_averaged"] = np.array([averaged] * 4)
        for name, value in attrs.items():
            if value is not None:
                group.attrs[name] = value
    return path


def record_of(path: Path) -> Artifact:
    """A record that says that it was trained on rows 0 and 3 of a file."""
    content = load_training_set(path).content_sha256()
    split = {"step": "split", "indices": {"train": [0, 3], "val": [1], "test": [2]}}
    info = {"experiment_name": "four", "dataset": {"path": str(path), "content_sha256": content}}
    return Artifact(path.parent, info, {}, {}, {"lineage": [split]}, {}, {})


def test_a_spectrum_without_noise_is_observed_exactly() -> None:
    data = mock_from_spectrum(ELL, DL, 0.1)
    np.testing.assert_array_equal(data.dl, DL)
    np.testing.assert_allclose(data.covariance, np.diag((0.1 * DL) ** 2), rtol=1e-14)
    assert (data.realization, data.map_area, data.is_total) == ("sky", None, False)


def test_noise_has_the_given_errors_and_a_seed() -> None:
    draws = np.array([mock_from_spectrum(ELL, DL, 0.05, seed).dl for seed in range(2000)])
    np.testing.assert_allclose(draws.mean(axis=0), DL, rtol=0.004)
    np.testing.assert_allclose(draws.std(axis=0), 0.05 * DL, rtol=0.06)
    assert abs(np.corrcoef(draws.T) - np.eye(3)).max() < 0.08
    assert (
        mock_from_spectrum(ELL, DL, 0.05, 7).sha256 == mock_from_spectrum(ELL, DL, 0.05, 7).sha256
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"relative_error": 0.0}, "relative_error must be > 0"),
        ({"relative_error": "ten"}, "relative_error must be a number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"dl": [1.0, 0.0, 1.0]}, "positive D_ell"),
        ({"dl": [[1.0]]}, "positive D_ell"),
        ({"dl": ["a"]}, "must be numbers"),
        ({"dl": [1.0]}, "1 values of dl for 3 bins"),
    ],
)
def test_impossible_spectra_are_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises((ConfigError, InferenceDataError), match=reason):
        mock_from_spectrum(**{"ell": ELL, "dl": DL, **arguments})


@pytest.mark.parametrize("sim", ["sim10", 2])
def test_a_simulation_of_the_suite_comes_with_the_truth(tmp_path: Path, sim: str | int) -> None:
    artifact = record_of(write_suite(tmp_path / "a.h5"))
    data, truth = mock_from_simulation(artifact, sim, relative_error=0.2)
    np.testing.assert_allclose(data.dl, 3 * DL, rtol=1e-6)
    np.testing.assert_allclose(data.std, 0.2 * data.dl, rtol=1e-12)
    assert (data.realization, data.map_area) == ("emulator", None)
    assert "sim10 of a.h5, errors of 0.2 of D_ell, without noise" in data.source
    assert truth.theta == pytest.approx(dict(zip(PARAMETER_NAMES, X[2], strict=True)), rel=1e-6)
    assert (truth.sim, truth.tau) == ("sim10", pytest.approx(0.07))
    assert truth.z is not None
    assert truth.x_hi is not None
    np.testing.assert_allclose(truth.x_hi, [0.09, 0.45, 0.81])


def test_cl_and_untransformed_spectra_become_dl(tmp_path: Path) -> None:
    changes = {"y_source": "cl_ksz", "y_transform": "none", "eps": None}
    path = write_suite(tmp_path / "a.h5", 1e-6, **changes)
    data, _ = mock_from_simulation(record_of(path), "sim10")
    np.testing.assert_allclose(data.dl, 3e-6 * DL * ELL * (ELL + 1) / (2 * np.pi), rtol=1e-6)


@pytest.mark.parametrize(("averaged", "area"), [(None, AREA), (16, 16 * AREA)])
def test_a_suite_of_own_realizations_has_its_sample_variance(
    tmp_path: Path, averaged: int | None, area: float
) -> None:
    path = write_suite(tmp_path / "a.h5", realizations="own", averaged=averaged)
    data, _ = mock_from_simulation(record_of(path), "sim10")
    assert (data.realization, data.map_area) == ("sky", pytest.approx(area))


def test_another_suite_is_another_sky(tmp_path: Path) -> None:
    artifact = record_of(write_suite(tmp_path / "a.h5"))
    other = write_suite(tmp_path / "b.h5", 2.0)
    data, _ = mock_from_simulation(artifact, 0, dataset=other, seed=3)  # a training row elsewhere
    assert (data.realization, data.map_area) == ("sky", AREA)
    assert "noise of seed 3" in data.source
    moved = (tmp_path / "a.h5").rename(tmp_path / "c.h5")
    same, _ = mock_from_simulation(artifact, "sim10", dataset=moved)
    assert same.realization == "emulator"


def test_a_simulation_it_was_trained_on_is_named(tmp_path: Path) -> None:
    artifact = record_of(write_suite(tmp_path / "a.h5"))
    with pytest.warns(ReionemuWarning, match="'four' was trained on sim2"):
        mock_from_simulation(artifact, "sim2")
    careless = dataclasses.replace(artifact, provenance={"lineage": [{"step": "split"}]})
    assert mock_from_simulation(careless, "sim2")[1].sim == "sim2"


def test_a_suite_of_unknown_maps_is_warned_of(tmp_path: Path) -> None:
    path = write_suite(tmp_path / "a.h5", realizations=None, map_area=None)
    with pytest.warns(ReionemuWarning, match="does not say how large its maps are"):
        data, _ = mock_from_simulation(record_of(path), "sim10")
    assert (data.realization, data.map_area) == ("sky", None)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    path = write_suite(tmp_path / "a.h5")
    artifact = record_of(path)
    with pytest.raises(DatasetError, match=r"'sim11' \(did you mean 'sim1.?'\?\); there are 4"):
        mock_from_simulation(artifact, "sim11")
    with pytest.raises(DatasetError, match="no row 4; the rows are 0 to 3"):
        mock_from_simulation(artifact, 4)
    with pytest.raises(ConfigError, match="whole number >= 0"):
        mock_from_simulation(artifact, -1)
    nothing = dataclasses.replace(artifact, info={})
    with pytest.raises(ConfigError, match="does not record its dataset"):
        mock_from_simulation(nothing, 2)
    write_suite(path, 1.5)
    with pytest.raises(DatasetError, match="has other training arrays"):
        mock_from_simulation(artifact, 2)
    path.unlink()
    with pytest.raises(MissingFileError, match="does not exist; give it by its present name"):
        mock_from_simulation(artifact, 2)


@pytest.mark.parametrize("field", ["y_source", "y_transform"])
def test_arrays_that_do_not_say_what_they_are_are_refused(tmp_path: Path, field: str) -> None:
    artifact = record_of(write_suite(tmp_path / "a.h5"))
    path = tmp_path / "a.h5"
    with h5py.File(path, "r+") as h5:
        del h5["training"].attrs[field]
    with pytest.raises(DatasetError, match="does not state its y_source and y_transform"):
        mock_from_simulation(artifact, 2)
