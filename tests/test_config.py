"""Building configurations from mappings, and what they refuse."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reionemu import BuildXYConfig, ClConfig, DataLoaderConfig, FitConfig, KFoldConfig
from reionemu.config import check_keys, from_mapping, nearest, require_finite, require_int
from reionemu.errors import ConfigError


def test_options_left_out_keep_their_defaults():
    assert from_mapping(FitConfig, {"epochs": 7}, "fit") == FitConfig(epochs=7)


def test_every_option_can_be_given():
    full = {
        "epochs": 3,
        "device": "cpu",
        "early_stopping_patience": 4,
        "gradient_clipping": 0.5,
        "seed": 9,
    }
    assert dataclasses.asdict(from_mapping(FitConfig, full, "fit")) == full


def test_a_list_becomes_the_tuple_that_the_class_wants():
    config = from_mapping(BuildXYConfig, {"param_names": ["alpha_zre", "kb_zre"]}, "x")
    assert config.param_names == ("alpha_zre", "kb_zre")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("epoch", "epochs"), ("gradient_cliping", "gradient_clipping"), ("sed", "seed")],
)
def test_unknown_key_is_refused_with_the_nearest_known_one(wrong, right):
    with pytest.raises(ConfigError) as caught:
        from_mapping(FitConfig, {wrong: 1}, "demo.toml, [fit]")
    message = str(caught.value)
    assert message.startswith("demo.toml, [fit]")
    assert f"unknown key {wrong!r}" in message
    assert f"did you mean {right!r}?" in message


def test_unknown_key_like_no_other_gets_the_list_alone():
    with pytest.raises(ConfigError) as caught:
        from_mapping(KFoldConfig, {"zzzzzz": 1}, "kfold")
    assert "did you mean" not in str(caught.value)
    assert "k, return_histories, seed" in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "mapping", "where"),
    [
        (FitConfig, {"epochs": "many"}, "epochs"),
        (FitConfig, {"epochs": 1.5}, "epochs"),
        (ClConfig, {"overwrite": [1]}, "overwrite"),
        (ClConfig, {"nbins": None}, "nbins"),
        (DataLoaderConfig, {"batch_size": {}}, "batch_size"),
    ],
)
def test_wrong_type_names_the_key(cls, mapping, where):
    with pytest.raises(ConfigError, match=f"here: {where}: "):
        from_mapping(cls, mapping, "here")


@pytest.mark.parametrize(
    ("cls", "mapping"),
    [
        (FitConfig, {"epochs": -1}),
        (FitConfig, {"gradient_clipping": 0}),
        (FitConfig, {"gradient_clipping": math.nan}),
        (FitConfig, {"early_stopping_patience": -2}),
        (FitConfig, {"seed": -1}),
        (DataLoaderConfig, {"batch_size": 0}),
        (DataLoaderConfig, {"seed": -1}),
        (KFoldConfig, {"k": 1}),
        (KFoldConfig, {"seed": -5}),
        (ClConfig, {"nbins": 0}),
        (ClConfig, {"ell_cut": math.inf}),
        (BuildXYConfig, {"eps": -1.0}),
        (BuildXYConfig, {"y_transform": "log"}),
        (BuildXYConfig, {"y_source": "dl"}),
    ],
)
def test_values_out_of_range_are_refused_when_made_and_when_read(cls, mapping):
    (name,) = mapping
    with pytest.raises(ConfigError, match=name):
        cls(**mapping)
    with pytest.raises(ConfigError, match=rf"file\.toml: .*{name}"):
        from_mapping(cls, mapping, "file.toml")


def test_a_mutable_config_changed_for_the_worse_is_refused_when_used():
    config = FitConfig()
    config.epochs = -3
    with pytest.raises(ConfigError, match="epochs"):
        config.validate()


@given(st.integers(-5, 5), st.integers(-5, 5))
def test_whole_numbers_are_compared_with_the_minimum(value, minimum):
    if value >= minimum:
        require_int("C", "n", value, minimum)
        require_int("C", "n", np.int64(value), minimum)
    else:
        with pytest.raises(ConfigError, match=rf"C\.n must be a whole number >= {minimum}"):
            require_int("C", "n", value, minimum)


@pytest.mark.parametrize("value", [True, 2.0, "2", None, [2]])
def test_only_whole_numbers_are_whole_numbers(value):
    with pytest.raises(ConfigError, match=r"C\.n"):
        require_int("C", "n", value, 0)


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (math.nan, {}, "must be finite"),
        (math.inf, {}, "must be finite"),
        (-0.1, {"minimum": 0}, "must be >= 0"),
        (0, {"minimum": 0, "exclusive": True}, "must be > 0"),
        (1, {"minimum": 0, "below": 1}, "must be >= 0 and < 1"),
        ("x", {}, "must be a number"),
        (None, {}, "must be a number"),
    ],
)
def test_numbers_out_of_bounds_say_what_the_bounds_are(value, options, message):
    with pytest.raises(ConfigError, match=message):
        require_finite("C", "x", value, **options)


@pytest.mark.parametrize(
    ("value", "options"),
    [(0, {"minimum": 0}), (1e-300, {"minimum": 0, "exclusive": True}), (0.999, {"below": 1})],
)
def test_numbers_on_the_right_side_of_the_bounds_pass(value, options):
    assert require_finite("C", "x", value, **options) is None


def test_nearest_needs_some_likeness():
    assert nearest("reluu", ["relu", "gelu"]) == " (did you mean 'relu'?)"
    assert nearest("zzz", ["relu", "gelu"]) == ""
    assert nearest(3, ["relu"]) == ""


@given(st.dictionaries(st.sampled_from("abcdef"), st.none()), st.sets(st.sampled_from("abcdef")))
def test_keys_are_refused_exactly_when_one_is_unknown(mapping, known):
    if set(mapping) <= known:
        assert check_keys(mapping, known, "x") is None
    else:
        with pytest.raises(ConfigError, match="x: unknown key"):
            check_keys(mapping, known, "x")
