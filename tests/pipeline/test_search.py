"""Searches: what a trial measures, going on after a kill, what failed. Ray is played by a loop."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from reionemu.data.splits import split_indices
from reionemu.errors import (
    ConfigError,
    FileBusyError,
    NoUsableSimulationsError,
    RecordError,
    ReionemuError,
)
from reionemu.files import exclusive
from reionemu.pipeline.loading import load_data
from reionemu.pipeline.options import (
    EnsembleModelOptions,
    GaussianProcessOptions,
    ModelOptions,
    OptimizerOptions,
    TrainingOptions,
    TuningOptions,
)
from reionemu.pipeline.search import search
from reionemu.pipeline.search_folder import SearchFolder
from reionemu.pipeline.trials import run_trial, tables_of, with_best
from reionemu.targets import Target
from reionemu.training.train_loop import FitConfig
from reionemu.tuning import four_param, trials
from reionemu.tuning.trials import Finished

OPTIONS = TrainingOptions(
    fit=FitConfig(epochs=50, seed=3), tuning=TuningOptions(4, 2, 3, models=("gp", "four-param"))
)
NETWORK = {
    "family": "four-param",
    "config": {
        "hidden_dim": 8,
        "num_hidden_layers": 1,
        "activation": "tanh",
        "optimizer": "adam",
        "lr": 0.01,
        "weight_decay": 1e-6,
        "batch_size": 8,
        "gradient_clipping": 1.0,
    },
}
PROCESS = {"family": "gp", "config": {"coordinates": "plain"}}


@pytest.fixture
def data(condensed_h5):
    """24 simulations."""
    return load_data(condensed_h5)[0]


@pytest.fixture
def parts(data):
    """Rows to train on and to validate on, which leave some out."""
    return split_indices(len(data.X), {"train": 0.7, "val": 0.2, "test": 0.1}, 1)


class Loop:
    """In the place of Ray: one trial after the other, in this process."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.past: list[list[float]] = []
        self.interrupt_after = 10**9
        self.lost: set[int] = set()

    def __call__(self, points, trial, shared, on_finished, *, past, **options) -> None:
        self.past = list(past)
        for number, point in points.items():
            if len(self.ran) >= self.interrupt_after:
                raise KeyboardInterrupt
            self.ran.append(number)
            on_finished(self._one(number, point, trial, shared))

    def _one(self, number, point, trial, shared) -> Finished:
        done = Finished(number, seconds=1.5)
        if number in self.lost:
            done.error, done.lost = "ActorDiedError: the node is gone", True
            return done

        def report(values) -> None:
            done.losses.append(values["val_loss"])
            done.reported = dict(values)

        try:
            trial(point, report, **shared)
        except ReionemuError as error:
            done.error = f"{type(error).__name__}: {error}"
        return done


@pytest.fixture
def loop(monkeypatch):
    """Ray replaced by a loop."""
    loop = Loop()
    monkeypatch.setattr("reionemu.tuning.trials.run_trials", loop)
    monkeypatch.setattr(
        "reionemu.tuning.cluster.connected", lambda address: contextlib.nullcontext()
    )
    return loop


def reports_of(point, data, parts, options=OPTIONS) -> list[dict]:
    """What a trial reports."""
    reports: list[dict] = []
    rows = {part: parts[part] for part in ("train", "val")}
    run_trial(point, reports.append, data=data, parts=rows, options=options)
    return reports


def relative_error(y, truth) -> float:
    """Of spectra, given ln(D + 1e-30) of both."""
    return np.abs((np.exp(y) - 1e-30) / (np.exp(truth) - 1e-30) - 1).mean()


