"""reionemu artifact show: all that made a record, on one screen, whoever wrote it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import reionemu as package
from reionemu.artifact.provenance import seal
from reionemu.cli.artifact import show, tables

GOLDEN = Path(__file__).parents[1] / "artifact" / "golden"
ESCAPE = "\x1b[31mred\x07"


def labelled(text: str) -> dict[str, str]:
    """What follows each label, continuation lines joined to theirs."""
    found: dict[str, str] = {}
    label = ""
    for line in text.split("\n\n")[0].splitlines():
        label = line[:12].strip() or label
        assert line[11:12] in ("", " "), line
        found[label] = f"{found[label]} {line[12:]}" if label in found else line[12:]
    return found


def edit_provenance(folder: Path, **changes: object) -> None:
    path = folder / "provenance.json"
    path.write_bytes(seal({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = package.MCDropoutEmulator(hidden_dim=6, dropout_rate=0.25)
    return package.save_artifact(
        "group/run",
        Path("artifacts"),
        description=f"a trial {ESCAPE}",
        checkpoint=model.state_dict(),
        optimizer_config={"name": "adamw", "lr": 0.003},
        fit_config=package.FitConfig(epochs=7),
        metrics={"val_loss": 0.0123456},
        results_summary={"epochs_run": 5, "best_epoch": 4, "n_samples": {"val": 4, "train": 15}},
    )


def test_what_made_a_record(reionemu: Callable, record: Path) -> None:
    edit_provenance(
        record,
        command=["/usr/bin/reionemu", "train", "my file.h5", ESCAPE],
        started_at="2026-11-23T15:45:41.2+00:00",
        wall_time_s=7530.0,
        sessions=[
            {"started_at": "2026-11-23T15:45:41+00:00", "host": "one", "from_epoch": 0},
            {"started_at": "2026-11-23T16:45:41+00:00", "host": "two", "from_epoch": 3},
        ],
        code={"directory": "/src", "commit": "0123456789abcdef" * 2, "dirty": True},
        seeds={"fit": 42},
        software={"torch": "2.13.0"},
    )
    outcome = reionemu("artifact", "show", record)
    assert (outcome.code, outcome.err) == (0, "")
    shown = labelled(outcome.out)
    assert shown["name"] == "group/run"
    assert shown["status"] == "completed"
    assert shown["description"] == r"a trial \x1b[31mred\x07"
    assert shown["run"].startswith("began 2026-11-23 15:45:41 UTC, took 2.09 h, on one, two (")
    assert shown["run"].endswith("resumed after epoch 3")
    assert shown["command"].startswith(r"reionemu train 'my file.h5' '\x1b[31mred\x07' in /")
    assert shown["commit"] == "0123456789ab, with changes not committed (/src)"
    assert shown["software"] == "torch 2.13.0"
    assert shown["seeds"] == "fit=42"
    assert shown["split"] == "15 train, 4 val"
    assert shown["optimizer"] == "adamw (lr=0.003)"
    assert "epochs=7" in shown["training"]
    assert shown["epochs"] == "5; weights of epoch 4"
    assert shown["metrics"] == "val_loss 0.01235"
    # configs.json has no model: it is told by the weights
    assert shown["model"].startswith("MCDropoutEmulator (")
    assert "dropout_rate=0.25" in shown["model"]


def test_as_json_there_is_all_of_it(reionemu: Callable, record: Path) -> None:
    document = json.loads(reionemu("artifact", "show", record, "--json").out)
    assert set(document) == {"info", "configs", "results", "provenance"}
    assert document["provenance"] == json.loads((record / "provenance.json").read_text())


def test_of_a_failed_run_the_error(reionemu: Callable, record: Path) -> None:
    run = package.start_artifact("bad", Path("artifacts"))
    with pytest.raises(ValueError), run:
        raise ValueError("out of\nluck")
    outcome = reionemu("artifact", "show", "artifacts/bad")
    shown = labelled(outcome.out)
    assert shown["status"].startswith("failed")
    place = Path(os.path.relpath(run.path))
    command = f"reionemu artifact show {place} --json"
    assert shown["error"] == f"ValueError: out of luck (traceback: {command})"
    document = json.loads(reionemu("artifact", "show", run.path, "--json").out)
    assert "Traceback" in document["results"]["error"]["traceback"]


def test_of_a_run_that_goes_on_how_far_it_is(reionemu: Callable, record: Path) -> None:
    with package.start_artifact("live", Path("artifacts")) as run:
        for epoch in (1, 2):
            run.log(epoch, {"train_loss": 1.0})
        shown = labelled(reionemu("artifact", "show", "artifacts/live").out)
        assert shown["status"] == "running, epoch 2"


@pytest.mark.parametrize(
    "path", [p.parent for p in sorted(GOLDEN.glob("*/*/info.json"))], ids=lambda p: p.name
)
@pytest.mark.filterwarnings("default")
def test_records_of_other_releases(reionemu: Callable, path: Path) -> None:
    outcome = reionemu("artifact", "show", path)
    assert outcome.code == 0
    shown = labelled(outcome.out)
    info = json.loads((path / "info.json").read_text())
    assert shown["name"] == info["experiment_name"]
    assert shown["model"] != "not recorded"


def test_a_gaussian_process_is_shown_by_what_it_is_worth(reionemu: Callable) -> None:
    path = GOLDEN / "v1-companions" / "gaussian_process"
    outcome = reionemu("artifact", "show", path)
    shown = labelled(outcome.out)
    assert shown["model"] == "GaussianProcess (coordinates=physical)"
    assert not {"optimizer", "training", "epochs"} & shown.keys()
    assert shown["simulations"] == "all share one realization"
    assert shown["history"] == "tau and x_HI(z) are emulated, too"
    assert shown["error bars"] == "calibrated on 24 simulations that were not trained on"
    errors = json.loads((path / "results.json").read_text())["metrics"]["errors"]
    table = outcome.out.partition("6 test simulations\n")[2]
    assert "in 3 sigma" in table
    assert f"all bins: mean {100 * errors['mean_relative_error']:.2f}%, 95% " in table
    assert f"; chi^2 {errors['reduced_chi2']:.2f}, " in table


def test_a_network_with_companions_has_its_options_too(reionemu: Callable) -> None:
    outcome = reionemu("artifact", "show", GOLDEN / "v1-companions" / "mc_dropout")
    shown = labelled(outcome.out)
    assert shown["model"].startswith("MCDropoutEmulator (activation=tanh, dropout_rate=0.1, ")
    assert shown["optimizer"].startswith("adamw (")
    assert shown["error bars"] == "calibrated on 6 simulations that were not trained on"


def test_companions_that_cannot_be_read_are_passed_over(reionemu: Callable, tmp_path: Path) -> None:
    source = GOLDEN / "v1-companions" / "gaussian_process"
    path = Path(shutil.copytree(source, tmp_path / "run"))
    (path / "companions.safetensors").write_bytes(b"x")
    outcome = reionemu("artifact", "show", path)
    assert outcome.code == 0
    assert "error bars" not in labelled(outcome.out)


@pytest.mark.parametrize("damage", [{"sessions": 3}, {"command": "x"}, {"code": []}, {"seeds": 1}])
def test_provenance_of_other_types(reionemu: Callable, record: Path, damage: dict) -> None:
    edit_provenance(record, **damage)
    outcome = reionemu("artifact", "show", record)
    assert outcome.code == 0
    assert labelled(outcome.out)["name"] == "group/run"


def test_on_a_terminal_lines_are_broken_to_fit(
    reionemu: Callable, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = labelled(reionemu("artifact", "show", record).out)
    for module in (tables, show):
        monkeypatch.setattr(module, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    text = reionemu("artifact", "show", record).out
    assert max(len(line) for line in text.splitlines() if " " in line[12:]) <= 60
    assert labelled(text)["model"] == whole["model"]
