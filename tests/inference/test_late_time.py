"""The template of the late-time kSZ effect, and the program that makes it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from reionemu.errors import ConfigError
from reionemu.inference.late_time import DEFAULT_PRIOR, LateTimeTemplate

TOOL = Path(__file__).parents[2] / "tools" / "late_time_ksz.py"


def test_it_is_1_at_3000_and_goes_through_its_table() -> None:
    template = LateTimeTemplate()
    assert template.at([3000.0]) == pytest.approx([1.0], abs=1e-12)
    np.testing.assert_allclose(template.at(template.ell), template.shape, rtol=1e-12)
    halfway = np.sqrt(template.ell[40] * template.ell[41])
    mean = np.sqrt(template.shape[40] * template.shape[41])
    assert template.at([halfway])[0] == pytest.approx(mean, rel=1e-9)


def test_it_rises_smoothly_less_and_less() -> None:
    template = LateTimeTemplate()
    ell = np.geomspace(110, 19000, 40)
    slope = np.diff(np.log(template.at(ell))) / np.diff(np.log(ell))
    assert (slope > 0.1).all()
    assert (np.diff(slope) < 0.01).all()
    # Zhang, Pen & Trac 2004 (MNRAS 347, 1224) find D_ell ~ ell^0.23 to ell^0.28 between 3000 and
    # 9000 in gas, which is smoother than matter.
    steepness = np.log(template.at([9000])[0]) / np.log(3)
    assert 0.25 < steepness < 0.5


@pytest.mark.parametrize("ell", [99.0, 20001.0, np.nan, -3.0])
def test_it_is_not_continued_beyond_its_table(ell: float) -> None:
    with pytest.raises(ConfigError, match="known from ell = 100 to 20000"):
        LateTimeTemplate().at([3000.0, ell])


def test_the_prior_reaches_from_no_loss_of_gas_to_half() -> None:
    mean, std = DEFAULT_PRIOR
    matter = 3.61  # what the tool computes
    assert mean == pytest.approx(matter * 2 / 3, abs=0.05)
    assert mean + 2 * std > matter > mean + std
    assert mean - std < matter / 2


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("late_time_ksz", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_small_scales_are_lit_by_the_bulk_velocity(tool: ModuleType) -> None:
    """At high k, P_q = 2/3 <v^2> P(k): two of the three directions are transverse."""
    power = tool.Power(tool.Cosmology())
    k, z = np.array([20.0]), 1.0
    q = np.geomspace(1e-4, 50, 2000)
    variance = np.trapezoid(q * power.linear(q, z), np.log(q)) / (2 * np.pi**2)
    expected = 2 / 3 * variance * power.nonlinear(k, z)
    np.testing.assert_allclose(tool.momentum_power(k, z, power), expected, rtol=0.03)


@pytest.mark.slow
def test_linear_gas_is_the_symmetric_ostriker_vishniac_integral(tool: ModuleType) -> None:
    """With one spectrum its kernel is (1 - mu^2) k^2 (k - 2 k' mu)^2 / (2 k'^2 p^4).

    Vishniac 1987 (ApJ 322, 597), as in Ma & Fry 2002.
    """
    power = tool.Power(tool.Cosmology())
    k, z = 0.3, 3.0
    mu, weight = np.polynomial.legendre.leggauss(400)
    q = np.geomspace(1e-4, 50, 2000)[:, None]
    p = np.sqrt(k**2 + q**2 - 2 * k * q * mu)
    kernel = (1 - mu**2) * (k * (k - 2 * q * mu)) ** 2 / (2 * q**2 * p**4)
    over_mu = (kernel * power.linear(p, z)) @ weight
    symmetric = np.trapezoid(q[:, 0] ** 3 * power.linear(q[:, 0], z) * over_mu, np.log(q[:, 0])) / (
        4 * np.pi**2
    )
    found = tool.momentum_power(np.array([k]), z, power, is_linear=True)
    np.testing.assert_allclose(found, symmetric, rtol=0.01)


@pytest.mark.slow
def test_the_amplitude_is_that_of_shaw_rudd_and_nagai(tool: ModuleType) -> None:
    """Without cooling about 3 uK^2 at ell = 3000: 1 uK^2, or a third, is what cooling takes."""
    found = tool.late_time_dl(np.array([2900.0, 3000.0, 3100.0]), tool.LIKE_SHAW)[1]
    assert found == pytest.approx(3.0, rel=0.15)


@pytest.mark.slow
def test_the_table_is_what_the_tool_makes(tool: ModuleType) -> None:
    template = LateTimeTemplate()
    ell = np.array([300.0, 1000.0, 3000.0, 10000.0])
    dl = tool.late_time_dl(ell, tool.Cosmology())
    np.testing.assert_allclose(dl / dl[2], template.at(ell), rtol=0.01)
    assert dl[2] == pytest.approx(3.612, rel=0.005)
