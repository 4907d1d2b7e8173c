"""Training arrays of which each row is the mean over realizations of one model."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from reionemu import (
    BuildXYConfig,
    build_and_write_training,
    build_training_arrays,
    load_training_arrays,
)
from reionemu.errors import ConfigError, NoUsableSimulationsError
from reionemu.parameters import PARAMETER_NAMES

N = 24
MEAN = BuildXYConfig(realizations="mean")


def share_parameters(path: Path, *groups: tuple[str, ...]) -> None:
    """Give simulations of each group the parameters of its first."""
    with h5py.File(path, "a") as h5:
        for first, *others in groups:
            for other in others:
                for name in PARAMETER_NAMES:
                    value = h5[f"sims/{first}/params/{name}"][()]
                    h5[f"sims/{other}/params/{name}"][()] = value


GROUPS = (("sim0", "sim10", "sim7"), ("sim3", "sim4"))


@pytest.mark.parametrize("y_source", ["dl_ksz", "cl_ksz"])
@pytest.mark.parametrize("y_transform", ["ln", "log10", "none"])
def test_a_row_is_the_transform_of_the_mean(
    condensed_h5: Path, y_source: str, y_transform: str
) -> None:
    share_parameters(condensed_h5, *GROUPS)
    config = BuildXYConfig(y_source=y_source, y_transform=y_transform, realizations="mean")
    X, Y, _, sim_ids, _, stats = build_training_arrays(condensed_h5, config=config)
    merged = {"sim10", "sim7", "sim4"}
    assert list(sim_ids) == sorted({f"sim{i}" for i in range(N)} - merged)
    assert (stats.total_sims, stats.processed, stats.skipped_total) == (N, N, 0)
    counts = dict(zip(sim_ids, stats.realizations_averaged, strict=True))
    assert {name: n for name, n in counts.items() if n > 1} == {"sim0": 3, "sim3": 2}
    transform = {"ln": np.log, "log10": np.log10, "none": lambda y: y}[y_transform]
    with h5py.File(condensed_h5) as h5:
        for group in (*GROUPS, ("sim1",)):
            row = list(sim_ids).index(group[0])
            mean = np.mean([h5[f"sims/{name}/cl/{y_source}"][()] for name in group], axis=0)
            np.testing.assert_array_equal(Y[row], transform(mean).astype(np.float32))
            params = [h5[f"sims/{group[0]}/params/{name}"][()] for name in PARAMETER_NAMES]
            np.testing.assert_array_equal(X[row], np.float32(params))


def test_without_equal_parameters_nothing_changes(condensed_h5: Path) -> None:
    separate, mean = (
        build_training_arrays(condensed_h5, config=config) for config in (BuildXYConfig(), MEAN)
    )
    for one, other in zip(separate[:5], mean[:5], strict=True):
        np.testing.assert_array_equal(one, other)
    assert mean[5].realizations_averaged == (1,) * N
    assert separate[5].realizations_averaged == ()


def test_separate_rows_stay_separate(condensed_h5: Path) -> None:
    share_parameters(condensed_h5, *GROUPS)
    assert len(build_training_arrays(condensed_h5)[0]) == N


def test_equal_means_equal_in_double_precision(condensed_h5: Path) -> None:
    """A difference that float32 does not see is one between two models."""
    share_parameters(condensed_h5, ("sim0", "sim1"))
    with h5py.File(condensed_h5, "a") as h5:
        h5["sims/sim1/params/kb_zre"][()] *= 1 + 1e-12
    X, *_, stats = build_training_arrays(condensed_h5, config=MEAN)
    assert len(X) == N
    np.testing.assert_array_equal(X[0], X[1])
    assert set(stats.realizations_averaged) == {1}


def test_only_the_parameters_that_are_columns_count(condensed_h5: Path) -> None:
    share_parameters(condensed_h5, ("sim0", "sim1"))
    with h5py.File(condensed_h5, "a") as h5:
        h5["sims/sim1/params/b0_zre"][()] *= 2
    config = BuildXYConfig(param_names=("zmean_zre", "kb_zre"), realizations="mean")
    assert len(build_training_arrays(condensed_h5, config=config)[0]) == N - 1


def test_what_is_unusable_is_left_out_of_the_mean(condensed_h5: Path) -> None:
    share_parameters(condensed_h5, *GROUPS)
    with h5py.File(condensed_h5, "a") as h5:
        h5["sims/sim10/cl/dl_ksz"][0] = np.nan
        del h5["sims/sim0/cl"]
    _, Y, _, sim_ids, _, stats = build_training_arrays(condensed_h5, config=MEAN)
    assert (stats.processed, stats.skipped_non_finite, stats.skipped_missing_cl) == (N - 2, 1, 1)
    assert "sim7" in sim_ids
    assert stats.realizations_averaged[list(sim_ids).index("sim7")] == 1
    with h5py.File(condensed_h5) as h5:
        expected = np.log(h5["sims/sim7/cl/dl_ksz"][()]).astype(np.float32)
    np.testing.assert_array_equal(Y[list(sim_ids).index("sim7")], expected)


def test_a_mean_can_have_a_logarithm_where_a_realization_has_none(condensed_h5: Path) -> None:
    share_parameters(condensed_h5, *GROUPS)
    with h5py.File(condensed_h5, "a") as h5:
        h5["sims/sim3/cl/dl_ksz"][1] = -1e-9
        h5["sims/sim5/cl/dl_ksz"][1] = -1e-9
    config = BuildXYConfig(eps=0.0, realizations="mean")
    _, Y, _, sim_ids, _, stats = build_training_arrays(condensed_h5, config=config)
    assert np.isfinite(Y).all()
    assert "sim3" in sim_ids
    assert [(sim.sim, sim.category) for sim in stats.skipped] == [("sim5", "non_finite")]


def test_no_row_left_is_an_error_with_its_counts(condensed_h5: Path) -> None:
    with h5py.File(condensed_h5, "a") as h5:
        for sim in h5["sims"].values():
            sim["cl/dl_ksz"][0] = 0.0
    with pytest.raises(NoUsableSimulationsError, match=f"skipped_non_finite {N}") as caught:
        build_training_arrays(condensed_h5, config=BuildXYConfig(eps=0.0, realizations="mean"))
    assert [sim.sim for sim in caught.value.stats.skipped] == sorted(f"sim{i}" for i in range(N))


def test_how_many_were_averaged_is_stored_beside_the_rows(condensed_h5: Path) -> None:
    share_parameters(condensed_h5, *GROUPS)
    assert build_and_write_training(condensed_h5, config=MEAN) == N
    with h5py.File(condensed_h5) as h5:
        group = h5["training"]
        averaged = group["realizations_averaged"][()]
        assert averaged.sum() == group.attrs["build_processed"] == N
        assert len(averaged) == group.attrs["number_of_samples"] == N - 3
        stamp = json.loads(h5.attrs["reionemu_stages"])["training_set"]
        assert stamp["realizations"] == "mean"
    X, Y, _ = load_training_arrays(condensed_h5)
    assert len(X) == len(Y) == N - 3
    build_and_write_training(condensed_h5)
    with h5py.File(condensed_h5) as h5:
        assert "realizations_averaged" not in h5["training"]
        assert "realizations" not in json.loads(h5.attrs["reionemu_stages"])["training_set"]


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"realizations.*'means' \(did you mean 'mean'\?\)"):
        BuildXYConfig(realizations="means")
