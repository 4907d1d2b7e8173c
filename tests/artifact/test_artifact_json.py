"""JSON documents: strict for everyone, true to NaN and infinity, and all or nothing."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reionemu
from reionemu.artifact.formats.jsonio import MAX_BYTES, decode, encode
from reionemu.errors import MissingFileError, RecordError, UnrecordableError


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def same(one: Any, other: Any) -> bool:
    """Equality of documents in which NaN equals NaN and 1 does not equal 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or repr(one) == repr(other)
    return one == other


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text()
documents = st.dictionaries(
    st.text(),
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text(), inner).filter(lambda mapping: set(mapping) != {"$float"})
        ),
        max_leaves=12,
    ),
).filter(lambda mapping: set(mapping) != {"$float"})


@settings(max_examples=60, deadline=None)
@given(documents)
def test_any_document_is_strict_json_and_reads_back_as_itself(document: dict) -> None:
    content = encode({"document": document})
    json.loads(content, parse_constant=refuse)
    assert same(decode(content, "it"), {"document": document})


def test_nan_and_infinity_in_a_history_read_back_as_themselves(tmp_path: Path) -> None:
    history = {"train_loss": [1.0, math.nan, math.inf, -math.inf], "val_loss": np.array([np.nan])}
    path = reionemu.save_artifact("run", tmp_path, history=history, metrics={"a": {"b": math.inf}})
    json.loads((path / "results.json").read_text(), parse_constant=refuse)
    read = reionemu.read_json(path / "results.json")
    assert same(read["history"]["train_loss"], history["train_loss"])
    assert same(read["history"]["val_loss"], [math.nan])
    assert read["metrics"] == {"a": {"b": math.inf}}
    assert same(reionemu.load_artifact(path).results["history"], read["history"])


def test_bare_nan_of_other_writers_is_read(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"a": [NaN, Infinity, -Infinity]}')
    read = reionemu.read_json(tmp_path / "results.json")
    assert same(read, {"a": [math.nan, math.inf, -math.inf]})


def test_a_mapping_that_resembles_the_coding_of_nan_is_left_alone() -> None:
    document = {"a": {"$float": "nan", "b": 1}, "c": ["$float", "nan"]}
    assert decode(encode(document), "it") == document
    assert decode(b'{"a": {"$float": "seven"}}', "it") == {"a": {"$float": "seven"}}


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass(frozen=True)
class Inner:
    where: Path
    values: tuple[float, ...]


@dataclasses.dataclass
class Outer:
    inner: Inner
    colour: Colour


ACCEPTED = [
    (None, None),
    (True, True),
    (7, 7),
    (-0.0, -0.0),
    ("text \u00e9 \u2028 \ud800", "text \u00e9 \u2028 \\ud800"),
    ((1, 2.5), [1, 2.5]),
    ({"b", "a"}, ["a", "b"]),
    (frozenset({3}), [3]),
    (OrderedDict(a=1), {"a": 1}),
    (MappingProxyType({"a": (1,)}), {"a": [1]}),
    ({1: "one", 2.5: "x", None: 0}, {"1": "one", "2.5": "x", "None": 0}),
    (Path("a/b"), "a/b"),
    (PurePosixPath("/c"), "/c"),
    (datetime.date(2026, 4, 27), "2026-04-27"),
    (datetime.datetime(2026, 4, 27, 1, 2, 3), "2026-04-27T01:02:03"),
    (datetime.time(1, 2), "01:02:00"),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (
        Outer(Inner(Path("p"), (1.0, math.inf)), Colour.RED),
        {"inner": {"where": "p", "values": [1.0, math.inf]}, "colour": "red"},
    ),
    (np.bool_(True), True),
    (np.int8(-3), -3),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.float16(0.5), 0.5),
    (np.float32("nan"), math.nan),
    (np.longdouble("0.25"), 0.25),
    (np.str_("s"), "s"),
    (np.bytes_(b"s"), "s"),
    (np.array([b"ab", b"\xff"]), ["ab", "\\xff"]),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    (np.array(3.0), 3.0),
    (np.array([], dtype=float), []),
    (torch.tensor([[1.0, math.nan]], requires_grad=True), [[1.0, math.nan]]),
    (torch.tensor(2), 2),
    (torch.nn.Parameter(torch.ones(1)), [1.0]),
    (torch.tensor([0.5], dtype=torch.bfloat16), [0.5]),
    (torch.device("cpu"), "cpu"),
    (torch.float32, "torch.float32"),
    (
        reionemu.ClConfig(),
        {
            "nbins": 5,
            "ell_cut": 1000.0,
            "overwrite": True,
            "sims_group": "sims",
            "estimator": "flat-sky",
            "edges": None,
            "window": "hann",
            "pixel_window": False,
            "noise_cl": 0.0,
        },
    ),
]


