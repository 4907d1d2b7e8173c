"""What a user of the published package writes, from raw simulations to a saved artifact.

    python user_script.py RAW OUT

RAW holds `main/` (a suite with damaged simulations) and `spectra/*/` (suites of other map sizes).
Every number of every stage goes to OUT/numbers.npz, every document to OUT/documents.json, and the
files that the stages make stay in OUT. Only names of the published package are used, so the script
runs under either package, and what it writes must be the same.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import torch

from reionemu import (
    BuildXYConfig,
    ClConfig,
    CondenseConfig,
    DataLoaderConfig,
    FitConfig,
    FourParamEmulator,
    KFoldConfig,
    MCDropoutEmulator,
    Normalizer,
    add_cl_to_condensed_h5,
    build_and_write_training,
    build_four_param_model,
    build_mc_dropout_model,
    build_optimizer,
    build_training_arrays,
    condense_sim_root,
    create_artifact_dir,
    dataset_summary,
    evaluate,
    evaluate_mc_metrics,
    evaluate_metrics,
    file_fingerprint,
    fit,
    kfold_cross_validate,
    load_normalizers,
    load_training_arrays,
    make_dataloaders,
    mean_relative_error,
    mse,
    physical_mean_relative_error,
    predict_mc,
    read_json,
    rmse,
    save_artifact,
    save_configs,
    save_info,
    save_model_checkpoint,
    save_normalizers,
    save_results,
    train_one_epoch,
)
from reionemu.data.normalization import (
    fit_standardizer,
    inverse_transform_standardizer,
    transform_standardizer,
)
from reionemu.models import experimental

NBINS = (1, 2, 3, 5, 6, 10, 15, 30, 31, 64)
ELL_CUTS = (0.0, 500.0, 1000.0, 3000.0)
SPLITS = {
    "default": {"train": 0.8, "val": 0.2},
    "three": {"train": 0.55, "val": 0.25, "test": 0.2},
    "val_first": {"val": 0.3, "train": 0.7},
}
METRICS = {
    "mse": mse,
    "rmse": rmse,
    "relative": mean_relative_error,
    "physical": physical_mean_relative_error,
}
POC_MODELS = {
    "POCEmulatorThreeParams": 3,
    "POCEmulatorFourParamsV1": 4,
    "POCEmulatorFourParamsV2": 4,
    "POCEmulatorFourParamsV3": 4,
}
RUNS = {
    "four_param": (FourParamEmulator, "adamw", FitConfig(epochs=40, seed=5)),
    "four_param_adam": (FourParamEmulator, "adam", FitConfig(epochs=25, seed=6)),
    "dropout": (MCDropoutEmulator, "adamw", FitConfig(epochs=40, seed=5)),
    "clipped": (MCDropoutEmulator, "adam", FitConfig(25, "cpu", None, 0.5, 8)),
    "stopped": (MCDropoutEmulator, "adamw", FitConfig(200, "cpu", 4, 1.0, 9)),
}
ACTIVATIONS = ("relu", "gelu", "silu", "tanh", "sigmoid")
ARTIFACT_MODEL = {"class_name": "MCDropoutEmulator", "hidden_dim": 10, "activation": "relu"}
MC_POINTS, MC_DRAWS, MC_REPEATS = 4, 4000, 12


class Record:
    """Numbers and documents by name."""

    def __init__(self) -> None:
        self.numbers: dict[str, np.ndarray] = {}
        self.documents: dict[str, object] = {}

    def save(self, folder: Path) -> None:
        np.savez(folder / "numbers.npz", **self.numbers)
        text = json.dumps(self.documents, indent=1, sort_keys=True, default=str)
        (folder / "documents.json").write_text(text)


def condense(raw: Path, out: Path, record: Record) -> Path:
    path = out / "condensed.h5"
    calls = []
    stats = condense_sim_root(raw, path, progress_callback=lambda *call: calls.append(call))
    record.documents["condense/stats"] = counts(stats)
    record.documents["condense/progress"] = calls
    record_h5(path, "condensed", record)
    return path


def spectra(path: Path, out: Path, record: Record) -> None:
    calls = []
    updated = add_cl_to_condensed_h5(
        path, config=ClConfig(ell_cut=500.0), progress_callback=lambda *call: calls.append(call)
    )
    again = add_cl_to_condensed_h5(path, config=ClConfig(ell_cut=500.0, overwrite=False))
    record.documents["cl/updated"] = [updated, again]
    record.documents["cl/progress"] = calls
    record_h5(path, "spectra", record)


def spectra_of_other_maps(raw: Path, out: Path, record: Record) -> None:
    for suite in sorted(path for path in raw.iterdir() if path.is_dir()):
        path = out / f"{suite.name}.h5"
        condense_sim_root(suite, path)
        for nbins, ell_cut in itertools.product(NBINS, ELL_CUTS):
            key = f"maps/{suite.name}/{nbins}/{ell_cut:g}"
            try:
                add_cl_to_condensed_h5(path, config=ClConfig(nbins=nbins, ell_cut=ell_cut))
            except ValueError:
                record.documents[key] = "nothing left"
                continue
            with h5py.File(path) as h5:
                for name, sim in h5["sims"].items():
                    for array in ("ell", "cl_ksz", "dl_ksz"):
                        record.numbers[f"{key}/{name}/{array}"] = sim["cl"][array][()]


def training_arrays(path: Path, out: Path, record: Record) -> None:
    for source, transform in itertools.product(("dl_ksz", "cl_ksz"), ("ln", "log10", "none")):
        config = BuildXYConfig(y_source=source, y_transform=transform, eps=1e-20)
        X, Y, ell, sims, names, stats = build_training_arrays(path, config=config)
        key = f"build/{source}/{transform}"
        record.numbers |= {f"{key}/X": X, f"{key}/Y": Y, f"{key}/ell": ell}
        record.documents[f"{key}/text"] = [list(map(str, sims)), list(map(str, names))]
        record.documents[f"{key}/stats"] = counts(stats)
        record.documents[f"{key}/types"] = [str(a.dtype) for a in (X, Y, ell)]
    three = BuildXYConfig(param_names=("b0_zre", "zmean_zre", "kb_zre"))
    record.numbers["build/three/X"] = build_training_arrays(path, config=three)[0]
    record.documents["build/written"] = build_and_write_training(path)
    record_h5(path, "training", record, group="training")
    X, Y, ell = load_training_arrays(path)
    record.numbers |= {"loaded/X": X, "loaded/Y": Y, "loaded/ell": ell}
    record.documents["loaded/types"] = [str(a.dtype) for a in (X, Y, ell)]


def loaders(path: Path, out: Path, record: Record) -> None:
    for name, split in SPLITS.items():
        for both in (False, True):
            config = DataLoaderConfig(batch_size=4, seed=7, normalize_X=True, normalize_Y=both)
            parts, normalizers, ell = make_dataloaders(path, split=split, config=config)
            key = f"loaders/{name}/{both}"
            record.numbers[f"{key}/ell"] = np.asarray(ell)
            for part, loader in parts.items():
                record.numbers[f"{key}/{part}/indices"] = np.asarray(loader.dataset.indices)
                torch.manual_seed(11)
                for epoch, (i, batch) in itertools.product(range(2), enumerate(loader)):
                    for letter, tensor in zip("xy", batch, strict=True):
                        record.numbers[f"{key}/{part}/{epoch}/{i}/{letter}"] = tensor.numpy()
            for axis, normalizer in normalizers.items():
                record_normalizer(f"{key}/{axis}", normalizer, record)
    X = load_training_arrays(path)[0]
    X[:, 2] = 0.5
    normalizer = fit_standardizer(X)
    record_normalizer("standardizer", normalizer, record)
    scaled = transform_standardizer(X, normalizer)
    record.numbers["standardizer/scaled"] = scaled
    record.numbers["standardizer/back"] = inverse_transform_standardizer(scaled, normalizer)


def training(path: Path, out: Path, record: Record) -> None:
    config = DataLoaderConfig(batch_size=8, seed=3)
    for name, (model_class, optimizer_name, fit_config) in RUNS.items():
        torch.manual_seed(1)
        parts, _, _ = make_dataloaders(path, split=SPLITS["three"], config=config)
        model = trained_model(model_class)
        record_model(f"{name}/initial", model, record)
        options = {"optimizer": optimizer_name, "lr": 1e-2, "weight_decay": 1e-3}
        history = fit(
            model,
            parts["train"],
            parts["val"],
            build_optimizer(model, options),
            torch.nn.MSELoss(),
            fit_config,
            metrics=METRICS,
        )
        for key, values in history.items():
            record.numbers[f"history/{name}/{key}"] = np.array(values)
        record_model(name, model, record)
        torch.save(model.state_dict(), out / f"{name}.pt")
        test = evaluate_metrics(model, parts["test"], mse, "cpu", METRICS)
        record.numbers[f"test/{name}"] = np.array([test[key] for key in sorted(test)])
        record.documents[f"test/{name}/keys"] = sorted(test)
        record.numbers[f"test/{name}/loss"] = np.array(evaluate(model, parts["test"], mse, "cpu"))
    single_epochs(path, record)


def trained_model(model_class: type[torch.nn.Module]) -> torch.nn.Module:
    return model_class(hidden_dim=12, num_hidden_layers=3, activation="gelu")


def saved_models() -> dict[str, tuple[torch.nn.Module, int]]:
    """A new model for each state dict that is saved, and the number of its parameters."""
    models = {name: (trained_model(run[0]), 4) for name, run in RUNS.items()}
    models |= {name: (getattr(experimental, name)(), p) for name, p in POC_MODELS.items()}
    models |= {name: (MCDropoutEmulator(4, 6, 7, 2, name, 0.25), 4) for name in ACTIVATIONS}
    return models | {"artifact": (MCDropoutEmulator(hidden_dim=10), 4)}


def single_epochs(path: Path, record: Record) -> None:
    """train_one_epoch by itself, with an optimizer that the loop knows nothing of."""
    parts, _, _ = make_dataloaders(path, config=DataLoaderConfig(batch_size=8))
    options = {"hidden_dim": 9, "num_hidden_layers": 1, "activation": "tanh"}
    for name, build in (("four", build_four_param_model), ("drop", build_mc_dropout_model)):
        torch.manual_seed(2)
        model = build(options)
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
        losses = [
            train_one_epoch(model, parts["train"], optimizer, mse, "cpu", clip)
            for clip in (None, None, 0.1)
        ]
        record.numbers[f"epochs/{name}"] = np.array(losses)


def folds(path: Path, out: Path, record: Record) -> None:
    result = kfold_cross_validate(
        path,
        model_builder=lambda: MCDropoutEmulator(hidden_dim=8),
        optimizer_builder=lambda model: torch.optim.Adam(model.parameters(), lr=1e-2),
        loss_fn=torch.nn.MSELoss(),
        kfold_config=KFoldConfig(k=4, seed=13, return_histories=True),
        dl_config=DataLoaderConfig(batch_size=8, normalize_Y=True),
        fit_config=FitConfig(epochs=12, early_stopping_patience=3),
    )
    record.documents["folds/keys"] = sorted(result)
    for key in ("fold_best_val", "mean_best_val", "std_best_val", "ell"):
        record.numbers[f"folds/{key}"] = np.asarray(result[key])
    for fold, rows in enumerate(result["val_indices"]):
        record.numbers[f"folds/{fold}/indices"] = np.asarray(rows)
        for key, values in result["histories"][fold].items():
            record.numbers[f"history/fold{fold}/{key}"] = np.array(values)
        for axis, normalizer in result["norms"][fold].items():
            record_normalizer(f"folds/{fold}/{axis}", normalizer, record)
        record_model(f"folds/{fold}", result["models"][fold], record)


def other_models(path: Path, out: Path, record: Record) -> None:
    for name in (*POC_MODELS, *ACTIVATIONS):
        torch.manual_seed(17)
        model, dimension = saved_models()[name]
        torch.save(model.eval().state_dict(), out / f"{name}.pt")
        record_model(name, model, record, dimension)


def draws(path: Path, out: Path, record: Record) -> None:
    """Monte-Carlo dropout: random, so what is recorded are means and their errors."""
    X, Y, _ = load_training_arrays(path)
    x_norm, y_norm = fit_standardizer(X), fit_standardizer(Y)
    for name, normalize_Y in (("plain", False), ("scaled", True)):
        torch.manual_seed(21)
        model = MCDropoutEmulator(hidden_dim=16)
        torch.manual_seed(22)
        points = X[:MC_POINTS] if name == "plain" else X[0]
        mean, std, samples, logs = predict_mc(
            points,
            model,
            x_norm.mean,
            x_norm.std,
            y_norm.mean,
            y_norm.std,
            normalize_Y=normalize_Y,
            n_mc_samples=MC_DRAWS,
        )
        record.documents[f"mc/{name}/shapes"] = [a.shape for a in (mean, std, samples, logs)]
        record.numbers |= {f"mc/{name}/mean": mean, f"mc/{name}/std": std}
        record.numbers[f"mc/{name}/samples"] = samples
        record.numbers[f"mc/{name}/logs"] = logs
    parts, _, _ = make_dataloaders(path, config=DataLoaderConfig(batch_size=8))
    torch.manual_seed(23)
    repeats = [
        evaluate_mc_metrics(model, parts["val"], mse, "cpu", METRICS, 100)
        for _ in range(MC_REPEATS)
    ]
    for key in repeats[0]:
        record.numbers[f"mc/evaluation/{key}"] = np.array([repeat[key] for repeat in repeats])


def artifacts(path: Path, out: Path, record: Record) -> None:
    root = out / "artifacts"
    config = DataLoaderConfig(batch_size=8, seed=3)
    parts, normalizers, _ = make_dataloaders(path, config=config)
    torch.manual_seed(31)
    model = MCDropoutEmulator(hidden_dim=10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    fit_config = FitConfig(epochs=5, seed=1)
    history = fit(model, parts["train"], parts["val"], optimizer, torch.nn.MSELoss(), fit_config)
    torch.save(model.state_dict(), out / "artifact.pt")
    record_model("artifact", model, record)
    full = save_artifact(
        "full",
        root,
        dataset_path=path,
        condense_config=CondenseConfig(),
        cl_config=ClConfig(ell_cut=500.0),
        build_config=BuildXYConfig(),
        dataloader_config=config,
        fit_config=fit_config,
        kfold_config=KFoldConfig(k=3),
        model_config=ARTIFACT_MODEL,
        optimizer_config={"name": "AdamW", "lr": 1e-2},
        tuning_config={"num_samples": 4, "space": ["a", 1, 2.5, None, True]},
        results_summary={"best_epoch": 3, "scores": np.array([1.5, 2.5])},
        metrics={"val_loss": history["val_loss"][-1], "n": np.int64(4), "f": np.float32(0.25)},
        history=history,
        dataset_prep_stats={"condense": {"written": 3}, "path": Path("relative/file.h5")},
        normalizers=normalizers,
        checkpoint=model.state_dict(),
        description="all of it",
    )
    bare = save_artifact("bare", root)
    half = save_artifact(
        "half", root, normalizers={"X": normalizers["X"], "Y": None}, metrics={"a": 1}
    )
    unfitted = save_artifact("unfitted", root, normalizers={"X": None, "Y": None})
    by_hand = helpers(path, root, normalizers, model)
    for folder in (full, bare, half, unfitted, by_hand):
        for document in ("info", "configs", "results"):
            content = read_json(folder / f"{document}.json")
            record.documents[f"artifact/{folder.name}/{document}"] = content
        record.documents[f"artifact/{folder.name}/files"] = sorted(f.name for f in folder.iterdir())
    for name, normalizer in load_normalizers(by_hand / "norms.npz").items():
        record_normalizer(f"artifact/{name}", normalizer, record)
    record.documents["artifact/summary"] = dataset_summary(path)
    record.documents["artifact/fingerprint"] = file_fingerprint(path)


def helpers(path: Path, root: Path, normalizers: dict, model: torch.nn.Module) -> Path:
    folder = create_artifact_dir("by_hand", root)
    save_configs(folder, fit_config={"epochs": 3}, model_config={"class_name": "Mine"})
    save_results(folder, metrics={"loss": 0.5}, status="failed")
    extra = {"X": normalizers["X"], "Z": Normalizer(np.arange(3.0), np.ones(3))}
    save_normalizers(folder, extra, filename="norms.npz")
    save_model_checkpoint(folder, {"state_dict": model.state_dict(), "epoch": 3}, filename="c.pt")
    files = {"results": "results.json", "nothing": None}
    save_info(folder, run_id="r", experiment_name="e", dataset_path=path, artifacts=files)
    return folder


def errors(path: Path, out: Path, record: Record) -> None:
    """What kind of error each misuse gives."""
    raw, empty, plain = out / "no_such_folder", out / "empty", out / "plain.h5"
    empty.mkdir()
    path = Path(shutil.copy(path, out / "copy.h5"))  # the artifacts' dataset must stay untouched
    with h5py.File(plain, "w") as h5:
        h5.create_group("sims/sim0/params")
    model, loss = MCDropoutEmulator(), torch.nn.MSELoss()
    parts, _, _ = make_dataloaders(path)
    train, val = parts["train"], parts["val"]
    optimizer = torch.optim.Adam(model.parameters())
    stack = {"hidden_dim": 4, "num_hidden_layers": 1, "activation": "relu"}
    kfold = {"model_builder": lambda: model, "optimizer_builder": lambda m: None, "loss_fn": loss}
    attempts = {
        "condense/no root": lambda: condense_sim_root(raw, out / "x.h5"),
        "condense/no sims": lambda: condense_sim_root(empty, out / "x.h5"),
        "condense/exists": lambda: condense_sim_root(
            out, path, sim_prefix="empty", config=CondenseConfig(overwrite=False)
        ),
        "build/exists": lambda: build_and_write_training(path, overwrite=False),
        "build/nothing": lambda: build_training_arrays(plain),
        "build/source": lambda: build_training_arrays(path, config=BuildXYConfig(y_source="tt")),
        "build/transform": lambda: build_training_arrays(
            path, config=BuildXYConfig(y_transform="sqrt")
        ),
        "load/no training": lambda: load_training_arrays(plain),
        "split/no train": lambda: make_dataloaders(path, split={"val": 1.0}),
        "split/sum": lambda: make_dataloaders(path, split={"train": 0.7, "val": 0.7}),
        "split/negative": lambda: make_dataloaders(path, split={"train": 1.2, "val": -0.2}),
        "model/activation": lambda: FourParamEmulator(activation="swish"),
        "model/width": lambda: FourParamEmulator(hidden_dim=0),
        "model/layers": lambda: FourParamEmulator(num_hidden_layers=0),
        "model/dropout": lambda: MCDropoutEmulator(dropout_rate=1.5),
        "model/built": lambda: build_four_param_model({**stack, "activation": "none"}),
        "optimizer": lambda: build_optimizer(model, {"optimizer": "lbfgs", "lr": 1e-3}),
        "fit/evaluation": lambda: fit(
            model, train, val, optimizer, loss, FitConfig(epochs=1), evaluation="other"
        ),
        "mc/one draw": lambda: evaluate_mc_metrics(model, val, loss, "cpu", n_mc_samples=1),
        "predict/no normalizer": lambda: predict_mc(np.ones(4), model),
        "kfold/too many": lambda: kfold_cross_validate(
            path, kfold_config=KFoldConfig(k=1000), dl_config=None, fit_config=None, **kfold
        ),
        "artifact/read": lambda: read_json(out / "none.json"),
        "artifact/normalizers": lambda: load_normalizers(out / "none.npz"),
        "artifact/fingerprint": lambda: file_fingerprint(out / "none.h5"),
        "artifact/unwritable": lambda: save_configs(out, fit_config={"f": open}),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except Exception as error:
            record.documents[f"errors/{name}"] = [kind.__name__ for kind in type(error).__mro__]
        else:
            record.documents[f"errors/{name}"] = []


def record_h5(path: Path, key: str, record: Record, group: str = "/") -> None:
    """Every dataset and attribute of a file."""

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if name.endswith("/dcl"):
            return
        for attribute, value in item.attrs.items():
            plain = value.item() if isinstance(value, np.generic) else value
            record.documents[f"{key}/{name}@{attribute}"] = plain
        if isinstance(item, h5py.Dataset):
            value = item[()]
            if h5py.check_string_dtype(item.dtype):
                record.documents[f"{key}/{name}"] = [text.decode() for text in value]
            else:
                record.numbers[f"{key}/{name}"] = value

    with h5py.File(path) as h5:
        h5[group].visititems(visit)
        visit("", h5[group])


def record_normalizer(key: str, normalizer: Normalizer | None, record: Record) -> None:
    if normalizer is None:
        record.documents[key] = None
    else:
        record.numbers |= {f"{key}/mean": normalizer.mean, f"{key}/std": normalizer.std}


def record_model(key: str, model: torch.nn.Module, record: Record, dimension: int = 4) -> None:
    """Weights, and what the model makes of fixed inputs."""
    for name, weights in model.state_dict().items():
        record.numbers[f"weights/{key}/{name}"] = weights.numpy().copy()
    inputs = torch.linspace(-2, 2, 5 * dimension).reshape(5, dimension)
    training = model.training
    model.eval()
    with torch.no_grad():
        record.numbers[f"outputs/{key}"] = model(inputs).numpy()
    model.train(training)


def counts(stats: object) -> dict[str, int]:
    """The numbers in a dataclass of counts, with their total."""
    numbers = {f.name: getattr(stats, f.name) for f in dataclasses.fields(stats)}
    return {k: v for k, v in numbers.items() if isinstance(v, int)} | {"total": stats.skipped_total}


def main() -> None:
    raw, out = (Path(argument).resolve() for argument in sys.argv[1:])
    out.mkdir(parents=True)
    torch.set_num_threads(1)
    record = Record()
    record.documents["release"] = version("reionemu")
    path = condense(raw / "main", out, record)
    spectra_of_other_maps(raw / "spectra", out, record)
    stages = (spectra, training_arrays, loaders, training, folds, other_models, draws, artifacts)
    for stage in (*stages, errors):
        stage(path, out, record)
    record.save(out)


if __name__ == "__main__":
    main()
