"""reionemu infer: from band powers to a table, files, and an artifact."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reionemu as package
from reionemu.inference import BandPowers, load_posterior, write_band_powers

GOLDEN = Path(__file__).parents[1] / "artifact" / "golden" / "v1-companions"
DATASET = GOLDEN / "dataset.h5"
QUICK = ("--walkers", 12, "--steps", 60)

pytestmark = pytest.mark.filterwarnings("default::reionemu.ReionemuWarning")


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small emulator, `artifacts/gp`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(GOLDEN / "gaussian_process", "artifacts/gp")
    return Path("artifacts/gp")


@pytest.fixture
def held_out(artifact: Path) -> str:
    """The number of a simulation that it was not trained on."""
    steps = {s["step"]: s for s in package.load_artifact(artifact).provenance["lineage"]}
    return str(steps["split"]["indices"]["test"][0])


@pytest.fixture
def infer(reionemu: Callable, artifact: Path) -> Callable[..., Any]:
    return lambda *arguments: reionemu("infer", artifact, *arguments)


@pytest.fixture
def mock(infer: Callable, held_out: str) -> Callable[..., Any]:
    """`mock(*more)`: the command on a simulation, with a few steps."""
    return lambda *more: infer("--mock", held_out, "--dataset", DATASET, *QUICK, *more)


def rows(out: str) -> dict[str, list[str]]:
    """Cells of the table by parameter."""
    lines = [line.split("  ") for line in out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    return {line[0]: line[1:] for line in cells if len(line) >= 5}


def test_a_mock_gives_a_table_with_the_truth_and_a_record_beside_the_emulator(
    mock: Callable, held_out: str
) -> None:
    outcome = mock("--tau", "planck2018", "--prior", "kb=normal(0.8, 0.3)")
    assert outcome.code == 0, outcome.err
    name = f"gp-mock-of-sim{int(held_out):02d}"
    assert outcome.out.endswith(f"saved artifacts/{name}\n")
    posterior = load_posterior(Path("artifacts") / name)
    table = rows(outcome.out)
    assert [key for key in table if key != "parameter"] == list(posterior.all_names)
    assert table["parameter"] == ["median", "68%", "95%", "prior", "truth"]
    for row in posterior.summary():
        median, middle, _, prior, _ = table[row.name]
        half = (row.high68 - row.low68) / 2
        assert abs(float(median) - row.median) < 0.1 * half
        low, high = map(float, middle.split(" to "))
        assert abs(low - row.low68) < 0.1 * half > abs(high - row.high68)
        assert prior == posterior.priors.get(row.name, "derived")
    assert table["kb_zre"][3] == "normal(0.8, 0.3)"
    recorded = package.load_artifact(Path("artifacts") / name)
    truth = recorded.results["summary"]["truth"]
    assert float(table["tau"][4]) == pytest.approx(truth["tau"], rel=1e-3)
    assert f"chi^2 {posterior.predictive.chi2:.2f} of 5 band powers" in outcome.out
    assert f"emcee, NOT CONVERGED: {posterior.chains.log_prob.size} samples" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 100
    assert "not converged" in outcome.err
    assert recorded.configs["inference"]["tau"] == [0.0544, 0.0073]


def test_as_json_there_are_the_same_numbers_and_nothing_else(mock: Callable) -> None:
    outcome = mock("--json", "--name", "mine", "--out", "elsewhere")
    document = json.loads(outcome.out)
    assert document["path"].endswith("elsewhere/mine")
    posterior = load_posterior("elsewhere/mine")
    for row in posterior.summary():
        assert document["parameters"][row.name]["median"] == row.median
    assert document["is_converged"] is False
    assert document["diagnostics"]["n_steps"] == 60


def test_the_same_command_gives_the_same_samples(mock: Callable) -> None:
    for name in ("a", "b"):
        assert mock("--name", name).code == 0
    a, b = (load_posterior(f"artifacts/{name}") for name in ("a", "b"))
    np.testing.assert_array_equal(a.chains.samples, b.chains.samples)


def test_noise_and_errors_are_those_asked_for(mock: Callable) -> None:
    exact, noisy = (
        json.loads(mock("--json", "--name", "x", "--errors", "5%", *more).out) and _data("x")
        for more in ((), ("--noise-seed", "7"))
    )
    np.testing.assert_allclose(exact.std, 0.05 * exact.dl, rtol=1e-12)
    np.testing.assert_array_equal(noisy.std, exact.std)
    noise = np.random.default_rng(7).standard_normal(5)
    np.testing.assert_allclose(noisy.dl, exact.dl + exact.std * noise, rtol=1e-12)


def _data(name: str) -> BandPowers:
    return load_posterior(f"artifacts/{name}").data


def test_band_powers_come_from_files_and_from_records(infer: Callable) -> None:
    ell = np.array([2000.0, 3000.0])
    data = BandPowers("mine", ell, np.array([0.5, 0.5]), np.diag([0.01, 0.01]))
    write_band_powers(data, Path("mine.yaml"))
    for source in ("mine.yaml", "artifacts/gp-mine"):
        outcome = infer("--data", source, *QUICK)
        assert outcome.code == 0, outcome.err
        assert "truth" not in outcome.out
        assert _data("gp-mine").sha256 == data.sha256


def test_a_measurement_of_the_total_brings_the_late_time_effect(infer: Callable) -> None:
    outcome = infer("--measurement", "reichardt_2021", "--late-time", "2.0,0.5", *QUICK)
    assert outcome.code == 0, outcome.err
    posterior = load_posterior("artifacts/gp-reichardt_2021")
    assert posterior.names[-1] == "late_time_dl3000"
    assert package.load_artifact("artifacts/gp-reichardt_2021").configs["inference"][
        "late_time"
    ] == [2.0, 0.5]


def test_figures_and_a_table_are_written(mock: Callable) -> None:
    pytest.importorskip("matplotlib")
    outcome = mock("--figures", "figures", "--latex", "table.tex")
    assert outcome.code == 0, outcome.err
    assert {path.name for path in Path("figures").iterdir()} == {
        f"{name}.{form}" for name in ("corner", "spectrum", "history") for form in ("pdf", "png")
    }
    assert Path("table.tex").read_text().startswith(r"\begin{tabular}")
    assert "wrote figures/corner.pdf\n" in outcome.out
    printed = mock("--latex", "-")
    assert printed.out == Path("table.tex").read_text()


def test_what_has_to_be_known_is_said(infer: Callable, artifact: Path) -> None:
    steps = {s["step"]: s for s in package.load_artifact(artifact).provenance["lineage"]}
    row = steps["split"]["indices"]["train"][0]
    outcome = infer("--mock", row, "--dataset", DATASET, *QUICK)
    assert "warning: the emulator 'gaussian_process' was trained on sim" in outcome.err
    assert "warning: the samples are not converged" in outcome.err
    posterior = load_posterior(Path(outcome.out.splitlines()[-1].removeprefix("saved ")))
    (limits,) = [x for x in outcome.err.splitlines() if "runs into the prior of" in x] or [""]
    (wide,) = [x for x in outcome.err.splitlines() if "hardly constrain" in x] or [""]
    edges = {row.name: row.at_edge for row in posterior.summary()}
    assert limits or wide
    for name, edge in edges.items():
        assert (f"{name} ({edge} end)" in limits) == (edge in ("low", "high"))
        assert (name in wide) == (edge == "both")


def test_the_record_is_listed_shown_verified_exported(mock: Callable, reionemu: Callable) -> None:
    assert mock("--name", "p").code == 0
    listed = reionemu("artifact", "list", "artifacts", "--kind", "inference", "--json")
    assert [entry["name"] for entry in json.loads(listed.out)] == ["p"]
    assert "inference" in reionemu("artifact", "list", "artifacts").out
    shown = reionemu("artifact", "show", "artifacts/p")
    assert shown.code == 0, shown.err
    for words in (
        "kind        inference",
        "emulator    gaussian_process",
        "samples     not converged",
        "z50",
    ):
        assert words in shown.out
    verified = reionemu("artifact", "verify", "artifacts/p", "--notes")
    assert (verified.code, verified.out) == (0, "artifacts/p: ok\n")
    assert reionemu("artifact", "export", "artifacts/p", "-o", "p.zip").code == 0
    assert reionemu("artifact", "import", "p.zip", "more").code == 0
    assert "## What came out" in reionemu("artifact", "card", "more/p").out
    predicted = reionemu("predict", "artifacts/p", "--zmean", 8)
    assert (predicted.code, predicted.out) == (1, "")
    assert "is a posterior, and no emulator" in predicted.err


def test_verify_computes_densities_again(mock: Callable, reionemu: Callable) -> None:
    assert mock("--name", "p").code == 0
    shutil.rmtree("artifacts/gp")
    verified = reionemu("artifact", "verify", "artifacts/p", "--notes")
    assert verified.code == 0
    assert "densities were not compared: there is no artifact" in verified.out


MISTAKES = {
    "nothing": ((), "give one of --data FILE, --measurement NAME and --mock SIM"),
    "twice": (("--mock", "1", "--measurement", "gorce_2022"), "give one of --data FILE"),
    "measurement": (("--measurement", "reichardt"), "did you mean 'reichardt_2021'?"),
    "no-file": (("--data", "none.csv"), "none.csv does not exist"),
    "errors-of-data": (("--measurement", "gorce_2022", "--errors", "5%"), "--errors is for --mock"),
    "seed-of-data": (("--data", "x.csv", "--noise-seed", "0"), "--noise-seed is for --mock"),
    "dataset-gone": (("--mock", "1"), "does not exist; give it by its present name"),
    "errors": (("--mock", "1", "--errors", "much"), "--errors much: expected 10% or 0.1"),
    "errors-percent": (("--mock", "1", "--errors", "10"), "that is 1000%; for 10%, write it so"),
    "errors-sign": (("--mock", "1", "--errors", "-5%"), "--errors -5%: an error is above 0"),
    "tau-number": (("--mock", "1", "--tau", "0.05"), "expected MEAN,STD"),
    "late": (("--measurement", "gorce_2022", "--late-time", "2"), "such as 2.4,0.7"),
    "tau": (("--mock", "1", "--tau", "planck"), "did you mean 'planck2018'?"),
    "tau-pair": (("--mock", "1", "--tau", "0.05,-1"), "a standard deviation is above 0"),
    "prior": (("--mock", "1", "--prior", "kb"), "expected NAME=DIST(A,B)"),
    "prior-name": (("--mock", "1", "--prior", "kbb=normal(1,1)"), "kbb"),
    "sampler": (("--mock", "1", "--sampler", "nut"), "did you mean 'nuts'?"),
    "walkers": (("--mock", "1", "--sampler", "nested", "--walkers", "9"), "nested has no such"),
    "few": (("--mock", "1", "--walkers", "3"), "walkers must be a whole number >= 8"),
    "name": (("--mock", "1", "--name", "../x"), "cannot name an artifact"),
    "both": (("--mock", "1", "--json", "--latex", "-"), "both print"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    mistake: str, infer: Callable, artifact: Path
) -> None:
    arguments, message = MISTAKES[mistake]
    given = () if mistake == "dataset-gone" else ("--dataset", DATASET)
    if "--mock" not in arguments:
        given = ()
    outcome = infer(*arguments, *given)
    assert (outcome.code, outcome.out) == (1, "")
    last = outcome.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert [path.name for path in Path("artifacts").iterdir()] == ["gp"]


def test_a_posterior_is_not_taken_for_an_emulator(mock: Callable, reionemu: Callable) -> None:
    assert mock("--name", "p").code == 0
    outcome = reionemu("infer", "artifacts/p", "--mock", "1")
    assert (outcome.code, outcome.err) == (
        1,
        "error: artifacts/p is a posterior; infer takes the artifact of an emulator\n",
    )