def test_a_process_is_measured_on_validation_rows_in_physical_units(data, parts):
    from reionemu.models.gaussian_process import fit_gaussian_process
    from reionemu.models.inputs import Inputs

    assert Target(data.y_source, data.y_transform, data.eps) == Target("dl_ksz", "ln", 1e-30)
    theta, y = data.X.astype(float), data.Y.astype(float)
    train, val = parts["train"], parts["val"]
    inputs = Inputs.over(theta[train], data.param_names, "plain")
    mean = fit_gaussian_process(theta[train], y[train], inputs, seed=3)[0].predict(theta[val])[0]
    (report,) = reports_of(PROCESS, data, parts)
    assert report["val_loss"] == report["best_val_loss"]
    assert report["val_loss"] == pytest.approx(((mean - y[val]) ** 2).mean(), rel=1e-9)
    assert report["val_error"] == pytest.approx(relative_error(mean, y[val]), rel=1e-9)


def test_a_network_trains_as_in_the_published_search(data, parts, monkeypatch):
    published: list[dict] = []
    checkpoint = SimpleNamespace(from_directory=lambda folder: None)
    fake = SimpleNamespace(
        Checkpoint=checkpoint, report=lambda values, checkpoint=None: published.append(values)
    )
    monkeypatch.setattr(four_param, "_ray_tune", lambda: fake)
    four_param.train_four_param_tune(
        {**NETWORK["config"], "epochs": 6, "seed": 3, "device": "cpu"},
        X_train=data.X[parts["train"]],
        Y_train=data.Y[parts["train"]],
        X_val=data.X[parts["val"]],
        Y_val=data.Y[parts["val"]],
    )
    options = replace(OPTIONS, fit=FitConfig(epochs=6, seed=3))
    reports = reports_of(NETWORK, data, parts, options)
    assert [r["val_loss"] for r in reports] == [r["val_loss"] for r in published]
    assert [r["best_epoch"] for r in reports] == [r["best_epoch"] for r in published]
    for mine, theirs in zip(reports, published, strict=True):
        assert mine["best_val_loss"] == pytest.approx(theirs["best_val_loss"], rel=1e-5)


def test_errors_of_a_network_of_normalized_targets_are_those_of_targets(data, parts):
    data = replace(data, Y=data.Y[:, :1], ell=data.ell[:1])
    options = replace(OPTIONS, dataloader=replace(OPTIONS.dataloader, normalize_Y=True))
    last = reports_of(NETWORK, data, parts, options)[-1]
    lowest = min(r["val_loss"] for r in reports_of(NETWORK, data, parts, options))
    variance = data.Y[parts["train"]].astype(float).var()
    assert last["best_val_loss"] == pytest.approx(lowest * variance, rel=1e-4)
    assert last["val_error"] == pytest.approx(np.sqrt(last["best_val_loss"]), rel=0.5)


def test_a_search_lists_all_trials_the_best_first(data, parts, loop, tmp_path):
    steps: list[tuple] = []
    found = search(data, parts, OPTIONS, tmp_path / "s", progress=lambda *step: steps.append(step))
    assert sorted(t["number"] for t in found["trials"]) == [0, 1, 2, 3]
    errors = [t["val_error"] for t in found["trials"]]
    assert errors == sorted(errors)
    assert found["best"] == found["trials"][0]
    by_number = {t["number"]: t for t in found["trials"]}
    assert [by_number[i]["family"] for i in range(4)] == ["gp", "four-param", "gp", "four-param"]
    assert [by_number[i]["epochs"] for i in range(4)] == [1, 3, 1, 3]
    assert {t["status"] for t in found["trials"]} == {"completed"}
    assert steps == [("searching", i, 4) for i in (1, 2, 3, 4)]
    assert json.loads((tmp_path / "s/trials/00000.json").read_text())["config"] == {
        "coordinates": "physical"
    }


def test_the_mean_error_of_spectra_decides_and_not_the_worst_simulation():
    from reionemu.pipeline.search import ranking

    trials = [
        {"number": 0, "val_error": None, "val_loss": None, "losses": []},
        {"number": 1, "val_error": 0.02, "val_loss": 1e-4, "losses": []},
        {"number": 2, "val_error": 0.01, "val_loss": 2e-4, "losses": []},
    ]
    assert [trial["number"] for trial in ranking(trials)] == [2, 1, 0]


