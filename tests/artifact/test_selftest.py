"""Predictions kept in a record, by which a reader tells that it computes the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import reionemu
from reionemu.artifact.checking import selftest
from reionemu.artifact.checking.selftest import make_self_test, replay, tolerance
from reionemu.artifact.formats.sidecars import save_model_checkpoint, save_weights
from reionemu.artifact.lineage import weights_sha256
from reionemu.errors import ReionemuError
from reionemu.models import registry


class Wavy(torch.nn.Module):
    """A network that only PyTorch can evaluate."""

    def __init__(self, width: int, rate: float = 0.0) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(4, width), torch.nn.Linear(width, 5)
        self.dropout = torch.nn.Dropout(rate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.dropout(torch.sin(self.first(x))))


@pytest.fixture(autouse=True)
def _registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    registry.register_model(Wavy)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["four_param", "mc_dropout", "wavy", "wavy_dropout"])
def record(request: pytest.FixtureRequest, save: Callable) -> Path:
    """A record of each kind of model."""
    if not request.param.startswith("wavy"):
        return save(request.getfixturevalue(request.param))
    return save_wavy(save, 0.25 if request.param == "wavy_dropout" else 0.0)


def save_wavy(save: Callable, rate: float = 0.0) -> Path:
    torch.manual_seed(3)
    options = {"width": 6, "rate": rate}
    return save(Wavy(**options), model_config={"class_name": "Wavy", **options})


def test_of(path: Path) -> dict:
    return json.loads((path / "provenance.json").read_text())["self_test"]


test_of.__test__ = False


def scale_weights(path: Path, factor: float, reseal: Callable) -> None:
    """Other weights, with everything in the record that is a hash of them."""
    state = reionemu.load_artifact(path).model().state_dict()
    scaled = type(state)((name, value * factor) for name, value in state.items())
    scaled._metadata = state._metadata
    save_model_checkpoint(path, scaled)
    save_weights(path, scaled, filename="weights.safetensors")
    arrays = {name: value.numpy() for name, value in scaled.items()}
    reseal(path, lambda found: found["lineage"][-1].update(content_sha256=weights_sha256(arrays)))


def test_it_is_what_the_emulator_says_inside_its_box(record: Path) -> None:
    emulator, found = reionemu.load_artifact(record).emulator(), test_of(record)
    theta = np.array(found["theta"])
    assert theta.shape == (5, 4)
    assert len(np.unique(theta)) == 20
    assert not emulator.box.outside(theta).any()
    said = emulator.predict(theta, n_draws=found["n_draws"], seed=found["seed"])
    np.testing.assert_allclose(found["mean"], said.mean, rtol=1e-12)
    if said.std is None:
        assert found["std"] is None
    else:
        np.testing.assert_allclose(found["std"], said.std, rtol=1e-9)
        assert (said.std > 0).all()


def test_it_agrees_with_a_forward_pass_by_hand(save: Callable, four_param, dataset: Path) -> None:
    path = save(four_param)
    x = reionemu.load_normalizers(path / "normalizers.npz")["X"]
    inputs = torch.tensor((np.array(test_of(path)["theta"]) - x.mean) / x.std)
    with torch.no_grad():
        y = four_param.double()(inputs).numpy()
    np.testing.assert_allclose(test_of(path)["mean"], np.exp(y) - 1e-3, rtol=1e-9)


def test_the_same_record_gives_the_same_numbers(record: Path) -> None:
    artifact = reionemu.load_artifact(record)
    assert replay(artifact.emulator(), artifact.provenance["self_test"]) < 1e-12
    assert make_self_test(artifact) == test_of(record)
    assert artifact.verify().findings == ()


@pytest.mark.parametrize(("factor", "ok"), [(1 + 1e-3, False), (1 + 1e-8, True)])
def test_changed_weights_are_found_though_all_checksums_were_made_again(
    record: Path, reseal: Callable, factor: float, ok: bool
) -> None:
    before = (record / "weights.safetensors").read_bytes()
    scale_weights(record, factor, reseal)
    found = reionemu.load_artifact(record).verify()
    assert found.ok is ok
    if not ok:
        assert (record / "weights.safetensors").read_bytes() != before
        (finding,) = found.findings
        assert (finding.level, finding.where) == ("error", "self-test")
        assert "predictions differ by" in finding.message


def test_what_is_tolerated(save: Callable, four_param, mc_dropout) -> None:
    for model in (four_param, mc_dropout):
        assert tolerance(reionemu.load_artifact(save(model)).emulator()) == 1e-6
    assert tolerance(reionemu.load_artifact(save_wavy(save)).emulator()) == 1e-4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda test: None, 0.0),
        (lambda test: test["mean"][2].__setitem__(3, test["mean"][2][3] + 1.0), None),
        (lambda test: test["std"][0].__setitem__(0, float("nan")), np.inf),
        (lambda test: test["mean"][0].__setitem__(0, float("inf")), np.inf),
        (lambda test: test.update(std=None), np.inf),
        (lambda test: test["mean"].pop(), np.inf),
        (lambda test: [row.pop() for row in test["mean"]], np.inf),
        (lambda test: test.update(mean=5.0), np.inf),
        (lambda test: test["theta"][0].__setitem__(0, 99.0), np.inf),
    ],
)
def test_the_difference(save: Callable, mc_dropout, change: Callable, expected) -> None:
    artifact = reionemu.load_artifact(save(mc_dropout))
    test = artifact.provenance["self_test"]
    change(test)
    difference = replay(artifact.emulator(), test)
    if expected is None:
        expected = 1.0 / np.abs(test["mean"]).max()
    assert difference == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_of_a_deterministic_model_no_spread_is_expected(save: Callable, four_param) -> None:
    artifact = reionemu.load_artifact(save(four_param))
    test = artifact.provenance["self_test"]
    assert replay(artifact.emulator(), {**test, "std": test["mean"]}) == np.inf


@pytest.mark.parametrize(
    "change",
    [
        {"theta": [[1.0]]},
        {"theta": "x"},
        {"theta": [[1.0, 2.0], [3.0]]},
        {"theta": [[8.0, 0.5, 1.0, 0.5]] * 10_000},
        {"n_draws": 10**6},
        {"n_draws": None},
        {"n_draws": 1},
        {"seed": -1},
        {"mean": [["x"]]},
    ],
)
def test_what_is_no_test_is_refused_at_once(save: Callable, mc_dropout, change: dict) -> None:
    artifact = reionemu.load_artifact(save(mc_dropout))
    test = {**artifact.provenance["self_test"], **change}
    with pytest.raises((TypeError, ValueError, ReionemuError)):
        replay(artifact.emulator(), test)


def test_without_a_box_it_is_made_all_the_same(four_param: torch.nn.Module, tmp_path: Path) -> None:
    artifact = reionemu.load_artifact(
        reionemu.save_artifact("run", tmp_path, checkpoint=four_param.state_dict())
    )
    emulator = artifact.emulator(
        param_names=("a", "b", "c", "d"),
        y_transform="none",
        y_source="dl_ksz",
        ell=np.arange(5.0),
        bounds="unbounded",
        normalizers={},
    )
    assert artifact.provenance["self_test"] is None
    assert selftest._points(emulator).tolist() == [[0.0] * 4] * 5


def test_a_record_that_cannot_predict_has_none(tmp_path: Path, dataset: Path) -> None:
    for name, contents in {
        "nothing": {},
        "no weights": {"dataset_path": dataset},
        "some weights": {"checkpoint": {"w": torch.ones(2)}},
        "no model": {"dataset_path": dataset, "checkpoint": {"w": torch.ones(2)}},
    }.items():
        path = reionemu.save_artifact(name, tmp_path / "artifacts", **contents)
        assert test_of(path) is None
        found = reionemu.load_artifact(path).verify()
        assert found.ok
        assert [(f.level, f.where) for f in found.findings] == [("note", "self-test")]


def test_a_model_of_the_users_that_fails_is_no_reason_not_to_save(save: Callable) -> None:
    class Picky(Wavy):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise AttributeError("not today")

    registry.register_model(Picky)
    for options in ({"width": 6}, {"width": 6, "unknown": 1}):
        path = save(Picky(6), "picky", model_config={"class_name": "Picky", **options})
        assert test_of(path) is None
        assert reionemu.load_artifact(path).verify().ok


def test_a_class_that_is_not_known_here_is_a_warning(
    save: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_wavy(save)
    monkeypatch.delitem(registry._KINDS, "Wavy")
    found = reionemu.load_artifact(path).verify()
    assert found.ok
    (finding,) = found.findings
    assert (finding.level, finding.where) == ("warning", "self-test")
    assert "'Wavy' is not known" in finding.message


def test_a_class_that_fails_here_is_a_warning(
    save: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_wavy(save)

    def forward(self: Wavy, x: torch.Tensor) -> torch.Tensor:
        raise AttributeError("not on this machine")

    monkeypatch.setattr(Wavy, "forward", forward)
    (finding,) = reionemu.load_artifact(path).verify().findings
    assert (finding.level, finding.where) == ("warning", "self-test")
    assert "not on this machine" in finding.message


def test_weights_that_are_not_finite_are_compared_too(save: Callable, reseal: Callable) -> None:
    model = reionemu.FourParamEmulator(hidden_dim=2)
    with torch.no_grad():
        *_, bias = model.state_dict().values()
        bias[:2] = torch.tensor([float("nan"), float("inf")])
    path = save(model)
    mean = np.array(reionemu.load_artifact(path).provenance["self_test"]["mean"])
    assert np.isnan(mean[:, 0]).all()
    assert np.isposinf(mean[:, 1]).all()
    assert np.isfinite(mean[:, 2:]).all()
    assert reionemu.load_artifact(path).verify().findings == ()

    def swap(document: dict) -> None:
        for row in document["self_test"]["mean"]:
            row[0], row[1] = row[1], row[0]

    reseal(path, swap)
    (finding,) = reionemu.load_artifact(path).verify().findings
    assert finding.where == "self-test"


def test_neither_saving_nor_verifying_moves_the_random_numbers(save: Callable) -> None:
    torch.manual_seed(5)
    path = save_wavy(save, 0.25)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert reionemu.load_artifact(path).verify().ok
    assert torch.equal(torch.get_rng_state(), state)
    options = {"width": 6, "rate": 0.25}
    model = Wavy(**options)
    state = torch.get_rng_state()
    reionemu.save_artifact(
        "again",
        path.parent,
        dataset_path=path.parent.parent / "data.h5",
        normalizers={},
        checkpoint=model.state_dict(),
        model_config={"class_name": "Wavy", **options},
        dataloader_config={"normalize_X": False},
    )
    assert test_of(path.parent / "again") is not None
    assert torch.equal(torch.get_rng_state(), state)
