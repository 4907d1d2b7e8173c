"""The public surface: which names exist, with what signatures and defaults, and what they load."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import reionemu

_PUBLISHED = """
condense_sim_root CondenseConfig CondenseStats
add_cl_to_condensed_h5 ClConfig
build_training_arrays build_and_write_training BuildXYConfig BuildStats
load_training_arrays make_dataloaders DataLoaderConfig Normalizer
FourParamEmulator MCDropoutEmulator predict_mc enable_dropout_only
fit FitConfig train_one_epoch evaluate evaluate_metrics evaluate_mc_metrics
mse rmse mean_relative_error physical_mean_relative_error
build_four_param_model build_mc_dropout_model build_optimizer
kfold_cross_validate KFoldConfig
default_param_space train_four_param_tune run_tune_four_param
save_artifact create_artifact_dir save_configs save_results save_info save_normalizers
load_normalizers save_model_checkpoint dataset_summary file_fingerprint read_json
"""

PUBLISHED = _PUBLISHED.split()

OURS = [
    "Artifact",
    "BandPowers",
    "Bandpowers",
    "Catalogue",
    "Cosmology",
    "Design",
    "Emulator",
    "History",
    "JointDraws",
    "OutOfRangeError",
    "OwnSeeds",
    "PUBLISHED_SPACE",
    "ParameterSpace",
    "Posterior",
    "Prediction",
    "ReionemuError",
    "ReionemuWarning",
    "Simulation",
    "SimulationConfig",
    "Simulations",
    "Simulator",
    "augment_design",
    "bandpower",
    "bandpower_covariance",
    "catalogue",
    "cross_bandpower",
    "export_artifact",
    "import_artifact",
    "infer",
    "latin_hypercube",
    "load_artifact",
    "load_posterior",
    "one_at_a_time",
    "read_band_powers",
    "read_design",
    "run_campaign",
    "sobol",
    "start_artifact",
    "write_design",
]

ALSO = {
    "reionemu.data.normalization": (
        "fit_standardizer transform_standardizer inverse_transform_standardizer"
    ),
    "reionemu.simio": "condense_sim_root add_cl_to_condensed_h5 build_and_write_training",
    "reionemu.training": "fit FitConfig kfold_cross_validate KFoldConfig build_optimizer",
    "reionemu.tuning": "default_param_space train_four_param_tune run_tune_four_param",
    "reionemu.artifact": "save_artifact load_normalizers read_json",
    "reionemu.tuning.four_param": "resolve_device run_tune_four_param",
    "reionemu.models.experimental": (
        "POCEmulatorThreeParams POCEmulatorFourParamsV1 POCEmulatorFourParamsV2 "
        "POCEmulatorFourParamsV3"
    ),
}

PACKAGES = (
    "reionemu",
    "reionemu.artifact",
    "reionemu.data",
    "reionemu.design",
    "reionemu.inference",
    "reionemu.inference.cobaya",
    "reionemu.inference.sampling",
    "reionemu.models",
    "reionemu.models.experimental",
    "reionemu.plot",
    "reionemu.simio",
    "reionemu.simulation",
    "reionemu.spectra",
    "reionemu.training",
    "reionemu.tuning",
)

HEAVY = (
    *("torch", "h5py", "ray", "matplotlib", "rich", "scipy", "pydantic", "astropy", "camb"),
    *("arviz", "cobaya", "emcee", "getdist", "yaml"),
)

# Functions as a user may call them.
SIGNATURES = """
def condense_sim_root(sim_root, out_path, *, config=CondenseConfig(), sim_prefix="sim",
    file_description="Condensed simulation outputs for kSZ 2LPT emulator.", version=1,
    progress_callback=None): ...
def add_cl_to_condensed_h5(h5_path, *, config=ClConfig(), progress_callback=None): ...
def build_training_arrays(h5_path, *, config=BuildXYConfig()): ...
def build_and_write_training(h5_path, *, config=BuildXYConfig(), overwrite=True): ...
def load_training_arrays(h5_path): ...
def make_dataloaders(h5_path, *, split={"train": 0.8, "val": 0.2},
    config=DataLoaderConfig()): ...
def FourParamEmulator(input_dim=4, output_dim=5, hidden_dim=20, num_hidden_layers=2,
    activation="relu"): ...
def MCDropoutEmulator(input_dim=4, output_dim=5, hidden_dim=20, num_hidden_layers=2,
    activation="relu", dropout_rate=0.1): ...
def predict_mc(params, model, X_mean=None, X_std=None, Y_mean=None, Y_std=None, *,
    normalize_X=True, normalize_Y=False, n_mc_samples=100, device="cpu"): ...
