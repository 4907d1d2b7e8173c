"""The models that documents are checked with, and the JSON Schemas that are made of them."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reionemu
from reionemu.artifact.formats.arrays import safetensors_arrays
from reionemu.artifact.formats.documents import MODELS
from reionemu.artifact.formats.jsonio import decode
from reionemu.artifact.formats.schema import check, json_schema, schema_file, unknown_fields
from reionemu.errors import ConfigError

GOLDEN = Path(__file__).parent / "golden"
PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"
OURS = GOLDEN / "v1-provenance" / "four_param"
SHA = "0" * 64
POSTERIOR = {
    "version": 1,
    "posterior": {
        "names": ["alpha"],
        "derived": ["tau"],
        "sampler": "emcee",
        "is_converged": True,
        "criterion": "50 autocorrelation times were asked for, and 60 found",
        "diagnostics": {"n_steps": 3000, "log_evidence": {"$float": "nan"}},
        "priors": {"alpha": "uniform(0, 1)"},
        "facts": {"seed": 0},
    },
}
DATA = {
    "schema_version": 1,
    "band_powers": {"name": "two", "ell": [2e3, 3e3], "dl": [1.0, 2.0], "windows": None}
    | {"covariance": [[0.1, 0.0], [0.0, 0.1]], "map_area": None, "is_total": True},
}


def record_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(kind, JSON as it is in the file) of every document of a record."""
    for kind in ("info", "configs", "results", "provenance"):
        if (folder / f"{kind}.json").exists():
            yield kind, (folder / f"{kind}.json").read_bytes()
    if (folder / "history.jsonl").exists():
        for line in (folder / "history.jsonl").read_bytes().splitlines():
            yield "history", line
    if (folder / "weights.safetensors").exists():
        metadata = safetensors_arrays((folder / "weights.safetensors").read_bytes(), "it")[1]
        yield "weights", metadata["reionemu"].encode()


@lru_cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((PUBLISHED / schema_file(kind)).read_bytes())
    return jsonschema.Draft202012Validator(schema)


def assert_valid(folder: Path, kinds: set[str]) -> None:
    """Every document satisfies model and schema, nothing in it is unknown, and `kinds` occur."""
    found = list(record_files(folder))
    assert {kind for kind, _ in found} == kinds
    for kind, content in found:
        assert check(kind, decode(content, kind)) == []
        assert [e.message for e in validator(kind).iter_errors(json.loads(content))] == []


def test_the_published_schemas_are_those_of_the_code() -> None:
    published = {path.name: json.loads(path.read_bytes()) for path in PUBLISHED.iterdir()}
    generated = {schema_file(kind): json_schema(kind) for kind in MODELS}
    assert published == generated


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_is_explained_and_no_schema_names_a_host(kind: str) -> None:
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:reionemu:{kind}:1"
    models = [schema, *schema["$defs"].values()]
    unexplained = [
        f"{model['title']}.{name}"
        for model in models
        for name, field in model["properties"].items()
        if not field.get("description") and name != "$float"
    ]
    assert unexplained == []
    assert all(model.get("description") for model in models)


PEER_KINDS = {"info", "configs", "results"}
GOLDENS = [
    *((path, PEER_KINDS) for path in sorted((GOLDEN / "peer-0.4.0").glob("*/"))),
    (OURS, {*PEER_KINDS, "provenance", "weights"}),
    *(
        (path, {*PEER_KINDS, "provenance", "history"})
        for path in (GOLDEN / "v1-provenance" / ".runs" / "broken").iterdir()
    ),
]


@pytest.mark.parametrize(("folder", "kinds"), GOLDENS, ids=lambda value: getattr(value, "name", ""))
def test_golden_documents_are_valid_as_files_and_decoded(folder: Path, kinds: set[str]) -> None:
    assert_valid(folder, kinds)


@pytest.mark.parametrize("name", ["four_param", "mc_dropout"])
def test_documents_of_the_first_version_are_valid_once_migrated(name: str) -> None:
    for kind, content in record_files(GOLDEN / "v1" / name):
        document = decode(content, kind)
        assert check(kind, document) == []
        assert validator(kind).is_valid(json.loads(content)) == (kind != "weights")
        if kind == "weights":
            assert "version" not in document


def test_a_new_record_is_valid(save: Callable, four_param: Any) -> None:
    path = save(
        four_param,
        fit_config=reionemu.FitConfig(),
        kfold_config=reionemu.KFoldConfig(),
        cl_config=reionemu.ClConfig(),
        optimizer_config={"lr": math.inf},
        metrics={"worst": math.nan},
        history={"train_loss": [math.nan]},
    )
    assert_valid(path, {*PEER_KINDS, "provenance", "weights"})


def test_a_record_with_nothing_in_it_is_valid(tmp_path: Path) -> None:
    assert_valid(reionemu.save_artifact("run", tmp_path), {*PEER_KINDS, "provenance"})


