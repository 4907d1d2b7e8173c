"""The simulator as it is used by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reionemu.errors import ConfigError, OutOfRangeError
from reionemu.simulation import device
from reionemu.simulation.config import OwnSeeds, SimulationConfig
from reionemu.simulation.result import PUBLISHED_REDSHIFTS
from reionemu.simulation.simulator import Simulator
from reionemu.spectra import ClConfig

TINY = SimulationConfig(box=128.0, n_cells=32)


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(TINY, cache=None, device="cpu", threads=1, realizations=(1, 4), axes=(0, 2))


@pytest.fixture(scope="module")
def result(simulator, theta):
    return simulator.run(**theta)


def test_one_map_for_each_realization_and_axis(result):
    assert [(one.seed, one.axis) for one in result.each] == [(1, 0), (1, 2), (4, 0), (4, 2)]
    assert result.maps.shape == (4, 32, 32)
    assert result.maps.dtype == np.float32
    assert np.isfinite(result.maps).all()
    correlations = np.corrcoef(result.maps.reshape(4, -1))[~np.eye(4, dtype=bool)]
    assert np.abs(correlations).max() < 0.9


def test_histories_are_means(result):
    assert result.z.tolist() == list(PUBLISHED_REDSHIFTS)
    assert len(result.z) == 26
    each = np.array([one.x_m for one in result.each])
    np.testing.assert_allclose(result.x_m, each.mean(0))
    np.testing.assert_allclose(result.x_v, np.mean([one.x_v for one in result.each], axis=0))
    assert result.tau == pytest.approx(np.mean([one.tau for one in result.each]))
    assert np.ptp([one.tau for one in result.each[::2]]) > 0


def test_another_line_of_sight_has_the_same_history(result):
    one, other = result.each[:2]
    np.testing.assert_allclose(one.x_m, other.x_m, atol=1e-3)
    assert one.tau == pytest.approx(other.tau, rel=1e-3)


def test_neutral_fractions_are_neutral_at_first_and_of_volume_or_mass(result, theta):
    assert result.x_v[0] == pytest.approx(0, abs=0.01)
    assert result.x_v[-1] == 1
    # Inside-out: dense gas is ionized first.
    middle = np.searchsorted(result.z, theta["zmean_zre"])
    assert result.x_m[middle] < result.x_v[middle] < 0.95


def test_it_is_reproducible(simulator, result, theta):
    again = Simulator(TINY, cache=None, device="cpu", threads=2).config
    fresh = Simulator(again, cache=None, device="cpu", threads=2, realizations=(4,)).run(**theta)
    np.testing.assert_array_equal(fresh.maps[0], result.maps[2])
    assert fresh.tau == result.each[2].tau


def test_spectra_by_the_published_estimator(result):
    ell, dl = result.dl(ClConfig(ell_cut=500.0, nbins=3))
    assert dl.shape == (4, 3)
    assert np.all(dl > 0)
    assert np.all(np.diff(ell) > 0)
    assert result.theta_max == TINY.theta_max


def test_no_redshifts_are_enough_for_a_map(simulator, result, theta):
    bare = simulator.run(z=(), **theta)
    np.testing.assert_array_equal(bare.maps, result.maps)
    assert bare.x_m.shape == (0,)
    assert bare.each[0].power_21cm.shape == (0, 15, 3)


def test_redshifts_can_be_chosen(simulator, theta):
    result = simulator.run(z=(6.0, 9.0), **theta)
    assert result.x_m.shape == (2,)
    assert result.each[0].power_21cm.shape == (2, 15, 3)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"zmean_zre": 6.9}, OutOfRangeError, "6.9 is outside 7 to 9"),
        ({"b0_zre": 0.0}, ConfigError, "b0_zre must be positive, not 0"),
        ({"kb_zre": -1.0}, ConfigError, "kb_zre must be positive"),
        ({"alpha_zre": float("nan")}, ConfigError, "alpha_zre must be finite"),
        ({"alpha_zre": "much"}, ConfigError, "alpha_zre must be a number, not 'much'"),
        ({"alpha": 1.0}, ConfigError, "unknown key 'alpha' .did you mean 'alpha_zre'"),
    ],
)
def test_impossible_parameters_are_refused(simulator, theta, changes, error, message):
    with pytest.raises(error, match=message):
        simulator.run(**{**theta, **changes})


def test_what_is_missing_is_named(simulator):
    with pytest.raises(ConfigError, match="alpha_zre, kb_zre, b0_zre not given"):
        simulator.run(zmean_zre=8.0)


def test_out_of_range_says_what(simulator, theta):
    with pytest.raises(OutOfRangeError) as caught:
        simulator.zreion(**{**theta, "zmean_zre": 9.5})
    error = caught.value
    found = (error.parameter, error.value, error.low, error.high)
    assert found == ("zmean_zre", 9.5, 7.0, 9.0)


def test_fields(simulator, theta):
    z_re, mass = simulator.zreion(**theta), simulator.density(9.0)
    speed = simulator.velocity(9.0, 0)
    for field in (z_re, mass, speed):
        assert field.shape == (32, 32, 32)
        assert field.dtype == np.float32
    assert z_re.mean(dtype=float) == pytest.approx(theta["zmean_zre"], rel=1e-5)
    assert mass.mean(dtype=float) == pytest.approx(1, abs=1e-6)
    # Dense places are ionized first, and velocities are hundreds of km/s.
    assert np.corrcoef(z_re.ravel(), mass.ravel())[0, 1] > 0.5
    assert 30 < speed.std() < 300


def test_memory_is_known_before_anything_is_prepared():
    simulator = Simulator("reference", cache=None, device="cpu")
    assert simulator.memory.run_bytes > 5e9
    assert simulator._open == {}


def test_each_row_may_have_its_own_seed(theta):
    simulator = Simulator(TINY, cache=None, device="cpu", threads=1, realizations=OwnSeeds(2))
    assert simulator.seeds == (OwnSeeds(2).seed_of(0),)
    assert simulator.run(**theta).each[0].seed == OwnSeeds(2).seed_of(0)


def test_the_cache_is_where_it_is_asked_to_be(tmp_path, monkeypatch, theta):
    monkeypatch.setenv("REIONEMU_CACHE", str(tmp_path / "from_environment"))
    for cache, folder in (("auto", "from_environment"), (tmp_path / "given", "given")):
        Simulator(TINY, cache=cache, device="cpu", threads=1, n_cells=16).prepare()
        assert len(list((tmp_path / folder / "simulations").glob("[!.]*"))) == 1


def test_progress_is_told(theta):
    told = []
    simulator = Simulator(
        TINY, cache=None, device="cpu", n_cells=16, progress=lambda *step: told.append(step)
    )
    simulator.prepare()
    assert [done for _, done, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][1] == told[-1][2]


def test_apples_devices_are_passed_over(monkeypatch):
    monkeypatch.setattr(device, "resolve_device", lambda name: torch.device("mps"))
    assert device.usable_device("auto") == torch.device("cpu")


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="the device 'cuda:99' cannot be used here"):
        Simulator(TINY, cache=None, device="cuda:99")
