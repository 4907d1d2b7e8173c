"""The page that the artifact module was designed from: its workflow runs, its tables are true."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import reionemu

PAGE = (Path(__file__).parent / "pages" / "artifacts.txt").read_text()
FILES = ("info.json", "configs.json", "results.json")


def between(start: str, end: str) -> str:
    """The text of the page from `start` to `end`, both included."""
    begin = PAGE.index(start)
    return PAGE[begin : PAGE.index(end, begin) + len(end)]


def examples() -> dict[str, dict]:
    """The JSON documents printed on the page, by file name."""
    printed = [json.loads(text) for text in re.findall(r"^\{\n.*?^\}$", PAGE, re.S | re.M)]
    return dict(zip(FILES, printed, strict=True))


def helpers() -> list[tuple[str, list[str]]]:
    """(name, arguments) of each row of the table of helpers."""
    table = between("Helper Purpose", "Notes")
    rows = re.findall(r"^(\w+)\(([^)]*)\) ", table, re.M)
    return [(name, [a.strip() for a in arguments.split(",")]) for name, arguments in rows]


def places(document: object, prefix: str = "") -> Iterator[str]:
    """The path of every key of a document."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield f"{prefix}/{key}"
            yield from places(value, f"{prefix}/{key}")


@pytest.fixture
def workflow(condensed_h5: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """The names that the Typical Workflow defines, after running it in an empty folder."""
    code = between("from pathlib import Path\n", "print(artifact_dir)")
    assert code.count("path/to/condensed.h5") == 1
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(compile(code.replace("path/to/condensed.h5", str(condensed_h5)), "page", "exec"), names)
    return names


def test_the_workflow_makes_the_layout_on_the_page(
    workflow: dict,
) -> None:
    directory = workflow["artifact_dir"]
    assert directory == Path("artifacts/baseline_four_param").absolute()
    shown = re.findall(r"^        (\w+\.\w+)$", between("artifacts/\n", "model.pt"), re.M)
    assert shown == ["info.json", "configs.json", "results.json", "normalizers.npz", "model.pt"]
    assert {path.name for path in directory.iterdir()} == {
        *shown,
        "weights.safetensors",
        "provenance.json",
    }


def test_every_key_on_the_page_is_where_the_page_shows_it(workflow: dict) -> None:
    documented = examples()
    reionemu.save_artifact(
        "baseline_four_param",
        Path("artifacts"),
        dataset_path=workflow["h5_path"],
        dataloader_config=workflow["dataloader_config"],
        fit_config=workflow["fit_config"],
        model_config=documented["configs.json"]["model"],
        optimizer_config=documented["configs.json"]["optimizer"],
        history=workflow["history"],
        metrics=documented["results.json"]["metrics"],
        results_summary=documented["results.json"]["summary"],
        normalizers=workflow["normalizers"],
        checkpoint=workflow["model"].state_dict(),
        description="Baseline four-parameter emulator",
    )
    for file, document in documented.items():
        written = reionemu.read_json(Path("artifacts/baseline_four_param") / file)
        assert set(places(document)) - set(places(written)) == set()


def test_the_workflow_records_the_values_on_the_page(workflow: dict) -> None:
    def contains(larger: object, smaller: object) -> bool:
        if isinstance(smaller, dict):
            return all(contains(larger[key], value) for key, value in smaller.items())
        return larger == smaller

    configs = reionemu.read_json(workflow["artifact_dir"] / "configs.json")
    assert contains(configs, examples()["configs.json"])
    info = reionemu.read_json(workflow["artifact_dir"] / "info.json")
    assert info["artifacts"].items() >= examples()["info.json"]["artifacts"].items()
    assert info["dataset"]["path"] == str(workflow["h5_path"])
    assert info["dataset"]["n_samples"] == 24


def test_all_ten_rows_of_the_table_are_read() -> None:
    assert len({name for name, _ in helpers()}) == len(helpers()) == 10


@pytest.mark.parametrize(("name", "arguments"), helpers())
def test_a_helper_takes_the_arguments_on_the_page(name: str, arguments: list[str]) -> None:
    parameters = list(inspect.signature(getattr(reionemu, name)).parameters.values())
    shown = [argument for argument in arguments if argument != "..."]
    assert [parameter.name for parameter in parameters[: len(shown)]] == shown
    rest = parameters[len(shown) :]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in rest)
    if "..." not in arguments:
        assert all(parameter.default is not parameter.empty for parameter in rest)


def test_save_artifact_has_the_signature_on_the_page() -> None:
    printed = ast.parse(between("def save_artifact(", ") -> Path:") + " ...").body[0]
    source = ast.parse(inspect.getsource(reionemu.save_artifact)).body[0]
    assert ast.unparse(source.args) == ast.unparse(printed.args)
    assert ast.unparse(source.returns) == ast.unparse(printed.returns)


def test_the_saved_workflow_predicts(workflow: dict) -> None:
    import torch

    X, _, ell = reionemu.load_training_arrays(workflow["h5_path"])
    emulator = reionemu.load_artifact(workflow["artifact_dir"]).emulator()
    prediction = emulator.predict(X)
    norm = workflow["normalizers"]["X"]
    with torch.no_grad():
        log_dl = workflow["model"](torch.as_tensor((X - norm.mean) / norm.std)).numpy()
    np.testing.assert_allclose(prediction.mean, np.exp(log_dl), rtol=2e-6)
    np.testing.assert_allclose(prediction.ell, ell, rtol=1e-7)
    assert prediction.std is None
    assert prediction.quantity == "dl_ksz"