def test_runs_that_go_on_and_fail_are_valid(tmp_path: Path, dataset: Path) -> None:
    kinds = {*PEER_KINDS, "provenance", "history"}
    run = reionemu.start_artifact("run", tmp_path, dataset_path=dataset)
    run.log(1, {"train_loss": 1.0, "val_loss": math.nan})
    assert_valid(run.path, kinds)
    run.fail(ArithmeticError("diverged"))
    assert_valid(run.path, kinds)
    assert reionemu.read_json(run.path / "results.json")["error"]["message"] == "diverged"


def test_the_stamps_of_a_dataset_are_valid(condensed_h5: Path) -> None:
    with h5py.File(condensed_h5) as h5:
        content = h5.attrs["reionemu_stages"]
    assert set(json.loads(content)) == {"condense", "spectra", "training_set"}
    assert check("stages", decode(content.encode(), "it")) == []
    assert validator("stages").is_valid(json.loads(content))


def document(kind: str) -> Any:
    """A document as it is in its file."""
    if kind == "stages":
        return {"condense": {"raw_inventory": SHA}, "spectra": {"nbins": 5}, "training_set": {}}
    if kind == "history":
        return {"epoch": 1, "train_loss": {"$float": "inf"}, "val_loss": 0.5}
    if kind == "companions":
        return {"version": 1, "companions": {"calibration": {"n": 24}, "suite": {"map_area": None}}}
    if kind == "posterior":
        return copy.deepcopy(POSTERIOR)
    if kind == "data":
        return copy.deepcopy(DATA)
    found = json.loads(dict(record_files(OURS))[kind])
    if kind == "provenance":
        found["code"] = {"directory": "/a", "commit": "f" * 40, "dirty": False}
        found["code"] |= {"diff": None, "diff_sha256": None}
        found["lineage"].insert(0, {"step": "raw", "path": "/raw", "inventory_sha256": SHA})
        found["lineage"].insert(2, {"step": "spectra", "config": {"nbins": 5}})
    return found


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths of everything in a document."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    for key, item in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from places(item, (*path, key))


def judged(kind: str, raw: Any) -> list[str]:
    """Where the model finds errors in a document as it is in its file."""
    problems = check(kind, decode(json.dumps(raw).encode(), kind))
    return [problem.path for problem in problems if problem.level == "error"]


@pytest.mark.parametrize(
    ("kind", "place", "value", "named"),
    [
        ("info", ("schema_version",), "1", "schema_version"),
        ("info", ("schema_version",), True, "schema_version"),
        ("info", ("schema_version",), 1.0, "schema_version"),
        ("info", ("dataset", "n_samples"), "24", "dataset.n_samples"),
        ("info", ("dataset", "n_samples"), -1, "dataset.n_samples"),
        ("info", ("dataset", "n_samples"), 24.0, "dataset.n_samples"),
        ("info", ("dataset", "eps"), True, "dataset.eps"),
        ("info", ("dataset", "ell", 2), "3", "dataset.ell[2]"),
        ("info", ("dataset", "parameter_ranges", "kb_zre"), [1], "dataset.parameter_ranges.kb_zre"),
        ("info", ("dataset", "has_tau"), 1, "dataset.has_tau"),
        ("info", ("dataset", "n_realizations"), -1, "dataset.n_realizations"),
        ("info", ("dataset", "history_sha256"), SHA[1:], "dataset.history_sha256"),
        ("info", ("created_at",), "yesterday", "created_at"),
        ("info", ("created_at",), "2026-11-23T13:16:50+00:00\n", "created_at"),
        ("info", ("artifacts", "weights"), None, "artifacts.weights"),
        ("info", ("artifacts", "more"), 3, "artifacts.more"),
        ("info", ("run_id",), 7, "run_id"),
        ("configs", ("training",), [], "training"),
        ("configs", ("training",), {"$float": "nan"}, "training"),
        ("configs", ("dataset_prep", "cl"), "x", "dataset_prep.cl"),
        ("results", ("history",), None, "history"),
        ("results", ("error",), {"type": "ValueError"}, "error.message"),
        ("provenance", ("lineage", 0, "path"), 3, "lineage[0].path"),
        ("provenance", ("lineage", 0, "step"), "cooked", "lineage[0]"),
        ("provenance", ("files", "info.json", "sha256"), SHA[1:], "files.info.json.sha256"),
        ("provenance", ("files", "info.json", "sha256"), SHA + "\n", "files.info.json.sha256"),
        ("provenance", ("seeds", "fit"), 2**64, "seeds.fit"),
        ("provenance", ("code", "dirty"), 0, "code.dirty"),
        ("provenance", ("script", "sha256"), SHA[1:], "script.sha256"),
        ("provenance", ("library", "dirty"), None, "library.dirty"),
        ("provenance", ("sessions", 0, "ended_at"), "later", "sessions[0].ended_at"),
        ("provenance", ("lineage", 1, "sha256"), "", "lineage[1].sha256"),
        ("provenance", ("self_test", "n_draws"), 10**9, "self_test.n_draws"),
        ("provenance", ("run",), "../../x", "run"),
        ("history", ("epoch",), 0, "epoch"),
        ("history", ("val_loss",), "0.5", "val_loss"),
        ("weights", ("model",), None, "model"),
        ("companions", ("companions",), [], "companions"),
        ("companions", ("companions", "suite"), None, "companions.suite"),
        ("info", ("kind",), "", "kind"),
        ("configs", ("inference",), {"seed": 0}, "inference.tau"),
        ("posterior", ("posterior", "names", 0), 3, "posterior.names[0]"),
        ("posterior", ("posterior", "is_converged"), 1, "posterior.is_converged"),
        ("posterior", ("posterior", "priors", "alpha"), [0, 1], "posterior.priors.alpha"),
        ("data", ("band_powers", "ell"), None, "band_powers.ell"),
        ("data", ("band_powers", "covariance", 0), "1", "band_powers.covariance[0]"),
        ("stages", ("spectra",), {"$float": "nan"}, "spectra"),
    ],
)
def test_a_wrong_value_is_named(kind: str, place: tuple, value: Any, named: str) -> None:
    raw = document(kind)
    assert judged(kind, raw) == []
    target = raw
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    assert named in judged(kind, raw)
    integral_float = isinstance(value, float) and value.is_integer()
    assert validator(kind).is_valid(raw) == integral_float  # the one thing it cannot tell


