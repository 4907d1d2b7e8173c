"""The points of a search: whose turn it is, what they may be, and that they are always the same."""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import ConfigError
from reionemu.models.ensemble.options import EnsembleOptions
from reionemu.tuning.families import FAMILIES, draw_points, family_space

some_families = st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=4, unique=True)


def of(points, family):
    """Options of the points of a family, in order."""
    return [point["config"] for point in points if point["family"] == family]


def test_families_take_turns_and_the_process_has_two_points():
    points = draw_points(FAMILIES, 12, seed=1)
    assert [point["family"] for point in points[:8]] == [*FAMILIES, *FAMILIES]
    assert Counter(point["family"] for point in points) == {
        "gp": 2, "ensemble": 4, "mc-dropout": 3, "four-param": 3,
    }  # fmt: skip
    assert of(points, "gp") == [{"coordinates": "physical"}, {"coordinates": "plain"}]


def test_a_space_without_more_points_ends_the_search():
    assert len(draw_points(("gp",), 40, seed=1)) == 2
    assert draw_points(("gp",), 40, 1, ("plain",)) == [
        {"family": "gp", "config": {"coordinates": "plain"}}
    ]


@settings(max_examples=15, deadline=None)
@given(some_families, st.integers(1, 12), st.integers(0, 12), st.integers(0, 2**31))
def test_a_longer_search_goes_on_with_a_shorter_one(families, n, more, seed):
    points = draw_points(families, n + more, seed)
    assert draw_points(families, n, seed) == points[:n]
    assert json.loads(json.dumps(points)) == points  # which is how they come back from the disk


@settings(max_examples=10, deadline=None)
@given(some_families, st.integers(0, 2**31))
def test_points_of_a_family_do_not_depend_on_the_others(families, seed):
    together = draw_points(families, 10, seed)
    for family in families:
        found = of(together, family)
        assert found == of(draw_points((family,), len(found), seed), family)[: len(found)]


@pytest.mark.parametrize("family", ["ensemble", "mc-dropout", "four-param"])
def test_seeds_and_families_have_points_of_their_own(family):
    points = of(draw_points((family,), 6, seed=0), family)
    assert all(a != b for a, b in pairwise(points))
    assert points != of(draw_points((family,), 6, seed=1), family)
    if family != "ensemble":
        other = ({"mc-dropout", "four-param"} - {family}).pop()
        assert points != of(draw_points((other,), 6, seed=0), other)


@pytest.mark.parametrize("family", ["mc-dropout", "four-param"])
def test_networks_are_searched_in_the_published_space(family):
    from reionemu import default_param_space

    published = default_param_space()
    for point in islice(draw_points((family,), 20, seed=2), 20):
        for name, value in point["config"].items():
            assert published[name].is_valid(value)
    missing = published.keys() - family_space(family).keys()
    assert all(not hasattr(published[name], "sample") for name in missing)


def test_points_of_the_ensemble_are_options_of_it():
    for config in of(draw_points(("ensemble",), 20, seed=3), "ensemble"):
        EnsembleOptions(**config)


def test_an_unknown_family_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"did you mean 'ensemble'"):
        draw_points(("gp", "ensembel"), 3, seed=0)


def test_without_ray_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'reionemu\[tune\]'"):
        draw_points(("four-param",), 3, seed=0)