def test_an_interrupted_search_goes_on_without_doing_anything_twice(data, parts, loop, tmp_path):
    whole = search(data, parts, OPTIONS)
    loop.ran, loop.interrupt_after = [], 2
    with pytest.raises(KeyboardInterrupt):
        search(data, parts, OPTIONS, tmp_path)
    loop.interrupt_after, said = 10**9, []
    resumed = search(data, parts, OPTIONS, tmp_path, resume=True, say=said.append)
    assert loop.ran == [0, 1, 2, 3]
    assert [len(losses) for losses in loop.past] == [1, 3]  # what the first two reported
    assert said == ["2 trials are there, 2 are left"]
    assert resumed == whole
    assert search(data, parts, OPTIONS, tmp_path, resume=True) == whole
    assert loop.ran == [0, 1, 2, 3]


def test_a_search_can_be_made_longer_and_is_else_begun_anew(data, parts, loop, tmp_path):
    search(data, parts, OPTIONS, tmp_path)
    longer = replace(OPTIONS, tuning=replace(OPTIONS.tuning, num_samples=5))
    assert len(search(data, parts, longer, tmp_path, resume=True)["trials"]) == 5
    assert loop.ran == [0, 1, 2, 3, 4]
    assert len(search(data, parts, OPTIONS, tmp_path)["trials"]) == 4
    assert loop.ran[5:] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d, p, o: (replace(d, Y=d.Y + np.float32(0.1)), p, o), "data"),
        (lambda d, p, o: (d, {**p, "val": p["test"]}, o), "rows"),
        (lambda d, p, o: (d, p, o.seeded(8)), "dataloader and fit"),
        (lambda d, p, o: (d, p, replace(o, tuning=TuningOptions(4, models=("gp",)))),
         "fit and families"),
    ],
)  # fmt: skip
def test_another_search_is_not_gone_on_with(data, parts, loop, tmp_path, change, named):
    search(data, parts, OPTIONS, tmp_path)
    with pytest.raises(ConfigError, match=f"its {named} differed") as error:
        search(*change(data, parts, OPTIONS), tmp_path, resume=True)
    assert str(tmp_path) in str(error.value)
    assert len(loop.ran) == 4


def test_trials_of_another_space_are_not_gone_on_with(data, parts, loop, tmp_path):
    search(data, parts, OPTIONS, tmp_path)
    path = tmp_path / "trials/00001.json"
    trial = json.loads(path.read_text())
    path.write_text(json.dumps({**trial, "config": {**trial["config"], "lr": 7.0}}))
    with pytest.raises(ConfigError, match="its trial 1 had other options"):
        search(data, parts, OPTIONS, tmp_path, resume=True)


def test_failed_trials_are_listed_last_and_lost_ones_run_again(data, parts, loop, tmp_path):
    tuning = TuningOptions(4, 2, 3, models=("ensemble", "gp"))  # 16 rows are too few for it
    options, loop.lost = replace(OPTIONS, tuning=tuning), {1}
    found = search(data, parts, options, tmp_path)
    assert [t["number"] for t in found["trials"]] == [3, 0, 1, 2]
    assert [t["status"] for t in found["trials"]] == ["completed", "failed", "lost", "failed"]
    failed = found["trials"][1]
    assert failed["error"].startswith("DatasetError: ")
    assert (failed["val_loss"], failed["val_error"]) == (None, None)
    loop.lost, loop.ran = set(), []
    again = search(data, parts, options, tmp_path, resume=True)
    assert loop.ran == [1]
    assert again["best"]["number"] in (1, 3)


def test_if_all_fail_the_first_reason_is_given(data, parts, loop):
    options = replace(OPTIONS, tuning=TuningOptions(2, models=("ensemble",)))
    with pytest.raises(NoUsableSimulationsError, match=r"none of the 2 trials .* DatasetError: "):
        search(data, parts, options)


