"""Coordinates of emulators: their range, their derivatives, and what cannot be one."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import ConfigError, DatasetError, RecordError
from reionemu.models.inputs import Inputs
from reionemu.models.width import LinearTheory
from reionemu.parameters import PARAMETER_NAMES

LOW, HIGH = np.array([6.0, 0.1, 0.1, 0.4]), np.array([10.0, 0.9, 2.0, 0.8])
THETA = np.random.default_rng(5).uniform(LOW, HIGH, (40, 4))


@pytest.mark.parametrize("coordinates", ["physical", "plain"])
def test_the_points_fill_minus_one_to_one(coordinates):
    x = Inputs.over(THETA, PARAMETER_NAMES, coordinates)(THETA)
    np.testing.assert_allclose(x.min(axis=0), -1, atol=1e-12)
    np.testing.assert_allclose(x.max(axis=0), 1, atol=1e-12)


def test_physical_coordinates_are_the_default_where_they_can_be():
    assert Inputs.over(THETA, PARAMETER_NAMES).coordinates == "physical"
    assert Inputs.over(THETA[:, :3], PARAMETER_NAMES[:3]).coordinates == "plain"
    assert Inputs.over(THETA, PARAMETER_NAMES[::-1]).coordinates == "plain"


def test_plain_coordinates_are_logarithms_where_those_are_natural():
    """The middle of kb and b0 is the geometric one, of zmean and alpha the arithmetic one."""
    ends = np.stack([LOW, HIGH])
    inputs = Inputs.over(ends, PARAMETER_NAMES, "plain")
    middle = np.concatenate([ends[:, :2].mean(axis=0), np.sqrt(ends[:, 2:].prod(axis=0))])
    np.testing.assert_allclose(inputs(middle[None]), 0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    unit=st.lists(st.floats(-0.2, 1.2), min_size=4, max_size=4),
    coordinates=st.sampled_from(["physical", "plain"]),
)
def test_the_jacobian_is_that_of_finite_differences(unit, coordinates):
    inputs = Inputs.over(THETA, PARAMETER_NAMES, coordinates)
    theta = np.maximum(LOW + np.array([unit]) * (HIGH - LOW), 0.02)
    found = inputs.jacobian(theta)[0]
    for i in range(4):
        shift = np.zeros(4)
        shift[i] = 1e-6
        expected = (inputs(theta + shift) - inputs(theta - shift))[0] / 2e-6
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-5, atol=1e-6)


def test_coordinates_do_not_depend_on_what_else_is_asked():
    inputs = Inputs.over(THETA, PARAMETER_NAMES)
    rows = np.concatenate([inputs(THETA[i : i + 1]) for i in range(len(THETA))])
    np.testing.assert_allclose(inputs(THETA), rows, rtol=1e-12, atol=1e-13)


def test_another_cosmology_is_another_width():
    theory = LinearTheory(sigma8=0.9)
    one, two = (
        Inputs.over(THETA, PARAMETER_NAMES),
        Inputs.over(THETA, PARAMETER_NAMES, cosmology=theory),
    )
    assert two.low[3] - one.low[3] == pytest.approx(np.log(0.9 / 0.812))
    assert two.low[:3] == pytest.approx(one.low[:3])


def test_what_cannot_be_a_coordinate_is_refused():
    constant, negative = THETA.copy(), THETA.copy()
    constant[:, 1], negative[3, 2] = 0.5, -1.0
    with pytest.raises(DatasetError, match=r"alpha_zre is 0.5 in every row"):
        Inputs.over(constant, PARAMETER_NAMES)
    with pytest.raises(DatasetError, match="kb_zre must be positive; in row 3 it is -1"):
        Inputs.over(negative, PARAMETER_NAMES)
    with pytest.raises(DatasetError, match="no simulations"):
        Inputs.over(THETA[:0], PARAMETER_NAMES)
    with pytest.raises(DatasetError, match=r"shape \(40, 4\).*of which there are none"):
        Inputs.over(THETA, ())
    with pytest.raises(DatasetError, match=r"parameters of 1 simulation.*row 3"):
        Inputs.over(np.where(negative < 0, np.nan, negative), PARAMETER_NAMES)
    with pytest.raises(ConfigError, match="physical coordinates need the parameters zmean_zre"):
        Inputs.over(THETA[:, :3], PARAMETER_NAMES[:3], "physical")
    with pytest.raises(ConfigError, match="did you mean 'plain'"):
        Inputs.over(THETA, PARAMETER_NAMES, "plane")


@pytest.mark.parametrize("coordinates", ["physical", "plain"])
def test_a_record_is_read_back(coordinates):
    inputs = Inputs.over(THETA, PARAMETER_NAMES, coordinates, LinearTheory(sigma8=0.8))
    again = Inputs.from_mapping(inputs.to_mapping())
    assert again == inputs
    np.testing.assert_array_equal(again(THETA), inputs(THETA))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("low", [0.0] * 3),
        ("high", None),
        ("high", [-9.0] * 4),
        ("low", [float("nan")] * 4),
        ("high", [float("inf")] * 4),
        ("low", ["a"] * 4),
        ("low", [-(10**400)] * 4),
        ("coordinates", "polar"),
        ("coordinates", None),
        ("names", ["zmean_zre", "b0_zre", "alpha_zre", "kb_zre"]),
        ("names", 4),
        ("cosmology", {"sigma8": "high"}),
        ("cosmology", {"sigma8": float("nan")}),
        ("cosmology", {"h": -0.7}),
        ("cosmology", {"omega_m": 0.0}),
        ("cosmology", {"omega_b": 0.5}),
        ("cosmology", None),
    ],
)
def test_a_record_of_something_else_is_refused(key, value):
    record = copy.deepcopy(Inputs.over(THETA, PARAMETER_NAMES).to_mapping())
    with pytest.raises(RecordError, match="inputs of the model are not usable"):
        Inputs.from_mapping({**record, key: value})
    del record[key]
    with pytest.raises(RecordError):
        Inputs.from_mapping(record)
