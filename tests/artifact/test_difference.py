"""What is different between records: configurations, data, environment, metrics."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import reionemu
from reionemu.artifact import diff, load_artifact
from reionemu.artifact.collection.difference import Change
from reionemu.artifact.collection.side_by_side import compare
from reionemu.errors import ConfigError, RecordError

DATASET = {
    "path": "/data/a.h5",
    "fingerprint": {"path": "/data/a.h5", "file_size_bytes": 10, "modified_at": "2026-11-01"},
    "content_sha256": "1" * 64,
    "n_samples": 6,
}
SPLIT = {"step": "split", "indices": {"train": [0, 1, 2, 3], "val": [4, 5]}}


@pytest.fixture
def pair(tmp_path, write_record):
    """`pair(a, b)`: the artifacts with these documents ({"info": ..., ...})."""

    def pair(a: dict, b: dict):
        folders = [write_record(tmp_path / "a", **a), write_record(tmp_path / "b", **b)]
        return [load_artifact(folder) for folder in folders]

    return pair


def told(difference) -> dict[str, tuple[bool | None, str]]:
    return {step.step: (step.same, step.text) for step in difference.lineage}


def paths(changes) -> list[str]:
    return [change.path for change in changes]


def test_a_record_is_no_different_from_itself(save, four_param):
    artifact = load_artifact(save(four_param, metrics={"loss": float("nan"), "m": [1.0, 2.0]}))
    difference = diff(artifact, artifact)
    assert difference.is_empty
    assert [change.kind for change in difference.metrics] == ["same"] * 3
    assert told(difference)["training_set"] == (True, "the same arrays from the same file")
    assert told(difference)["weights"] == (True, "the same, bit for bit")


def test_configs_are_compared_by_dotted_path(pair):
    a = {"model": {"h": 8, "act": "silu"}, "training": {"lr": 1, "x": True}, "kfold": None}
    b = {"model": {"h": 16, "act": "silu"}, "training": {"lr": 1.0, "x": 1}, "kfold": {"k": 5}}
    difference = diff(*pair({"configs": a}, {"configs": b}))
    assert difference.configs == (
        Change("kfold.k", "only in b", None, 5),
        Change("model.h", "changed", 8, 16),
        Change("training.x", "changed", True, 1),
    )
    assert not difference.is_empty
    assert difference.dataset == difference.environment == difference.metrics == ()


def test_lists_are_compared_whole(pair):
    a, b = ({"dataset": {**DATASET, "ell": [1.0, ell]}} for ell in (2.0, 3.0))
    (change,) = diff(*pair({"info": a}, {"info": b})).dataset
    assert change == Change("dataset.ell", "changed", [1.0, 2.0], [1.0, 3.0])


def test_metrics_have_their_ratio(pair):
    a = {"metrics": {"loss": 0.5, "same": 1.0, "zero": 0.0, "e": {"mean": [1.0, 2.0]}}}
    b = {"metrics": {"loss": 0.25, "same": 1.0, "zero": 2.0, "e": {"mean": [3.0, 2.0]}, "new": 7}}
    difference = diff(*pair({"results": a}, {"results": b}))
    assert {change.path: change.ratio for change in difference.metrics} == {
        "metrics.loss": 0.5,
        "metrics.same": 1.0,
        "metrics.zero": None,
        "metrics.e.mean.0": 3.0,
        "metrics.e.mean.1": 1.0,
        "metrics.new": None,
    }
    assert [c.path for c in difference.metrics if c.kind == "same"] == [
        "metrics.e.mean.1",
        "metrics.same",
    ]


@pytest.mark.parametrize(
    ("a", "b"),
    [(1.0, float("nan")), (float("inf"), 1.0), (1.0, float("inf")), (0, 1), (1, "x"), (True, 2)],
)
def test_a_ratio_is_only_where_it_means_something(a, b):
    ratio = Change("m", "changed", a, b).ratio
    assert ratio is None or (a == float("inf") and ratio == 0.0)
    assert json.dumps(Change("m", "changed", 1, 10**400).to_mapping())


def test_environment_and_description(pair):
    a = {
        "info": {"description": "first"},
        "provenance": {
            "software": {"torch": "2.4"},
            "code": {"commit": "a", "dirty": False, "diff": None},
            "platform": {"host": "n1"},
            "command": ["reionemu", "train"],
        },
    }
    b = {
        "info": {"description": "second"},
        "provenance": {
            "software": {"torch": "2.5"},
            "code": {"commit": "a", "dirty": True, "diff": "long"},
            "platform": {"host": "n1"},
            "command": ["reionemu", "train", "a b"],
        },
    }
    difference = diff(*pair(a, b))
    assert paths(difference.record) == ["description"]
    assert {c.path: (c.a, c.b) for c in difference.environment} == {
        "software.torch": ("2.4", "2.5"),
        "code.dirty": (False, True),
        "command": ("reionemu train", "reionemu train 'a b'"),
    }


@pytest.mark.parametrize(
    ("changed", "same", "text"),
    [
        ({}, True, "the same arrays from the same file"),
        (
            {"fingerprint": {"path": "/data/b.h5"}},
            True,
            "the same arrays from another file: /data/a.h5 -> /data/b.h5",
        ),
        (
            {"fingerprint": {**DATASET["fingerprint"], "modified_at": "2026-11-02"}},
            True,
            "the same arrays, though the file was written anew",
        ),
        ({"content_sha256": "2" * 64}, False, "other arrays: in /data/a.h5"),
        (
            {"content_sha256": "2" * 64, "fingerprint": {"path": "/data/b.h5"}},
            False,
            "other arrays: /data/a.h5 -> /data/b.h5",
        ),
        ({"content_sha256": None}, True, "the same file, unchanged: /data/a.h5"),
        (
            {"content_sha256": None, "fingerprint": {"path": "/data/b.h5"}},
            None,
            "not known: a hash of the arrays is not in both records",
        ),
    ],
)
def test_arrays_are_told_apart_from_their_files(changed, same, text, pair):
    a, b = {"dataset": DATASET}, {"dataset": {**DATASET, **changed}}
    assert told(diff(*pair({"info": a}, {"info": b}))) == {"training_set": (same, text)}


@pytest.mark.parametrize(
    ("indices", "same", "text"),
    [
        ({"val": [5, 4], "train": [3, 2, 1, 0]}, True, "the same rows in every part"),
        ({"train": [0, 1, 2, 4], "val": [3, 5]}, False, "2 of 6 rows are in another part"),
        ({"train": [0, 1, 2, 3], "test": [4, 5]}, False, "2 of 6 rows are in another part"),
        ({"train": [0, 1, 2, 3], "val": [6, 7]}, False, "4 of 8 rows are in another part"),
        (None, None, "not recorded in B"),
        ([1], None, "not recorded in B"),
    ],
)
def test_splits_are_compared_row_by_row(indices, same, text, pair):
    a = {"provenance": {"lineage": [SPLIT]}}
    b = {"provenance": {"lineage": [{"step": "split", "indices": indices}]}}
    assert told(diff(*pair(a, b)))["split"] == (same, text)


def test_rows_of_other_arrays_are_said_to_be_so(pair):
    a, b = (
        {
            "info": {"dataset": {**DATASET, "content_sha256": digit * 64}},
            "provenance": {"lineage": [SPLIT]},
        }
        for digit in "12"
    )
    assert told(diff(*pair(a, b)))["split"] == (
        True,
        "the same rows in every part, of other arrays",
    )


def lineage(**changed):
    steps = {
        "raw": {"path": "/raw", "inventory_sha256": "1"},
        "condensed": {
            "path": "/c.h5",
            "file_size_bytes": 1,
            "modified_at": "t",
            "config": {"c": 1},
        },
        "spectra": {"config": {"nbins": 5}},
        "weights": {"content_sha256": "w"},
    }
    merged = {name: {**facts, **changed.get(name, {})} for name, facts in steps.items()}
    return {"provenance": {"lineage": [{"step": name, **s} for name, s in merged.items()]}}


@pytest.mark.parametrize(
    ("step", "changed", "same", "text"),
    [
        ("raw", {}, True, "the same simulations"),
        ("raw", {"path": "/other"}, True, "the same simulations, from /raw -> /other"),
        ("raw", {"inventory_sha256": "2"}, False, "other simulations: /raw"),
        ("raw", {"inventory_sha256": None}, None, "no inventory is recorded of /raw"),
        ("condensed", {}, True, "the same file: /c.h5"),
        ("condensed", {"modified_at": "u"}, False, "the file was changed in between: /c.h5"),
        ("condensed", {"path": "/d.h5"}, False, "another file: /c.h5 -> /d.h5"),
        ("spectra", {}, True, "the same options"),
        ("spectra", {"config": {"nbins": 6}}, False, "other options"),
        ("weights", {}, True, "the same, bit for bit"),
        ("weights", {"content_sha256": "v"}, False, "other weights"),
    ],
)
def test_each_step_of_the_lineage(step, changed, same, text, pair):
    difference = diff(*pair(lineage(), lineage(**{step: changed})))
    assert told(difference)[step] == (same, text)
    assert difference.is_empty is (same is not False)


def test_options_of_steps_that_configs_do_not_have_are_compared(pair):
    known = {"configs": {"dataset_prep": {"cl": {"nbins": 5}}}}
    other = lineage(spectra={"config": {"nbins": 6}})
    assert paths(diff(*pair(lineage(), other)).dataset) == ["lineage.spectra.config.nbins"]
    a, b = ({**document, **known} for document in (lineage(), other))
    assert diff(*pair(a, b)).dataset == ()


@pytest.mark.parametrize(
    "odd",
    [
        {"provenance": {"lineage": "x"}},
        {"provenance": {"lineage": [1, {"step": ["a"]}, {"step": "split", "indices": {"a": 5}}]}},
        {"provenance": {"lineage": [{"step": "split", "indices": {"a": ["x", None, [1]]}}]}},
        {"info": {"dataset": {"fingerprint": 5, "content_sha256": []}}},
        {"configs": {"dataset_prep": 5}},
        {"results": {"metrics": {"a": [{"b": [1]}, "x"]}, "summary": []}},
        {"provenance": {"code": "x", "software": [], "command": {"a": 1}}},
    ],
)
def test_odd_records_are_compared_as_far_as_they_go(odd, pair):
    good = {"info": {"dataset": DATASET}, **lineage()}
    for a, b in ((odd, good), (good, odd), (odd, odd)):
        try:
            artifacts = pair(a, b)
        except RecordError:
            continue  # refused on reading, which is as good
        assert diff(*artifacts).names == (str(artifacts[0].path), str(artifacts[1].path))


def test_a_difference_is_fit_for_json(save, four_param, mc_dropout, tmp_path):
    a = save(four_param, "a", metrics={"m": 1.0, "gone": float("nan")})
    b = save(mc_dropout, "b", metrics={"m": np.float32(2.0)}, description="b")
    document = diff(load_artifact(a), load_artifact(b)).to_mapping()
    assert (document["a"], document["b"]) == (str(a), str(b))
    assert {"path": "metrics.m", "kind": "changed", "a": 1.0, "b": 2.0, "ratio": 2.0} in document[
        "metrics"
    ]
    gone = document["metrics"][0]
    assert (gone["path"], gone["kind"], "b" in gone) == ("metrics.gone", "only in a", False)
    assert {"step": "weights", "same": False, "text": "other weights"} in document["lineage"]
    assert json.dumps(document)


# ---------------------------------------------------------------------- side by side


@pytest.fixture
def three(tmp_path, write_record) -> reionemu.Catalogue:
    """Records a, b, c that differ in one option, one list, a seed and their metrics."""
    for i, name in enumerate("abc"):
        write_record(
            tmp_path / "root" / name,
            info={"dataset": {"ell": [1.0, 2.0 + i], "eps": 0.5}, "new": i},
            configs={"model": {"h": 8 + i, "act": "silu"}, "kfold": {"k": 5} if i else None},
            results={"metrics": {"loss": 0.5, "errors": {"mean": [0.1, i]}}},
            provenance={"seeds": {"fit": i}},
        )
    return reionemu.catalogue(tmp_path / "root")


def test_side_by_side_is_what_differs_and_all_metrics(three):
    rows = {row.path: (row.section, row.values) for row in three.compare().rows}
    assert rows == {
        "kfold.k": ("configs", (None, 5, 5)),
        "model.h": ("configs", (8, 9, 10)),
        "dataset.ell": ("dataset", ([1.0, 2.0], [1.0, 3.0], [1.0, 4.0])),
        "metrics.loss": ("metrics", (0.5, 0.5, 0.5)),
    }
    assert next(row.present for row in three.compare().rows) == (False, True, True)


REPEATED = {
    "metrics": {
        "val_loss": 0.125,
        "other": 0.125,
        "test_mean_relative_error": 0.0625,
        "errors": {"mean_relative_error": 0.0625, "n": 13, "coverage": 1.0},
        "coverage": 1.0,
    },
    "summary": {"best_val_loss": 0.125, "n_samples": 45, "best_epoch": 3},
}


def test_a_number_is_shown_once(tmp_path, write_record):
    for i, name in enumerate("ab"):
        summary = {**REPEATED["summary"], "best_epoch": i}
        write_record(tmp_path / "root" / name, results={**REPEATED, "summary": summary})
    found = reionemu.catalogue(tmp_path / "root")
    assert [row.path for row in found.compare().rows] == [
        "metrics.coverage",
        "metrics.errors.coverage",
        "metrics.other",
        "metrics.test_mean_relative_error",
        "metrics.val_loss",
        "summary.best_epoch",
    ]
    everything = {row.path for row in found.compare(everything=True).rows}
    assert {"summary.best_val_loss", "metrics.errors.n", "summary.n_samples"} <= everything


def test_numbers_that_differ_somewhere_are_not_the_same(tmp_path, write_record):
    for name, best in {"a": 0.125, "b": 0.25}.items():
        results = {"metrics": {"val_loss": 0.125}, "summary": {"best_val_loss": best}}
        write_record(tmp_path / "root" / name, results=results)
    rows = reionemu.catalogue(tmp_path / "root").compare().rows
    assert [row.path for row in rows] == ["metrics.val_loss", "summary.best_val_loss"]


def test_side_by_side_of_everything(three):
    comparison = three.compare("c", "a", everything=True)
    rows = {row.path: row.values for row in comparison.rows}
    assert [entry.name for entry in comparison.entries] == ["c", "a"]
    assert rows["model.act"] == ("silu", "silu")
    assert rows["metrics.errors.mean"] == ([0.1, 2], [0.1, 0])
    assert rows["info.new"] == (2, 0)
    assert rows["name"] == ("c", "a")
    document = comparison.to_mapping()
    assert document["records"][0]["name"] == "c"
    assert {"section": "configs", "path": "model.h", "values": [10, 8]} in document["rows"]


def test_nothing_to_compare(tmp_path):
    with pytest.raises(ConfigError, match="no records to compare"):
        compare([])
    (tmp_path / "root").mkdir()
    with pytest.raises(RecordError, match="is called 'x'"):
        reionemu.catalogue(tmp_path / "root").compare("x")


def test_values_of_other_types_are_different(tmp_path, write_record):
    for name, value in zip("abcd", (1, True, "1", 1.0), strict=True):
        write_record(tmp_path / "root" / name, configs={"model": {"v": value}})
    found = reionemu.catalogue(Path(tmp_path / "root"))
    assert [row.path for row in found.compare("a", "b").rows] == ["model.v"]
    assert [row.path for row in found.compare("a", "c").rows] == ["model.v"]
    assert found.compare("a", "d").rows == ()
