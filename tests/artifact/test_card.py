"""The model card says what is recorded, says what is not, and cannot be made to say more."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import reionemu
from reionemu.artifact import model_card
from reionemu.artifact.formats.jsonio import encode
from reionemu.artifact.formats.sidecars import save_companions
from reionemu.artifact.sharing.accuracy import _interval
from reionemu.artifact.sharing.card import card
from reionemu.artifact.sharing.contents import Documents
from reionemu.errors import RecordError
from reionemu.models.suite import Suite

yaml = pytest.importorskip("yaml")
markdown_it = pytest.importorskip("markdown_it")

GOLDEN = Path(__file__).parent / "golden"
SECTIONS = [
    "What it predicts",
    "Where it may be asked",
    "Loading it",
    "Training data",
    "Model and training",
    "How accurate it is",
    "What it must not be used for",
    "Where it comes from",
]
ELL = [1500.0, 2500.0, 3500.0, 4500.0, 5500.0]


class Page(HTMLParser):
    """Tags, headings and text of a rendered card."""

    def __init__(self, text: str) -> None:
        super().__init__()
        _, front, body = text.split("---\n", 2)
        self.front = yaml.safe_load(front)
        self.tags: set[str] = set()
        self.headings: dict[str, list[str]] = {"h1": [], "h2": [], "h3": []}
        self.words = ""
        self._open = ""
        self.feed(markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(body))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self._open = tag
        if tag in self.headings:
            self.headings[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._open in self.headings:
            self.headings[self._open][-1] += data


def errors(n: int = 100, one: float = 0.68, two: float = 0.95) -> dict[str, object]:
    """Held-out errors as the pipeline records them."""
    each = {"mean": 0.01, "median": 0.02, "p95": 0.03, "max": 0.04, "mean_relative_std": 0.05}
    each |= {"coverage_1sigma": one, "coverage_2sigma": two}
    return {"n": n, "ell": ELL, **{key: [value] * 5 for key, value in each.items()}}


@pytest.fixture
def carded(save, mc_dropout):
    """`carded(**overrides)`: the card of a saved record."""

    def carded(**overrides: object) -> str:
        return model_card(reionemu.load_artifact(save(mc_dropout, **overrides)))

    return carded


@pytest.mark.parametrize(
    "path",
    [path.parent for path in sorted(GOLDEN.glob("*/*/info.json"))],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
@pytest.mark.filterwarnings("ignore:.*was written by a newer release")
def test_every_record_has_a_card_with_all_sections(path):
    page = Page(model_card(reionemu.load_artifact(path)))
    assert page.headings["h1"] == [path.name]
    assert page.headings["h2"] == SECTIONS
    assert page.front["library_name"] == "reionemu"
    assert "license" not in page.front
    assert ("mape" in page.front.get("metrics", [])) == (path.parent.name == "v1-companions")
    assert not page.tags & {"a", "img", "script"}


def test_what_is_not_recorded_is_said_to_be_so():
    text = model_card(reionemu.load_artifact(GOLDEN / "peer-0.4.0" / "without_dataset"))
    for fact in ("Quantity", "Bins of multipole", "Parameters", "simulations", "split", "commit"):
        assert re.search(rf"^(- )?{fact}: not recorded", text, re.MULTILINE), fact
    assert "simulations that the network has not seen: not recorded" in text
    assert re.search(r"emulator\(.*y_transform=\.\.\., .*bounds=\.\.\.\)", text)


def test_the_card_says_what_is_predicted_where_and_from_what(carded):
    text = carded(
        metrics={"val_loss": 0.0123456, "errors": errors()},
        results_summary={"held_out": "test", "n_samples": {"train": 15, "val": 4, "test": 5}},
        optimizer_config={"name": "adamw", "lr": 0.003},
        fit_config=reionemu.FitConfig(epochs=7),
        history={"train_loss": [1.0, 0.5], "val_loss": [1.0, 0.6]},
        description="A *trial*",
    )
    page = Page(text)
    assert "A *trial*" in page.words
    assert "D_ell" in page.words
    assert "uK^2" in page.words
    assert "at ell = 1500, 2500, 3500, 4500, 5500" in page.words
    assert "15 train, 4 val" in page.words
    assert "simulations: 24" in page.words
    assert "lr=0.003" in page.words
    assert "dropout_rate=0.25" in page.words
    assert "epochs: 2" in page.words
    assert "0.01235" in page.words
    assert f"reionemu {reionemu.__version__}" in page.words
    assert "from 1500 to 5500" in page.words
    assert page.front["metrics"] == ["mape"]


def test_the_box_is_the_recorded_one(save, mc_dropout):
    artifact = reionemu.load_artifact(save(mc_dropout))
    text = model_card(artifact)
    for name, (low, high) in artifact.info["dataset"]["parameter_ranges"].items():
        unit = " [h/Mpc]" if name == "kb_zre" else ""
        assert f"| `{name}`{unit} | {low:.4g} | {high:.4g} |" in text


@pytest.mark.parametrize("model", ["mc_dropout", "four_param"])
def test_the_code_on_the_card_runs_and_predicts(save, model, request, tmp_path, monkeypatch):
    path = save(request.getfixturevalue(model), "one's name")
    text = model_card(reionemu.load_artifact(path))
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(code, scope)
    prediction = scope["prediction"]
    np.testing.assert_array_equal(prediction.ell, ELL)
    assert np.all(np.isfinite(prediction.mean))
    assert (prediction.std is None) == (model == "four_param")
    assert ("Without an error bar" in text) == (model == "four_param")


VERDICTS = [
    (100, 0.68, 0.95, "is right**: of 100 simulations 68% (95% interval 58% to 76%) lie"),
    (100, 0.42, 0.62, "is too narrow"),
    (100, 0.68, 0.80, "is too narrow"),
    (100, 0.95, 1.0, "is too wide"),
    (9, 0.60, 0.90, "cannot be told from a right one"),
    (13, 0.75, 1.0, "cannot be told from a right one"),
    (9, 0.42, 0.62, "is too narrow"),
]


@pytest.mark.parametrize(("n", "one", "two", "verdict"), VERDICTS)
def test_an_error_bar_is_judged_by_how_often_it_was_right(carded, n, one, two, verdict):
    """As far as n simulations can tell; the numbers themselves are always there."""
    text = carded(metrics={"errors": errors(n, one, two)}, results_summary={"held_out": "test"})
    assert f"**The error bar {verdict}" in text
    for fraction, bars in ((one, "one"), (two, "two")):
        assert re.search(
            rf"{100 * fraction:.0f}% \(95% interval [^()]*\) lie within {bars}|"
            rf"{100 * fraction:.0f}% \(95% interval [^()]*\) within {bars} ",
            text,
        )
    assert ("simulations are few" in text) == (n < 30)
    assert "also chose the weights" not in text


@pytest.mark.parametrize(
    ("n", "found", "low", "high"), [(10, 0.5, 0.2366, 0.7634), (20, 0.0, 0.0, 0.1611)]
)
def test_the_interval_of_a_fraction_is_wilsons(n, found, low, high):
    """Numbers from Brown, Cai and DasGupta (2001), Statist. Sci. 16, 101, equation 4."""
    assert _interval(found, n) == pytest.approx((low, high), abs=1e-4)
    assert _interval(1 - found, n) == pytest.approx((1 - high, 1 - low), abs=1e-4)


@pytest.mark.parametrize("coverage", [-3.0, 7.0])
def test_fractions_that_are_none_do_no_harm(carded, coverage):
    text = carded(metrics={"errors": errors(50, coverage, coverage)})
    assert f"is too {'narrow' if coverage < 0 else 'wide'}" in text


FULL = {
    "mean_relative_error": 0.0123,
    "p95_relative_error": 0.0345,
    "worst_relative_error": 0.0678,
    "reduced_chi2": 1.07,
    "coverage": [0.681, 0.952, 0.997],
    "coverage_3sigma": [0.99] * 5,
    "history": {
        "tau": {
            "mean_relative_error": 0.0004,
            "p95_relative_error": 0.0009,
            "worst_relative_error": 0.002,
            "chi2": 1.1,
            "coverage": [0.7, 0.96, 1.0],
        },
        "x_hi": {"mean_error": 0.0005, "p99_error": 0.0021, "worst_error": 0.0087},
    },
    "suspect": {
        "parameter": "kb_zre",
        "too_narrow": True,
        "low": 0.3,
        "high": 0.61,
        "coverage": [0.4, 0.6, 0.8],
    },
}


def test_all_that_was_assessed_is_on_the_card(carded):
    text = carded(metrics={"errors": errors() | FULL}, results_summary={"held_out": "test"})
    for line in (
        "- spectrum, all bins: mean 1.23%, 95% below 3.45%, worst simulation 6.78%; "
        "reduced chi^2 1.07, 68.1%, 95.2%, 99.7% within 1, 2 and 3 sigma",
        "- optical depth: mean 0.04%, 95% below 0.09%, worst 0.20%; reduced chi^2 1.10, 70.0%",
        "- x_HI: mean 0.0005, 99% below 0.0021, worst 0.0087\n",
        "Where `kb_zre` is 0.3 to 0.61 it is too narrow, more than chance explains.",
        "| in 3 sigma |",
    ):
        assert line in text, line


@pytest.mark.parametrize(
    "damage",
    [
        {"mean_relative_error": "1%"},
        {"reduced_chi2": None},
        {"coverage": [0.5]},
        {"coverage_3sigma": [0.99] * 4},
        {"history": []},
        {"history": {"tau": 3, "x_hi": {"mean_error": {}}}},
        {"suspect": {**FULL["suspect"], "parameter": "<img>\x1b[31m"}},
        {"suspect": {**FULL["suspect"], "low": float("nan")}},
        {"suspect": 7},
    ],
)
def test_what_is_not_as_it_should_be_is_left_out_and_the_rest_is_there(carded, damage):
    text = carded(metrics={"errors": errors() | FULL | damage})
    assert "| ell | mean |" in text
    assert "<img>" not in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        (Suite("own"), "the mean over realizations. How much a single map scatters"),
        (Suite("shared"), "All simulations share one realization, and what is predicted is the"),
        (Suite("shared", 16), "share 16 realizations, of which each row is the mean"),
        (None, "what is predicted is the"),
    ],
)
def test_the_card_says_what_the_mean_is_the_mean_of(suite, said, tmp_path):
    golden = GOLDEN / "v1-companions" / "gaussian_process"
    path = Path(shutil.copytree(golden, tmp_path / "run"))
    companions = reionemu.load_artifact(path).companions()
    changed = replace(companions, suite=suite)
    save_companions(path, changed, filename="companions.safetensors")
    text = model_card(reionemu.load_artifact(path))
    assert (said in text) == (suite is not None)
    scatter = "the scatter between realizations of one universe: it predicts one" in text
    assert scatter == (suite is None or suite.realizations == "shared")


def test_errors_on_what_calibrated_the_error_bars_are_said_to_be_so(tmp_path):
    golden = GOLDEN / "v1-companions" / "gaussian_process"
    path = Path(shutil.copytree(golden, tmp_path / "run"))
    results = reionemu.read_json(path / "results.json")
    results["summary"]["held_out"] = "val"
    (path / "results.json").write_bytes(encode(results))
    text = model_card(reionemu.load_artifact(path))
    assert "**These simulations also calibrated the error bars**" in text
    assert "chose the weights" not in text


def test_a_run_that_has_not_completed_has_no_card(tmp_path):
    run = reionemu.start_artifact("run", tmp_path)
    with pytest.raises(RecordError, match=r"no card.*still running; wait"):
        model_card(reionemu.load_artifact(run.path))
    with pytest.raises(KeyError), run:
        raise KeyError("no luck")
    with pytest.raises(RecordError, match=r"no card.*the run failed: KeyError: 'no luck'"):
        model_card(reionemu.load_artifact(run.path))


def test_the_split_is_taken_from_the_lineage_if_the_summary_has_none():
    step = {"step": "split", "indices": {"val": [3], "test": [4, 5], "train": [0, 1, 2]}}
    record = Documents("x", {}, {}, {}, {"lineage": [None, step]}, None)
    assert "- split: 3 train, 1 val, 2 test\n" in card(record)


def test_what_needs_no_escape_has_none(carded):
    """Versions, hyphens in words, the end of a sentence."""
    text = carded(name="relu-h8_lr1e-3", description="Trained with 3.16.0+cpu: well-known, fine.")
    assert "\n# relu-h8_lr1e-3\n\nTrained with 3.16.0+cpu: well-known, fine.\n" in text
    provenance = {"software": {"torch": "2.13.0+cpu"}}
    assert "- software: torch 2.13.0+cpu\n" in card(Documents("x", {}, {}, {}, provenance, None))


def test_where_the_simulations_come_from_is_said_in_words():
    condense = {"raw_inventory": "ab" * 32, "sim_prefix": "sim"}
    text = card(Documents("x", {}, {"dataset_prep": {"condense": condense}}, {}, {}, None))
    assert f"- SHA-256 of the list of raw files: `{'ab' * 32}`\n" in text
    assert "- condensed with: `sim_prefix=sim`\n" in text


def test_errors_on_simulations_that_chose_the_weights_are_said_to_flatter(carded):
    text = carded(metrics={"errors": errors()}, results_summary={"held_out": "val"})
    assert "also chose the weights" in text


def test_errors_without_an_error_bar(save, four_param):
    found = {k: v for k, v in errors().items() if "coverage" not in k and "std" not in k}
    path = save(four_param, metrics={"errors": found}, results_summary={"held_out": "test"})
    text = model_card(reionemu.load_artifact(path))
    assert "| 1500 | 1.00% | 2.00% | 3.00% | 4.00% |\n" in text
    assert "error bar" not in text.split("## How accurate it is")[1].split("##")[0]


@pytest.mark.parametrize("broken", ["nan", "short", "text", "n"])
def test_errors_that_are_not_whole_are_not_shown(carded, broken):
    found = errors()
    found |= {
        "nan": {"mean": [float("nan")] * 5},
        "short": {"median": [0.1]},
        "text": {"p95": "<b>"},
        "n": {"n": "many"},
    }[broken]
    text = carded(metrics={"errors": found})
    assert "simulations that the network has not seen: not recorded" in text


TAGS = set(re.findall(r"\w+", "h1 h2 p ul li table thead tbody tr th td pre code strong"))

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://example.org/x.png)",
    "[click](javascript:alert(1))",
    "http://example.org www.example.org me@example.org",
    "<http://example.org>",
    "x\n\n# Heading\n\n---\nlicense: mit\n---\n",
    "```\n</code></pre><b>x</b>",
    "`code` **bold** _it_ ~~gone~~ | cell |",
    "&lt;b&gt; &#x3C;b&#x3E;",
    "\\<b>\\",
    "a\u202eb\x1b[31mc\x00\u200b\ud800",
    "- item\n1. item\n> quote",
    "[x]: http://example.org\n[x]",
    "<!-- comment",
    "${x} $$x$$ @user #1",
    "1. item",
    "1) item",
    "===",
    "x: - 2. y\n=\n===",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_text_of_the_record_stays_text(text):
    """In every place where a name or a description of the record is shown."""
    names = [text, text + "2"]
    ranges = {name: [1.0, 2.0] for name in names}
    dataset = {"param_names": names, "parameter_ranges": ranges, "y_transform": text}
    dataset |= {"y_source": text, "content_sha256": text, "n_samples": text}
    record = Documents(
        text,
        {"run_id": text, "description": text, "dataset": dataset, "created_at": text},
        {"model": {"class_name": text, text: text}, "optimizer": {text: [text]}},
        {"summary": {"n_samples": {text: 1}, "held_out": text}, "metrics": {"errors": errors()}},
        {"software": {text: text}, "code": {"commit": text}, "run": text},
        None,
    )
    result = card(record)
    assert all(c.isprintable() or c == "\n" for c in result)
    page = Page(result)
    assert page.tags <= TAGS
    assert len(page.headings["h1"]) == 1
    assert page.headings["h2"] == SECTIONS
    assert "license" not in page.front
    shown = " ".join(text.split())
    if shown.isprintable():
        assert shown in page.headings["h1"][0]
    compile(re.search(r"```python\n(.*?)```", result, re.DOTALL)[1], "card", "exec")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    re.findall(
        r"\w+",
        "dataset n_samples param_names parameter_ranges training_box ell y_source eps software "
        "code commit created_at description metrics errors n mean summary held_out history model "
        "dataset_prep build_xy condense wall_time_s run_id",
    )
)
DOCUMENTS = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=5)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, DOCUMENTS, DOCUMENTS, DOCUMENTS)
@example({"dataset": {"y_source": ["dl_ksz"], "n_samples": []}}, {}, {}, {})
def test_no_document_whatever_is_in_it_makes_a_card_of_another_shape(
    info, configs, results, provenance
):
    page = Page(card(Documents("x", info, configs, results, provenance, None)))
    assert page.headings["h2"] == SECTIONS
    assert not page.tags & {"a", "img", "script", "h3"}


def test_the_card_is_of_the_record_and_not_of_its_place(save, mc_dropout, tmp_path):
    path = save(mc_dropout)
    moved = Path(shutil.copytree(path, tmp_path / "elsewhere" / "renamed"))
    assert model_card(reionemu.load_artifact(moved)) == model_card(reionemu.load_artifact(path))
