"""What is known of the suite that training arrays come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from reionemu import BuildXYConfig, build_and_write_training
from reionemu.parameters import PARAMETER_NAMES
from reionemu.simulation.campaign.ledger import config_document
from reionemu.simulation.campaign.plan import Plan
from reionemu.simulation.config import OwnSeeds, SimulationConfig

BINS = 3
SIDE = 0.07
RANGES = {name: [i + 0.5, i + 2.5] for i, name in enumerate(PARAMETER_NAMES)}


def campaign(config: SimulationConfig, theta: np.ndarray, **changes: Any) -> dict[str, Any]:
    """The part of campaign.json that is read."""
    design = {"file": "design.txt", "ranges": RANGES}
    document = {"config": config_document(config), "rows": theta.tolist(), "design": design}
    return {"schema_version": 1, **document, **changes}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(config, n_rows=4, **changes of campaign.json)`: a suite with log-normal spectra."""

    def write(config: SimulationConfig, n_rows: int = 4, **changes: Any) -> Path:
        rng = np.random.default_rng(3)
        theta = rng.uniform(1, 2, (n_rows, 4))
        path = tmp_path / "suite.h5"
        with h5py.File(path, "w") as h5:
            h5["campaign"] = json.dumps(campaign(config, theta, **changes))
            for task in Plan(config, theta).tasks():
                sim = h5.create_group(f"sims/{task.name}")
                for name, value in task.parameters.items():
                    sim[f"params/{name}"] = value
                sim["output/theta_max_ksz"] = SIDE
                sim["cl/ell"] = np.arange(1.0, BINS + 1)
                sim["cl/dl_ksz"] = np.exp(rng.normal(0, [0.1, 0.2, 0.3]))
                sim["cl/cl_ksz"] = sim["cl/dl_ksz"][()] / sim["cl/ell"][()] ** 2
        return path

    return write