def enable_dropout_only(model): ...
def fit(model, train_loader, val_loader, optimizer, loss_fn, config, metrics=None,
    evaluation="evaluate_metrics", n_mc_samples=100): ...
def train_one_epoch(model, loader, optimizer, loss_fn, device, gradient_clipping=None): ...
def evaluate(model, loader, loss_fn, device): ...
def evaluate_metrics(model, loader, loss_fn, device, metrics=None): ...
def evaluate_mc_metrics(model, loader, loss_fn, device, metrics=None, n_mc_samples=100): ...
def mse(pred, target): ...
def rmse(pred, target): ...
def mean_relative_error(pred, target, eps=1e-8): ...
def physical_mean_relative_error(pred, target, eps=1e-8): ...
def build_four_param_model(config): ...
def build_mc_dropout_model(config): ...
def build_optimizer(model, config): ...
def kfold_cross_validate(h5_path, *, model_builder, optimizer_builder, loss_fn,
    kfold_config=KFoldConfig(), dl_config=DataLoaderConfig(), fit_config=FitConfig()): ...
def default_param_space(): ...
def train_four_param_tune(config, *, X_train, Y_train, X_val, Y_val): ...
def run_tune_four_param(*, X_train, Y_train, X_val, Y_val, param_space=None, num_samples=40,
    max_concurrent_trials=4, device="auto", storage_path=None,
    experiment_name="train_four_param_tune"): ...
def save_artifact(name, root_dir, *, dataset_path=None, condense_config=None, cl_config=None,
    build_config=None, dataloader_config=None, fit_config=None, kfold_config=None,
    model_config=None, optimizer_config=None, tuning_config=None, results_summary=None,
    metrics=None, history=None, dataset_prep_stats=None, normalizers=None, checkpoint=None,
    description=None): ...
def create_artifact_dir(name, root_dir): ...
def save_configs(artifact_dir, *, condense_config=None, cl_config=None, build_config=None,
    dataloader_config=None, fit_config=None, kfold_config=None, model_config=None,
    optimizer_config=None, tuning_config=None): ...
def save_results(artifact_dir, *, summary=None, metrics=None, history=None,
    dataset_prep_stats=None, status="completed"): ...
def save_info(artifact_dir, *, run_id, experiment_name=None, description=None,
    dataset_path=None, artifacts=None): ...
def save_normalizers(artifact_dir, normalizers, *, filename="normalizers.npz"): ...
def load_normalizers(path): ...
def save_model_checkpoint(artifact_dir, checkpoint, *, filename="model.pt"): ...
def dataset_summary(h5_path): ...
def file_fingerprint(path): ...
def read_json(path): ...
"""

REQUIRED = dataclasses.MISSING
NAMES = ("zmean_zre", "alpha_zre", "kb_zre", "b0_zre")

DATACLASSES = {
    "CondenseConfig": {"overwrite": True, "require_obs_and_pk": True},
    "ClConfig": {"nbins": 5, "ell_cut": 1000.0, "overwrite": True, "sims_group": "sims"},
    "BuildXYConfig": {
        "sims_group": "sims",
        "params_group": "params",
        "cl_group": "cl",
        "param_names": NAMES,
        "y_source": "dl_ksz",
        "y_transform": "ln",
        "eps": 1e-30,
    },
    "CondenseStats": {
        "written": REQUIRED,
        "skipped_missing_obs_pk": REQUIRED,
        "skipped_read_error": REQUIRED,
        "skipped_validation_error": REQUIRED,
    },
    "BuildStats": {
        "total_sims": REQUIRED,
        "processed": REQUIRED,
        "skipped_missing_params": REQUIRED,
        "skipped_missing_cl": REQUIRED,
        "skipped_inconsistent_ell": REQUIRED,
        "skipped_non_finite": REQUIRED,
    },
    "DataLoaderConfig": {
        "batch_size": 32,
        "seed": 42,
        "shuffle_train": True,
        "normalize_X": True,
        "normalize_Y": False,
    },
    "Normalizer": {"mean": REQUIRED, "std": REQUIRED},
    "FitConfig": {
        "epochs": 200,
        "device": "cpu",
        "early_stopping_patience": None,
        "gradient_clipping": None,
        "seed": None,
    },
    "KFoldConfig": {"k": 5, "seed": 42, "return_histories": False},
}

FROZEN = ("CondenseConfig", "CondenseStats", "ClConfig", "BuildXYConfig", "BuildStats")


def expected_signatures() -> dict[str, inspect.Signature]:
    """The stubs above as signatures."""
    scope = {name: getattr(reionemu, name) for name in DATACLASSES}
    known = set(scope)
    exec(SIGNATURES, scope)
    return {
        name: inspect.signature(stub)
        for name, stub in scope.items()
        if name not in known and name != "__builtins__"
    }


def run_python(code: str) -> str:
    """Standard output of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_name_is_importable_from_the_top(name):
    scope: dict = {}
    exec(f"from reionemu import {name}", scope)
    assert callable(scope[name])
    assert scope[name].__module__.startswith("reionemu.")


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in ALSO.items() for name in names.split()]
)
def test_name_is_importable_from_its_package(module, name):
    found = getattr(importlib.import_module(module), name)
    assert found.__name__ == name
    if name in reionemu.__all__:
        assert found is getattr(reionemu, name)


