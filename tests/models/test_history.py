"""Models of histories, trained on histories that follow from a formula and noise."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import ndtr

from reionemu.errors import ConfigError, DatasetError, RecordError
from reionemu.models.history import HistoryModel, fit_history
from reionemu.models.history.fit import _normal_matrix, _solve
from reionemu.models.history.spread import MODES
from reionemu.models.history.surface import terms
from reionemu.models.inputs import Inputs
from reionemu.models.width import LinearTheory
from reionemu.parameters import PARAMETER_NAMES
from reionemu.simulation.cosmology import Cosmology
from reionemu.simulation.history import optical_depth

LOW, HIGH = np.array([7.0, 0.1, 0.1, 0.1]), np.array([9.0, 0.9, 2.0, 0.8])
Z = np.linspace(5, 20, 26)
FINE = np.arange(5, 25, 1 / 32)


class Suite(NamedTuple):
    theta: np.ndarray
    x_hi: np.ndarray
    tau: np.ndarray


def truth(theta: np.ndarray, z: np.ndarray, error: np.ndarray | None = None) -> np.ndarray:
    """x_HI, shape (n, k), of almost Gaussian distributions of redshifts, skewed by scale."""
    raw = LinearTheory().coordinates(theta)
    nu = (z - theta[:, :1]) / np.exp(raw[:, 3:])
    t = 1.05 * nu - 0.1 - 0.2 * raw[:, 1:2] * np.log(np.cosh(nu)) / (1 + nu**2) ** 0.5
    if error is not None:
        t = t + error[:, :1] + error[:, 1:2] * t
    return ndtr(t)


def suite(n: int, seed: int = 0, noise: tuple[float, float] = (0.0, 0.0)) -> Suite:
    rng = np.random.default_rng(seed)
    theta = LOW + (HIGH - LOW) * rng.random((n, 4))
    error = rng.normal(size=(n, 2)) * noise
    fine = truth(theta, FINE, error)
    tau = np.array([optical_depth(FINE, 1 - x, Cosmology())[-1] for x in fine])
    return Suite(theta, truth(theta, Z, error), tau)


def train(some: Suite) -> tuple[HistoryModel, object]:
    inputs = Inputs.over(some.theta, PARAMETER_NAMES)
    return fit_history(some.theta, Z, some.x_hi, some.tau, inputs)


@pytest.fixture(scope="module")
def quiet() -> HistoryModel:
    return train(suite(200))[0]


@pytest.fixture(scope="module")
def noisy() -> HistoryModel:
    """Of simulations with errors of t = c0 + c1 t."""
    return train(suite(300, 1, (0.02, 0.03)))[0]


def inside(n: int, seed: int = 5) -> np.ndarray:
    return LOW + (HIGH - LOW) * np.random.default_rng(seed).uniform(0.05, 0.95, (n, 4))


def test_accuracy_at_points_not_seen(quiet):
    """A smooth suite without noise: only the fit is tested."""
    held_out = suite(100, 7)
    error = np.abs(quiet.predict(held_out.theta, Z)[0] - held_out.x_hi)
    assert np.quantile(error, 0.99) < 5e-4
    assert error.max() < 1e-3
    assert np.quantile(np.abs(quiet.tau(held_out.theta)[0] / held_out.tau - 1), 0.95) < 1e-3


def test_tau_is_the_integral_of_the_history(quiet):
    """To 0.1%, since both come from one curve."""
    theta = inside(20)
    x_hi, _ = quiet.predict(theta, FINE)
    integral = [optical_depth(FINE, 1 - x, Cosmology())[-1] for x in x_hi]
    np.testing.assert_allclose(quiet.tau(theta)[0], integral, rtol=1e-3)


@pytest.mark.parametrize("n", [6, 12, 30])
def test_few_simulations(n):
    """A poor model knows that it is one."""
    model, _ = train(suite(n, 3))
    held_out = suite(60, 8)
    x_hi, std = model.predict(held_out.theta, Z)
    relevant = (x_hi > 0.01) & (x_hi < 0.99)
    scores = (x_hi - held_out.x_hi)[relevant] / std[relevant]
    assert np.mean(scores**2) < 4
    assert np.abs(x_hi - held_out.x_hi).max() < 0.1


@pytest.mark.parametrize("model", ["quiet", "noisy"])
def test_histories_are_possible(model, request):
    model = request.getfixturevalue(model)
    wide = LOW + (HIGH - LOW) * np.random.default_rng(1).uniform(-0.1, 1.3, (200, 4)).clip(0.01)
    z = np.array([-50.0, 0.0, *np.linspace(4, 25, 300), 1e3, 1e300])
    x_hi, std = model.predict(wide, z)
    assert (np.diff(x_hi, axis=1) >= 0).all()
    assert (x_hi[:, 0] < 1e-12).all()
    assert (x_hi[:, -2:] == 1).all()
    assert np.isfinite(std).all()
    assert (std >= 0).all()


def test_prediction_depends_on_nothing_else(noisy):
    theta, z = inside(3000), np.array([9.0, 6.0, 7.5])
    x_hi, std = noisy.predict(theta, z)
    for got, expected in zip(noisy.predict(theta[7:8], z[::-1]), (x_hi, std), strict=True):
        np.testing.assert_allclose(got[:, ::-1], expected[7:8], rtol=1e-11)
    assert noisy.predict(theta[:0], z)[0].shape == (0, 3)
    assert noisy.predict(theta[:2], [])[0].shape == (2, 0)


def test_half_and_duration_are_those_of_the_curve(noisy):
    theta = inside(20)
    half, duration = noisy.z50(theta)[0], noisy.duration(theta, (0.9, 0.2))[0]
    for i in range(20):
        z = np.linspace(half[i] - 8, half[i] + 8, 20_001)
        x_hi = noisy.predict(theta[i : i + 1], z)[0][0]
        assert np.interp(0.5, x_hi, z) == pytest.approx(half[i], abs=1e-5)
        width = np.interp(0.9, x_hi, z) - np.interp(0.2, x_hi, z)
        assert width == pytest.approx(duration[i], abs=1e-4)
    assert noisy.duration(theta, (0.2, 0.9))[0] == pytest.approx(-duration)


def test_errors_are_those_of_simulations(noisy):
    held_out = suite(400, 11, (0.02, 0.03))
    np.testing.assert_allclose(np.median(noisy.errors(held_out.theta)[:, 0]), 0.02, rtol=0.25)
    x_hi, std = noisy.predict(held_out.theta, Z)
    relevant = (x_hi > 0.01) & (x_hi < 0.99)
    scores = np.abs((x_hi - held_out.x_hi)[relevant] / std[relevant])
    for sigma, expected in ((1, 0.683), (2, 0.954), (3, 0.997)):
        assert np.mean(scores < sigma) == pytest.approx(expected, abs=0.05)
    tau, tau_std = noisy.tau(held_out.theta)
    assert np.mean(((tau - held_out.tau) / tau_std) ** 2) == pytest.approx(1, abs=0.3)


def test_standard_deviations_of_half_and_duration(noisy):
    """t = nu' (1 + c1) + c0 where nu' is t without errors: of 0.5 and of both quartiles."""
    rng = np.random.default_rng(12)
    theta = np.repeat(inside(8), 200, axis=0)
    error = rng.normal(size=(len(theta), 2)) * (0.02, 0.03)
    z = np.arange(2, 16, 0.01)
    x_hi = truth(theta, z, error)
    half, high, low = (
        np.array([np.interp(level, x, z) for x in x_hi]).reshape(8, 200)
        for level in (0.5, 0.75, 0.25)
    )
    one = theta[::200]
    np.testing.assert_allclose(noisy.z50(one)[1], half.std(axis=1), rtol=0.4)
    np.testing.assert_allclose(noisy.duration(one)[1], (high - low).std(axis=1), rtol=0.6)


def test_out_of_fold_scores():
    some = suite(300, 1, (0.02, 0.03))
    model, residuals = train(some)
    assert residuals.mean.shape == residuals.std.shape == residuals.noise.shape == (300, len(MODES))
    scores = -residuals.mean / residuals.total
    np.testing.assert_allclose((scores**2).mean(axis=0), 1, atol=0.15)
    error = np.random.default_rng(1)
    error.random((300, 4))
    c = error.normal(size=(300, 2))
    wide = model.inputs.cosmology.coordinates(some.theta)[:, 3] > np.log(0.5)
    assert np.corrcoef(scores[wide, 0], c[wide, 0])[0, 1] > 0.8
    assert np.corrcoef(scores[wide, 1], c[wide, 1])[0, 1] > 0.8
    assert np.corrcoef(scores[:, 3], c[:, 0])[0, 1] < -0.5  # a higher x_HI is a later history


def test_draws_scatter_as_predicted(noisy):
    theta, rng = inside(6), np.random.default_rng(0)
    normals = rng.multivariate_normal(np.zeros(4), noisy.spread.correlation, 4000)
    x_hi, tau = noisy.draw(theta, Z, normals)
    mean, std = noisy.predict(theta, Z)
    relevant = (mean > 0.02) & (mean < 0.98)
    np.testing.assert_allclose(x_hi.std(axis=0)[relevant], std[relevant], rtol=0.1)
    np.testing.assert_allclose(tau.std(axis=0), noisy.tau(theta)[1], rtol=0.1)
    assert (np.diff(x_hi, axis=2) >= 0).all()
    some = noisy.draw(theta, Z, np.broadcast_to(normals[:9, None], (9, 6, 4)))
    np.testing.assert_array_equal(some[0], x_hi[:9])
    none = noisy.draw(theta, Z, np.zeros((1, 4)))
    np.testing.assert_allclose(none[0][0], mean, atol=1e-12)
    np.testing.assert_allclose(none[1][0], noisy.tau(theta)[0])


def test_gradients(noisy):
    theta, z, h = inside(30), np.linspace(5.5, 11, 12), 1e-5
    exact, exact_tau = noisy.gradient(theta, z), noisy.gradient_tau(theta)
    for j in range(4):
        step = h * np.eye(4)[j]
        rise = noisy.predict(theta + step, z)[0] - noisy.predict(theta - step, z)[0]
        np.testing.assert_allclose(exact[..., j], rise / (2 * h), atol=2e-5 * abs(exact).max())
        rise = noisy.tau(theta + step)[0] - noisy.tau(theta - step)[0]
        np.testing.assert_allclose(
            exact_tau[:, j], rise / (2 * h), atol=2e-4 * abs(exact_tau).max()
        )


def test_gradient_where_slopes_are_held(quiet):
    """Far outside, slopes are at their least, and do not change."""
    far = Inputs.over(inside(50), PARAMETER_NAMES)
    bent = quiet.curve.coefficients.copy()
    bent[5, 0] = -3
    arrays = {**quiet.arrays(), "curve_coefficients": bent}
    model = HistoryModel.from_record({"inputs": far.to_mapping()}, arrays)
    theta, z, h = inside(10), np.linspace(5.5, 11, 12), 1e-5
    exact = model.gradient(theta, z)
    for j in range(4):
        step = h * np.eye(4)[j]
        rise = model.predict(theta + step, z)[0] - model.predict(theta - step, z)[0]
        np.testing.assert_allclose(exact[..., j], rise / (2 * h), atol=2e-5 * abs(exact).max())


def test_leave_one_out_is_that():
    """In closed form against fits without the simulation."""
    rng = np.random.default_rng(0)
    u, m = rng.uniform(-1, 1, (25, 4)), 3
    design = rng.normal(size=(25, 5, m))
    normal = np.swapaxes(design, 1, 2) @ design
    moment = np.einsum("nkj,nk->nj", design, rng.normal(size=(25, 5)))
    basis = terms(u, 1)
    _, shapes = _solve(basis, _normal_matrix(basis, normal), normal, moment, 0.1)
    for i in (0, 7, 24):
        rest = np.arange(25) != i
        matrix = _normal_matrix(basis[rest], normal[rest])
        values, _ = _solve(basis[rest], matrix, normal[rest], moment[rest], 0.1)
        np.testing.assert_allclose(shapes.left_out[i], basis[i] @ values.T, rtol=1e-9)


def test_record(noisy):
    again = HistoryModel.from_record(noisy.options(), noisy.arrays())
    theta = inside(5)
    for name in ("tau", "z50", "errors"):
        np.testing.assert_array_equal(getattr(again, name)(theta), getattr(noisy, name)(theta))
    np.testing.assert_array_equal(again.predict(theta, Z), noisy.predict(theta, Z))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("curve_coefficients", np.zeros((18, 7))),
        ("curve_coefficients", np.zeros((3, 15))),
        ("curve_coefficients", np.zeros((18, 70))),
        ("curve_root", np.zeros((15, 14))),
        ("depth_coefficients", np.full((1, 15), np.nan)),
        ("depth_root", np.array("x")),
        ("error_log_std", np.zeros(3)),
        ("error_slope", np.full((4, 4), np.inf)),
        ("error_correlation", 2 * np.eye(4)),
        ("error_correlation", None),
    ],
)
def test_records_that_are_none(quiet, name, value):
    arrays = quiet.arrays()
    arrays[name] = value
    if value is None:
        del arrays[name]
    with pytest.raises(RecordError, match="histories is not usable"):
        HistoryModel.from_record(quiet.options(), arrays)


def test_records_with_other_inputs(quiet):
    with pytest.raises(RecordError, match="inputs"):
        HistoryModel.from_record({}, quiet.arrays())
    plain = Inputs.over(inside(20), PARAMETER_NAMES, "plain")
    with pytest.raises(RecordError, match="physical"):
        HistoryModel.from_record({"inputs": plain.to_mapping()}, quiet.arrays())


@pytest.mark.parametrize("z", [[np.nan], [np.inf, 7], [[7.0]], 7.0, ["a"]])
def test_impossible_redshifts(quiet, z):
    with pytest.raises(ConfigError, match="z must be"):
        quiet.predict(inside(2), z)


def test_impossible_requests(quiet):
    for levels in ((0.5,), (0, 0.5), (0.5, 1.0), (np.nan, 0.5)):
        with pytest.raises(ConfigError, match="levels"):
            quiet.duration(inside(2), levels)
    with pytest.raises(ConfigError, match="normals"):
        quiet.draw(inside(2), Z, np.zeros((5, 3)))
    with pytest.raises(ConfigError, match="normals"):
        quiet.draw(inside(2), Z, np.zeros((5, 3, 4)))


def spoiled(what: str) -> dict[str, np.ndarray]:
    some = suite(20, 4)
    arrays = {"theta": some.theta, "z": Z, "x_hi": some.x_hi.copy(), "tau": some.tau.copy()}
    if what == "x_hi above 1":
        arrays["x_hi"][3, 4] = 1.01
    elif what == "x_hi NaN":
        arrays["x_hi"][5, 0] = np.nan
    elif what == "tau 0":
        arrays["tau"][6] = 0
    elif what == "shape":
        arrays["x_hi"] = arrays["x_hi"][:, 1:]
    elif what == "late":
        arrays["z"], arrays["x_hi"] = Z[-4:], arrays["x_hi"][:, -4:]
    elif what == "coarse":
        arrays["z"] = np.array([2.0, 30.0])
        arrays["x_hi"] = np.tile([0.0, 1.0], (20, 1))
    elif what == "none":
        arrays["z"], arrays["x_hi"] = Z[:0], arrays["x_hi"][:, :0]
    elif what == "few":
        arrays = {k: v if k == "z" else v[:5] for k, v in arrays.items()}
    return arrays


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("x_hi above 1", "x_hi is not from 0 to 1 in 1 of 20 rows, of which row 3"),
        ("x_hi NaN", "row 5 is the first"),
        ("tau 0", "tau is not positive and finite in 1 of 20"),
        ("shape", r"got \(20, 4\), \(20, 25\) and \(20,\)"),
        ("late", "do not cover reionization"),
        ("coarse", "too far apart"),
        ("none", "no redshifts"),
        ("few", "at least 6"),
    ],
)
def test_data_that_cannot_be_learned_from(what, message):
    arrays = spoiled(what)
    inputs = Inputs.over(suite(20, 4).theta, PARAMETER_NAMES)
    with pytest.raises(DatasetError, match=message):
        fit_history(**arrays, inputs=inputs)


def test_plain_inputs_do_not_do():
    some = suite(20, 4)
    inputs = Inputs.over(some.theta, PARAMETER_NAMES, "plain")
    with pytest.raises(ConfigError, match="physical"):
        fit_history(some.theta, Z, some.x_hi, some.tau, inputs)


def test_redshifts_in_any_order():
    some, order = suite(40, 4), np.random.default_rng(0).permutation(len(Z))
    inputs = Inputs.over(some.theta, PARAMETER_NAMES)
    one, _ = train(some)
    other, _ = fit_history(some.theta, Z[order], some.x_hi[:, order], some.tau, inputs)
    np.testing.assert_allclose(one.curve.coefficients, other.curve.coefficients, atol=1e-6)


def test_prediction_needs_numpy_alone(quiet):
    """In another process, since here everything is loaded."""
    code = (
        "import sys, reionemu.models.history.model\n"
        "print([name for name in ('torch', 'scipy', 'h5py') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