@pytest.mark.parametrize("kind", MODELS)
def test_a_required_key_that_is_not_there_is_named(kind: str) -> None:
    for key in json_schema(kind).get("required", ()):
        raw = document(kind)
        del raw[key]
        if key == "version":  # then it is of the first version of all
            continue
        assert judged(kind, raw) == [key]
        assert not validator(kind).is_valid(raw)


def test_unknown_fields_are_noted_wherever_they_are() -> None:
    raw = document("provenance")
    raw["colour"] = raw["platform"]["colour"] = raw["lineage"][1]["colour"] = 1
    raw["files"]["info.json"]["colour"] = raw["sessions"][0]["colour"] = raw["request"]["c"] = 1
    problems = check("provenance", decode(json.dumps(raw).encode(), "it"))
    assert {problem.level for problem in problems} == {"note"}
    assert sorted(problem.path for problem in problems) == [
        "colour",
        "files.info.json.colour",
        "lineage[1].colour",
        "platform.colour",
        "sessions[0].colour",
    ]
    assert "newer release" in problems[0].message
    assert validator("provenance").is_valid(raw)
    assert unknown_fields("history", {"epoch": 1, "anything": 2.0}) == []
    assert unknown_fields("provenance", {"lineage": [{"step": "new"}]}) == ["lineage[0]"]


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'inf'; there are info, "):
        check("inf", {})


@pytest.mark.parametrize("content", [b"3", b"[]", b"null", b'{"$float": "nan"}'])
def test_a_document_that_is_no_object_is_an_error(content: bytes) -> None:
    for kind in MODELS:
        assert [p.level for p in check(kind, decode(content, "it"))] == ["error"]
        assert not validator(kind).is_valid(json.loads(content))


def test_a_document_with_a_million_mistakes_is_judged_in_bounded_time() -> None:
    raw = document("provenance")
    raw["lineage"][-2]["indices"]["train"] = ["x"] * 1_000_000
    problems = check("provenance", raw)
    assert [p.message for p in problems] == ["1000000 things in it are not as expected"]


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats().filter(lambda x: not x.is_integer())
    | st.text(max_size=5)
    | st.sampled_from(["info.json", SHA, "2026-11-23T13:16:50+00:00", "raw", "split", "weights"])
    | st.sampled_from([{"$float": "nan"}, {"$float": "nano"}, {"$float": "inf", "x": 1}, {}, []])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "step", "path", "$float"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_model_and_schema_judge_any_change_alike(kind: str, data: st.DataObject) -> None:
    raw = document(kind)
    for _ in range(data.draw(st.integers(1, 3))):
        found = [place for place in places(raw) if "version" not in str(place[-1])]
        place = data.draw(st.sampled_from(found)) if found else ("new",)
        target = raw
        for key in place[:-1]:
            target = target[key]
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "remove" and found:
            del target[place[-1]]
        elif change == "add" and isinstance(target, dict):
            key = data.draw(st.sampled_from(["new", "error", "training_box", "software", "$float"]))
            target[key] = copy.deepcopy(data.draw(values))
        elif found:
            target[place[-1]] = copy.deepcopy(data.draw(values))
    assert (judged(kind, raw) == []) == validator(kind).is_valid(raw)