@pytest.mark.parametrize(("value", "read"), ACCEPTED, ids=lambda v: type(v).__name__)
def test_what_a_value_reads_back_as(value: Any, read: Any) -> None:
    assert same(decode(encode({"a": [value]}), "it"), {"a": [read]})


cyclic: list = []
cyclic.append(cyclic)

UNRECORDABLE = [
    ({"lr": object()}, "fit_config.lr"),
    ({"a": [0, {"b": 1j}]}, "fit_config.a[1].b"),
    ({"f": print}, "fit_config.f"),
    ({"c": Colour}, "fit_config.c"),
    ({"b": b"bytes"}, "fit_config.b"),
    ({"t": np.datetime64("2020")}, "fit_config.t"),
    ({"o": np.array([None])}, "fit_config.o"),
    ({"n": 10**5000}, "fit_config.n"),
    ({"k": {(1, 2): 3}}, "fit_config.k"),
    ({"k": {1: 0, "1": 1}}, "fit_config.k"),
    ({"k": {"$float": "nan"}}, "fit_config.k"),
    ({"cycle": cyclic}, "fit_config.cycle"),
    ({"g": (i for i in ())}, "fit_config.g"),
    ({"m": torch.nn.Linear(1, 1)}, "fit_config.m"),
]


@pytest.mark.parametrize(("config", "place"), UNRECORDABLE, ids=[p for _, p in UNRECORDABLE])
def test_a_value_that_cannot_be_recorded_is_named_and_nothing_changes(
    config: dict, place: str, tmp_path: Path, snapshot: Callable
) -> None:
    reionemu.save_artifact("run", tmp_path, metrics={"a": 1}, checkpoint={"w": torch.ones(1)})
    before = snapshot(tmp_path)
    for name in ("run", "new"):
        with pytest.raises(UnrecordableError) as caught:
            reionemu.save_artifact(name, tmp_path, fit_config=config)
        assert place in str(caught.value)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, ValueError)
    with pytest.raises(UnrecordableError):
        reionemu.save_configs(tmp_path / "run", fit_config=config)
    assert snapshot(tmp_path) == before


def test_an_unrecordable_result_changes_nothing(tmp_path: Path, snapshot: Callable) -> None:
    reionemu.save_artifact("run", tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(UnrecordableError, match=r"metrics\.loss is of type function"):
        reionemu.save_artifact("run", tmp_path, metrics={"loss": refuse})
    with pytest.raises(UnrecordableError, match="summary"):
        reionemu.save_results(tmp_path / "run", summary={"s": {1: 1, "1": 2}})
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a": 1,}',
        b"\x80\x04pickle",
        b"\xff\xfe\x00",
        b'{"n": ' + b"1" * 5000 + b"}",
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
    ids=["empty", "torn", "comma", "pickle", "bytes", "digits", "deep-list", "deep-object"],
)
def test_what_is_not_a_record_is_refused_at_once(content: bytes, tmp_path: Path) -> None:
    path = reionemu.save_artifact("run", tmp_path)
    for file in ("info.json", "configs.json"):
        (path / file).write_bytes(content)
        start = time.perf_counter()
        with pytest.raises(RecordError, match=file):
            reionemu.read_json(path / file)
        with pytest.raises(RecordError, match=r"info\.json"):
            reionemu.load_artifact(path)
        assert time.perf_counter() - start < 5


@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b'"text"'])
def test_a_document_that_is_not_an_object_is_no_artifact(content: bytes, tmp_path: Path) -> None:
    path = reionemu.save_artifact("run", tmp_path)
    (path / "info.json").write_bytes(content)
    with pytest.raises(RecordError, match="not a JSON object"):
        reionemu.load_artifact(path)


def test_a_huge_file_is_refused_in_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    with open(path, "wb") as file:
        file.truncate(MAX_BYTES * 64)  # sparse
    start = time.perf_counter()
    with pytest.raises(RecordError, match="larger than"):
        reionemu.read_json(path)
    assert time.perf_counter() - start < 10


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no\.json does not exist"):
        reionemu.read_json(tmp_path / "no.json")
    with pytest.raises(RecordError, match="is a folder"):
        reionemu.read_json(tmp_path)
