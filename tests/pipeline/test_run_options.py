"""The TOML file: every option of every configuration is reachable, and nothing else is accepted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reionemu import pipeline
from reionemu.data.dataloaders import DataLoaderConfig
from reionemu.errors import ConfigError
from reionemu.pipeline.options import (
    CondenseOptions,
    ModelOptions,
    OptimizerOptions,
    RunPaths,
    SuiteOptions,
    TuningOptions,
)
from reionemu.simio import BuildXYConfig, ClConfig, CondenseConfig
from reionemu.training.kfold_cv import KFoldConfig
from reionemu.training.train_loop import FitConfig

HEAD = '[run]\nname = "a"\nraw = "raw"\ndataset = "d.h5"\n'
TABLES = {
    "condense": CondenseOptions(overwrite=False, require_obs_and_pk=False, sim_prefix="run"),
    "spectra": ClConfig(7, 500.0, False, "s", "bandpower", None, "none", True, 1e-3),
    "training_set": BuildXYConfig(
        "s", "p", "c", ("kb_zre", "b0_zre"), "cl_ksz", "log10", 1e-20, "mean"
    ),
    "suite": SuiteOptions("own", False),
    "dataloader": DataLoaderConfig(8, 7, False, False, True),
    "model": ModelOptions("four-param", 11, 3, "tanh", 0.3),
    "optimizer": OptimizerOptions("adam", 0.01, 0.1),
    "fit": FitConfig(17, "auto", 5, 2.0, 9),
    "kfold": KFoldConfig(3, 8, True),
    "tuning": TuningOptions(3, 1, 9, Path("ray"), ("gp", "ensemble"), "local"),
}


def toml_value(value):
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return f'"{value}"' if isinstance(value, (str, Path)) else repr(value)


def load(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(HEAD + text)
    return pipeline.load_run_options(path)


@pytest.mark.parametrize("name", TABLES)
def test_every_option_is_reachable(tmp_path, name):
    wanted = TABLES[name]
    defaults = type(wanted)()
    lines = [f"[{name}]"]
    for field in dataclasses.fields(wanted):
        if field.name == "edges":  # not beside nbins and ell_cut
            continue
        value = getattr(wanted, field.name)
        assert value != getattr(defaults, field.name), f"{field.name} must differ to be tested"
        lines.append(f"{field.name} = {toml_value(value)}")
    options = load(tmp_path, "\n".join(lines))
    holder = options if hasattr(options, name) else options.training
    assert getattr(holder, name) == wanted


def test_edges_are_reachable(tmp_path):
    options = load(tmp_path, '[spectra]\nestimator = "bandpower"\nedges = [1000, 2500.5]')
    assert options.spectra == ClConfig(estimator="bandpower", edges=(1000.0, 2500.5))


def test_the_tables_cover_every_configuration():
    condensed = {f.name for f in dataclasses.fields(CondenseConfig)}
    assert condensed <= {f.name for f in dataclasses.fields(CondenseOptions)}
    assert {type(config).__name__ for config in TABLES.values()} >= {
        "ClConfig", "BuildXYConfig", "DataLoaderConfig", "FitConfig", "KFoldConfig",
    }  # fmt: skip


def test_paths_are_relative_to_the_file(tmp_path):
    options = load(tmp_path, "")
    assert options.paths == RunPaths(
        "a", tmp_path / "raw", tmp_path / "d.h5", tmp_path / "artifacts", None
    )


def test_defaults_of_a_partial_table_are_those_of_the_recipe(tmp_path):
    fit = load(tmp_path, "[fit]\ngradient_clipping = 1\n").training.fit
    assert fit == FitConfig(1000, "cpu", 150, 1.0, 42)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fit]\nepoch = 3", r"\[fit\].*'epoch' \(did you mean 'epochs'\?\)"),
        ("[fitt]\nepochs = 3", r"'fitt' \(did you mean 'fit'\?\)"),
        ('[fit]\nepochs = "many"', r"\[fit\].*epochs"),
        ("[fit]\nepochs = -1", r"\[fit\].*epochs must be a whole number >= 0"),
        ("[spectra]\nnbins = 2.5", r"\[spectra\].*nbins"),
        ('[model]\nname = "mcdropout"', r"did you mean 'mc-dropout'"),
        ("[split]\ntrain = 1.0", "needs a part 'val'"),
        ('[split]\ntrain = "most"\nval = 0.1', r"\[split\].train must be a number"),
        ("[tuning]\nnum_samples = 0", "num_samples must be a whole number >= 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_run_table_is_needed(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[fit]\nepochs = 3\n")
    with pytest.raises(ConfigError, match=r"the table \[run\].* is missing"):
        pipeline.load_run_options(path)
    path.write_text('[run]\nname = "a"\n')
    with pytest.raises(ConfigError, match="raw"):
        pipeline.load_run_options(path)