def test_a_trial_that_was_stopped_for_doing_badly_is_told_from_one_that_ended():
    from reionemu.pipeline.search import _trial

    def status(epochs: int, best_epoch: int) -> str:
        reported = {"best_epoch": best_epoch, "best_val_loss": 1.0, "val_error": 0.1}
        done = Finished(0, reported, [1.0] * epochs)
        return _trial(done, NETWORK, 200)["status"]

    assert status(15, 15) == status(30, 12) == "stopped"
    assert status(200, 190) == status(35, 15) == "completed"  # 20 epochs without a better one


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"number": 0}', '{"number": 1, "family": "gp"}', '{"number": NaN}'],
)
def test_a_damaged_trial_is_named(data, parts, loop, tmp_path, content):
    search(data, parts, OPTIONS, tmp_path)
    path = tmp_path / "trials/00000.json"
    path.write_text(content)
    with pytest.raises(RecordError, match=r"trials/00000\.json"):
        search(data, parts, OPTIONS, tmp_path, resume=True)
    path.unlink()
    search(data, parts, OPTIONS, tmp_path, resume=True)
    assert loop.ran[4:] == [0]


@pytest.mark.parametrize("content", ["", "[]", '{"request": 3}'])
def test_a_damaged_request_is_named(data, parts, loop, tmp_path, content):
    search(data, parts, OPTIONS, tmp_path)
    (tmp_path / "search.json").write_text(content)
    with pytest.raises(RecordError, match=r"search\.json"):
        search(data, parts, OPTIONS, tmp_path, resume=True)


def test_two_processes_do_not_search_in_one_folder(data, parts, loop, tmp_path):
    with exclusive(tmp_path / "search.json"), pytest.raises(FileBusyError, match="another process"):
        search(data, parts, OPTIONS, tmp_path)


def test_removing_a_search_leaves_what_is_not_of_it(data, parts, loop, tmp_path):
    folder = tmp_path / "root" / ".tuning" / "a"
    search(data, parts, OPTIONS, folder)
    (tmp_path / "root" / "mine").write_text("kept")
    SearchFolder(folder).remove()
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["mine"]
    search(data, parts, OPTIONS, folder)
    (folder / "trials" / "notes.json").write_text("kept")
    SearchFolder(folder).remove()
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["notes.json"]


def test_the_best_trial_says_which_model_and_how():
    best = with_best(OPTIONS, NETWORK)
    assert best.model == ModelOptions("four-param", 8, 1, "tanh")
    assert best.optimizer == OptimizerOptions("adam", 0.01, 1e-6)
    assert (best.dataloader.batch_size, best.fit.gradient_clipping) == (8, 1.0)
    assert (best.fit.epochs, best.fit.seed, best.split) == (50, 3, OPTIONS.split)
    assert with_best(best, PROCESS).model == GaussianProcessOptions(coordinates="plain")
    ensemble = {"family": "ensemble", "config": {"hidden_dim": 16, "learning_rate": 0.01}}
    assert with_best(best, ensemble).model == EnsembleModelOptions(
        hidden_dim=16, learning_rate=0.01
    )
    assert tables_of(ensemble) == {
        "model": {"name": "ensemble", "hidden_dim": 16, "learning_rate": 0.01}
    }


def test_what_is_not_searched_stays_as_it_was():
    dropout = ModelOptions("mc-dropout", 5, 5, "relu", 0.03)
    best = with_best(replace(OPTIONS, model=dropout), {**NETWORK, "family": "mc-dropout"})
    assert best.model == ModelOptions("mc-dropout", 8, 1, "tanh", 0.03)


def test_which_families_are_searched():
    every = ("gp", "ensemble", "mc-dropout", "four-param")
    assert TuningOptions().families(GaussianProcessOptions()) == every
    assert TuningOptions().families(ModelOptions("four-param")) == ("four-param",)
    assert TuningOptions(models=("gp",)).families(ModelOptions("four-param")) == ("gp",)
    with pytest.raises(ConfigError, match="did you mean 'ensemble'"):
        TuningOptions(models=("gp", "ensembel"))
    with pytest.raises(ConfigError, match="must name a model"):
        TuningOptions(models=())


def test_without_a_gpu_in_the_cluster_trials_do_not_wait_for_one(monkeypatch):
    import ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    with pytest.raises(ConfigError, match="no GPU in the Ray cluster"):
        trials._require_gpus(1)
    trials._require_gpus(0)