def test_all_names_are_the_published_ones_and_those_added_on_purpose():
    assert sorted(reionemu.__all__) == sorted(PUBLISHED + OURS)


@pytest.mark.parametrize("package", PACKAGES)
def test_star_import_brings_exactly_all(package):
    scope: dict = {}
    exec(f"from {package} import *", scope)
    scope.pop("__builtins__")
    module = importlib.import_module(package)
    assert sorted(scope) == sorted(module.__all__)
    assert sorted(set(module.__all__)) == sorted(module.__all__)


def test_dir_lists_the_public_names():
    assert set(reionemu.__all__) <= set(dir(reionemu))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'condense'"):
        reionemu.condense  # noqa: B018
    with pytest.raises(ImportError):
        exec("from reionemu import condense")


def test_subpackages_are_attributes_after_importing_the_package_alone():
    code = "import reionemu; print(reionemu.training.fit is reionemu.fit, reionemu.simio.__name__)"
    assert run_python(code).split() == ["True", "reionemu.simio"]


@pytest.mark.parametrize("name", sorted(expected_signatures()))
def test_signature(name):
    expected = list(expected_signatures()[name].parameters.values())
    actual = list(inspect.signature(getattr(reionemu, name)).parameters.values())
    for want, got in zip(expected, actual, strict=False):
        assert (got.name, got.kind) == (want.name, want.kind)
        assert got.default == want.default
    assert len(actual) >= len(expected)
    for extra in actual[len(expected) :]:
        assert extra.kind is inspect.Parameter.KEYWORD_ONLY
        assert extra.default is not inspect.Parameter.empty


def test_every_published_function_has_its_signature_checked():
    assert sorted([*expected_signatures(), *DATACLASSES]) == sorted(PUBLISHED)


@pytest.mark.parametrize("name", DATACLASSES)
def test_dataclass_fields_and_defaults(name):
    expected = DATACLASSES[name]
    fields = dataclasses.fields(getattr(reionemu, name))
    assert {f.name: f.default for f in fields[: len(expected)]} == expected
    assert [f.name for f in fields[: len(expected)]] == list(expected)
    assert all(f.default is not REQUIRED for f in fields[len(expected) :])


@pytest.mark.parametrize("name", FROZEN)
def test_configs_and_stats_are_frozen(name):
    cls = getattr(reionemu, name)
    required = sum(default is REQUIRED for default in DATACLASSES[name].values())
    instance = cls(*range(required))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(instance, next(iter(DATACLASSES[name])), 3)


def test_stats_add_up_what_was_skipped():
    assert reionemu.CondenseStats(7, 1, 2, 4).skipped_total == 7
    assert reionemu.BuildStats(20, 5, 1, 2, 4, 8).skipped_total == 15


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); import reionemu; "
        f"print(sorted(set({HEAVY!r}) & (set(sys.modules) - before)))"
    )
    assert run_python(code).strip() == "[]"


def test_using_a_configuration_class_does_not_load_torch():
    code = (
        "import sys, reionemu; reionemu.ClConfig(); reionemu.OutOfRangeError; "
        "print('torch' in sys.modules, 'ray' in sys.modules)"
    )
    assert run_python(code).split() == ["False", "False"]


def undocumented(tree: ast.AST, inside: str) -> list[str]:
    """Public classes, functions and methods of a module that have no docstring."""
    found = []
    for node in ast.iter_child_nodes(tree):
        definition = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if not definition or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            found.append(f"{inside}:{node.name}")
        if isinstance(node, ast.ClassDef):
            found += undocumented(node, f"{inside}:{node.name}")
    return found


def test_every_module_and_everything_public_in_it_has_a_docstring():
    root = Path(reionemu.__file__).parent
    missing = []
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text())
        name = str(path.relative_to(root))
        missing += [] if ast.get_docstring(tree) else [name]
        missing += undocumented(tree, name)
    assert missing == []


def test_type_checkers_see_the_same_names():
    """The stub beside the lazy package names exactly what the package exports."""
    stub = Path(reionemu.__file__).with_name("__init__.pyi").read_text()
    imported = {
        alias.name
        for node in ast.walk(ast.parse(stub))
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
    assert imported == set(reionemu.__all__)