def training(path: Path, **options: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Attributes and arrays of /training, built anew."""
    build_and_write_training(path, config=BuildXYConfig(**options))
    with h5py.File(path) as h5:
        group = h5["training"]
        covariance = dict(group["dl_covariance"].attrs) if "dl_covariance" in group else {}
        arrays = {name: dataset[()] for name, dataset in group.items()}
        return {**group.attrs, **covariance}, arrays


@pytest.mark.parametrize(
    ("options", "separate", "mean"),
    [
        ({}, "shared", "shared"),
        ({"realizations": OwnSeeds(5)}, "own", "own"),
        ({"realizations": OwnSeeds(5), "axes": (0, 2)}, "own", "own"),
        ({"realizations": (3, 8)}, None, "shared"),
        ({"axes": (0, 1)}, None, "shared"),
    ],
)
def test_the_kind_of_suite(
    write: Callable[..., Path], options: dict, separate: str | None, mean: str
) -> None:
    path = write(SimulationConfig(**options))
    assert training(path)[0].get("realizations") == separate
    assert training(path, realizations="mean")[0]["realizations"] == mean


def test_rows_of_different_realizations_are_of_no_kind(write: Callable[..., Path]) -> None:
    path = write(SimulationConfig(realizations=(3, 8)))
    with h5py.File(path, "a") as h5:
        del h5["sims/sim1_s3"]
    assert "realizations" not in training(path, realizations="mean")[0]


def test_a_simulation_that_no_campaign_made_is_of_no_kind(write: Callable[..., Path]) -> None:
    path = write(SimulationConfig())
    with h5py.File(path, "a") as h5:
        h5.move("sims/sim0", "sims/simulated")
    assert "realizations" not in training(path)[0]


def test_the_bounds_of_the_design_are_in_the_order_of_the_columns(
    write: Callable[..., Path],
) -> None:
    path = write(SimulationConfig())
    names = ("b0_zre", "zmean_zre")
    _, arrays = training(path, param_names=names)
    np.testing.assert_array_equal(arrays["design_low"], [3.5, 0.5])
    np.testing.assert_array_equal(arrays["design_high"], [5.5, 2.5])


@pytest.mark.parametrize(
    "ranges",
    [
        None,
        7,
        {},
        {name: [2, 1] for name in PARAMETER_NAMES},
        {name: [1, 2, 3] for name in PARAMETER_NAMES},
        dict.fromkeys(PARAMETER_NAMES, 1),
        {name: ["a", "b"] for name in PARAMETER_NAMES},
        {name: [0, np.inf] for name in PARAMETER_NAMES},
        {name: [0, 10**400] for name in PARAMETER_NAMES},
    ],
)
def test_bounds_that_cannot_be_are_not_stored(write: Callable[..., Path], ranges: Any) -> None:
    attrs, arrays = training(write(SimulationConfig(), design={"ranges": ranges}))
    assert not {"design_low", "design_high"} & arrays.keys()
    assert attrs["realizations"] == "shared"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        b"\xff\xfe",
        3.0,
        h5py.Empty("f8"),
        ["{}", "{}"],
        json.dumps({"schema_version": 1}),
        json.dumps({"schema_version": 1, "config": {}, "rows": 3, "design": []}),
        json.dumps({"schema_version": 1, "config": {"n_cells": 15}, "rows": [[1, 2, 3, 4]]}),
        json.dumps({"schema_version": 1, "config": [], "rows": [[1, 2, 3, 4]], "design": "x"}),
        json.dumps({"schema_version": 1, "config": {}, "rows": [[1], [2, 3]]}),
        json.dumps({"schema_version": 1, "config": {}, "rows": [[10**400] * 4]}),
        json.dumps({"schema_version": 1, "config": {}, "rows": [[1.0] * 3] * 4}),
    ],
    ids=lambda content: str(content)[:40],
)
def test_of_an_odd_campaign_nothing_is_known(write: Callable[..., Path], content: Any) -> None:
    path = write(SimulationConfig())
    with h5py.File(path, "a") as h5:
        del h5["campaign"]
        h5["campaign"] = content
    attrs, arrays = training(path)
    assert arrays["X"].shape == (4, 4)
    assert not {"realizations", "design_low"} & (attrs.keys() | arrays.keys())
    assert attrs["map_area"] == SIDE**2


def test_of_a_campaign_of_a_later_version_nothing_is_known(write: Callable[..., Path]) -> None:
    attrs, arrays = training(write(SimulationConfig(), schema_version=2))
    assert not {"realizations", "design_low"} & (attrs.keys() | arrays.keys())


def test_a_campaign_of_endless_simulations_is_not_believed(write: Callable[..., Path]) -> None:
    path = write(SimulationConfig())
    config = config_document(SimulationConfig(realizations=tuple(range(3000))))
    huge = {"schema_version": 1, "config": config, "rows": [[8.0, 0.5, 1.0, 0.6]] * 3000}
    with h5py.File(path, "a") as h5:
        del h5["campaign"]
        h5["campaign"] = json.dumps(huge)
    assert "realizations" not in training(path)[0]


@pytest.mark.parametrize(
    ("side", "known"),
    [(SIDE * (1 + 5e-7), True), (SIDE * (1 + 5e-6), False), (np.nan, False), ("wide", False)],
)
def test_the_area_is_that_of_every_map(write: Callable[..., Path], side: Any, known: bool) -> None:
    path = write(SimulationConfig())
    with h5py.File(path, "a") as h5:
        del h5["sims/sim2/output/theta_max_ksz"]
        h5["sims/sim2/output/theta_max_ksz"] = side
    assert training(path)[0].get("map_area") == (SIDE**2 if known else None)


@pytest.mark.parametrize("y_source", ["dl_ksz", "cl_ksz"])
@pytest.mark.parametrize("y_transform", ["ln", "none"])
def test_the_covariance_is_pooled_over_the_rows(
    write: Callable[..., Path], y_source: str, y_transform: str
) -> None:
    """Against the sum of products of all deviations, and the spread that was drawn."""
    path = write(SimulationConfig(realizations=tuple(range(40))), n_rows=5)
    with h5py.File(path, "a") as h5:
        for i in range(35):
            del h5[f"sims/sim3_s{i}"]
        h5["sims/sim4_s7/cl/dl_ksz"][1] = -1e-9
        h5["sims/sim4_s7/cl/cl_ksz"][1] = -1e-9
        spectra = [
            np.log([h5[f"sims/sim{i}_s{s}/cl/dl_ksz"][()] for s in range(35 * (i == 3), 40)])
            for i in range(4)
        ]
    attrs, arrays = training(path, realizations="mean", y_source=y_source, y_transform=y_transform)
    deviations = np.concatenate([dl - dl.mean(axis=0) for dl in spectra])
    expected = deviations.T @ deviations / (3 * 39 + 4)
    np.testing.assert_allclose(arrays["dl_covariance"], expected, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(np.sqrt(np.diag(expected)), [0.1, 0.2, 0.3], rtol=0.25)
    assert attrs["degrees_of_freedom"] == 39  # they share 40 realizations


def test_rows_with_seeds_of_their_own_add_their_degrees_of_freedom(
    write: Callable[..., Path],
) -> None:
    path = write(SimulationConfig(realizations=OwnSeeds(), axes=(0, 1, 2)), n_rows=6)
    assert training(path, realizations="mean")[0]["degrees_of_freedom"] == 6 * 2


def test_without_a_campaign_the_rows_are_taken_as_independent(write: Callable[..., Path]) -> None:
    path = write(SimulationConfig(realizations=(0, 1, 2)), n_rows=6)
    with h5py.File(path, "a") as h5:
        del h5["campaign"]
    assert training(path, realizations="mean")[0]["degrees_of_freedom"] == 6 * 2


def test_copies_of_a_map_have_no_covariance(write: Callable[..., Path]) -> None:
    """A row that is twice in the design."""
    path = write(SimulationConfig())
    with h5py.File(path, "a") as h5:
        for name in ("params", "cl"):
            del h5[f"sims/sim3/{name}"]
            h5.copy(f"sims/sim1/{name}", f"sims/sim3/{name}")
    attrs, arrays = training(path, realizations="mean")
    assert arrays["realizations_averaged"].tolist() == [1, 2, 1]
    assert "dl_covariance" not in arrays
    assert attrs["realizations"] == "shared"


def test_single_simulations_have_no_covariance(write: Callable[..., Path]) -> None:
    path = write(SimulationConfig())
    assert "dl_covariance" not in training(path, realizations="mean")[1]
    path = write(SimulationConfig(realizations=(0, 1)))
    assert "dl_covariance" not in training(path)[1]


KNOWN = {
    "ell": [1.0, 2.0, 3.0001],
    "covariance": np.diag([0.01, 0.02, 0.03]).tolist(),
    "n_realizations": 9,
}


def test_a_suite_of_one_realization_knows_the_scatter_of_its_preset(write):
    path = write(SimulationConfig(realizations=(3,)), seed_scatter=KNOWN)
    attrs, arrays = training(path)
    np.testing.assert_array_equal(arrays["dl_covariance"], np.diag([0.01, 0.02, 0.03]))
    assert attrs["degrees_of_freedom"] == 8


@pytest.mark.parametrize(
    "change",
    [
        {"ell": [1.0, 2.0, 3.3]},
        {"ell": [1.0, 2.0]},
        {"covariance": np.diag([0.01, -0.02, 0.03]).tolist()},
        {"covariance": [[1.0]]},
        {"covariance": "much"},
        {"n_realizations": 1},
        {"n_realizations": None},
    ],
)
def test_a_scatter_that_is_not_of_these_spectra_is_left_alone(write, change):
    path = write(SimulationConfig(realizations=(3,)), seed_scatter={**KNOWN, **change})
    assert "dl_covariance" not in training(path)[1]


def test_own_realizations_have_no_need_of_it(write):
    path = write(SimulationConfig(realizations=OwnSeeds(5)), seed_scatter=KNOWN)
    assert "dl_covariance" not in training(path)[1]
