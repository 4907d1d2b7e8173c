"""Posteriors as ArviZ data and as GetDist samples."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import ConfigError
from reionemu.inference.exports import equal_rows, to_arviz, to_getdist

COVARIANCE = np.array([[0.04, 0.015], [0.015, 0.01]])


def make(weights=None, chains=4):
    """A Gaussian in (zmean, b0) with tau derived; as chains, or as weighted samples."""
    rng = np.random.default_rng(3)
    x = rng.multivariate_normal([8.0, 0.5], COVARIANCE, size=8000).reshape(chains, -1, 2)
    tau = 0.05 + 0.01 * (x[..., 0] - 7)
    columns = {"zmean_zre": x[..., 0], "b0_zre": x[..., 1], "tau": tau}
    return SimpleNamespace(
        names=("zmean_zre", "b0_zre"),
        all_names=tuple(columns),
        low=np.array([7.0, -np.inf]),
        high=np.array([9.0, 0.8]),
        derived={"tau": tau},
        column=columns.__getitem__,
        data=SimpleNamespace(name="a mock", ell=np.array([2e3, 4e3]), dl=np.array([1.0, 0.7]),
                             std=np.array([0.1, 0.07])),
        chains=SimpleNamespace(
            samples=x, log_prob=-x[..., 0], weights=weights, sampler="nested" if weights is not None
            else "emcee", is_converged=True, criterion="asked and found",
        ),
    )  # fmt: skip


def weighted():
    weights = np.random.default_rng(5).exponential(size=(1, 8000)) ** 2
    weights[0, ::10] = 0
    return make(weights / weights.sum(), chains=1)


def test_arviz_has_every_draw_where_it_was():
    posterior = make()
    data = to_arviz(posterior)
    for name in posterior.all_names:
        np.testing.assert_array_equal(data.posterior[name].values, posterior.column(name))
    np.testing.assert_array_equal(data.sample_stats["lp"].values, posterior.chains.log_prob)
    np.testing.assert_array_equal(data.observed_data["dl"].values, [1.0, 0.7])
    np.testing.assert_array_equal(data.observed_data["ell"].values, [2e3, 4e3])
    np.testing.assert_array_equal(data.constant_data["std"].values, [0.1, 0.07])
    assert data.attrs["inference_library"] == "emcee"
    assert data.attrs["is_converged"] == 1
    assert data.attrs["resampled"] == 0


def test_arviz_of_weighted_samples_is_equal_ones_in_fixed_numbers():
    posterior = weighted()
    w = posterior.chains.weights.ravel()
    data = to_arviz(posterior)
    assert data.posterior.sizes == {"chain": 1, "draw": int(np.ceil(1 / np.sum(w**2)))}
    again = to_arviz(posterior)
    for name in posterior.all_names:
        values = posterior.column(name).ravel()
        mean = np.average(values, weights=w)
        std = np.sqrt(np.average((values - mean) ** 2, weights=w))
        found = data.posterior[name].values
        assert found.mean() == pytest.approx(mean, abs=3 * std / np.sqrt(found.size))
        assert found.std() == pytest.approx(std, rel=3 / np.sqrt(2 * found.size))
        np.testing.assert_array_equal(again.posterior[name].values, found)
    # log_prob was made -zmean: rows stay together.
    np.testing.assert_array_equal(data.sample_stats["lp"], -data.posterior["zmean_zre"])
    assert data.attrs["resampled"] == 1


def test_arviz_round_trip_through_a_file(tmp_path):
    import arviz

    posterior = make()
    path = to_arviz(posterior).to_json(str(tmp_path / "posterior.json"))
    read = arviz.from_json(path)
    np.testing.assert_allclose(read.posterior["tau"].values, posterior.column("tau"), rtol=1e-15)


@settings(max_examples=60)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=40).filter(lambda w: sum(w) > 1e-3),
    st.integers(0, 1000),
)
def test_resampling_is_never_off_by_one_and_takes_nothing_of_no_weight(weights, seed):
    w = np.array(weights) / np.sum(weights)
    rows = equal_rows(np.array(weights), seed)
    assert len(rows) == pytest.approx(1 / np.sum(w**2), abs=1)
    counts = np.bincount(rows, minlength=len(w))
    assert np.all(np.abs(counts - len(rows) * w) < 1 + 1e-6)
    assert not counts[w == 0].any()


@pytest.mark.parametrize("posterior", [make(), weighted()], ids=["chains", "weighted"])
def test_getdist_has_the_same_means_and_covariance(posterior):
    samples = to_getdist(posterior)
    w = posterior.chains.weights
    w = None if w is None else w.ravel()
    values = np.array([posterior.column(name).ravel() for name in posterior.all_names])
    np.testing.assert_allclose(
        samples.getMeans(), np.average(values, axis=1, weights=w), rtol=1e-12
    )
    expected = np.cov(values, aweights=w, ddof=0)
    np.testing.assert_allclose(samples.getCov(nparam=3), expected, rtol=1e-3, atol=1e-12)
    np.testing.assert_array_equal(samples.loglikes[:5], values[0][samples_kept(w)][:5])


def samples_kept(w):
    return slice(None) if w is None else w > 0


def test_getdist_knows_names_symbols_and_hard_limits():
    samples = to_getdist(make())
    assert samples.getParamNames().list() == ["zmean_zre", "b0_zre", "tau"]
    assert samples.getParamNames().labels() == [r"\bar{z}", "b_0", r"\tau"]
    assert [info.isDerived for info in samples.getParamNames().names] == [False, False, True]
    assert (samples.ranges.getLower("zmean_zre"), samples.ranges.getUpper("zmean_zre")) == (7, 9)
    assert (samples.ranges.getLower("b0_zre"), samples.ranges.getUpper("b0_zre")) == (None, 0.8)
    assert samples.ranges.getLower("tau") is None


def test_getdist_keeps_chains_apart_so_that_r_minus_one_means_something():
    """R - 1 of equal chains is about their number's inverse; of ones a sigma apart, about one."""
    assert to_getdist(make()).getGelmanRubin() < 0.01
    moved = make()
    moved.chains.samples[..., 0] += 0.2 * np.arange(4)[:, None]  # column() is a view
    expected = np.var([0, 1, 2, 3], ddof=1)  # in sigma
    assert to_getdist(moved).getGelmanRubin() > 0.9 * expected


def test_getdist_prints_and_logs_nothing(capsys):
    from getdist import chains

    root = logging.getLogger()
    before = list(root.handlers), list(root.filters), chains.print_load_details
    to_getdist(weighted())
    assert capsys.readouterr() == ("", "")
    assert (list(root.handlers), list(root.filters), chains.print_load_details) == before


@pytest.mark.parametrize(("export", "package"), [(to_arviz, "arviz"), (to_getdist, "getdist")])
def test_a_package_that_is_missing_is_named(monkeypatch, export, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"needs {package}.*reionemu\[infer\]"):
        export(make())
