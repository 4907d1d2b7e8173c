"""The RO-Crate metadata of a record: well formed, true to the files, and nothing made up."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reionemu
from reionemu.artifact import export_artifact, ro_crate
from reionemu.artifact.sharing.contents import Documents
from reionemu.artifact.sharing.crate import crate
from reionemu.errors import RecordError

GOLDEN = Path(__file__).parent / "golden"
PEER = GOLDEN / "peer-0.4.0"


@pytest.fixture
def record(save, four_param) -> Path:
    metrics = {"val_loss": 0.25, "diverged": float("nan"), "a.b": 1, "a": {"b": 2}}
    return save(
        four_param,
        "first",
        metrics=metrics,
        history={"train_loss": [1.0] * 100},
        fit_config=reionemu.FitConfig(epochs=7),
        description="A trial",
    )


def entities(document: dict) -> dict[str, dict]:
    """Entities by identifier, after checking that each is there once."""
    graph = document["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph)
    return found


def links(value: object) -> list[str]:
    """All identifiers that a value refers to."""
    if isinstance(value, dict):
        return [value["@id"]]
    return [link for item in value for link in links(item)] if isinstance(value, list) else []


def check_well_formed(document: dict) -> None:
    """What RO-Crate 1.1 demands of any crate, and that no link leads nowhere."""
    json.dumps(document, allow_nan=False)
    found = entities(document)
    descriptor = found["ro-crate-metadata.json"]
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert descriptor["about"] == {"@id": "./"}
    root = found["./"]
    assert root["@type"] == "Dataset"
    assert root["name"]
    assert root["description"]
    assert root["license"]["@id"] in found
    files = {key for key, entity in found.items() if entity["@type"] == "File"}
    assert set(links(root["hasPart"])) == files
    referred = {"ro-crate-metadata.json", "./"}
    for entity in found.values():
        assert entity["@type"]
        for key, value in entity.items():
            if key != "@id":
                referred |= set(links(value))
    missing = {link for link in referred - found.keys() if not urlsplit(link).scheme}
    assert missing == set()
    assert found.keys() <= referred


@pytest.mark.parametrize(
    "path",
    [path.parent for path in sorted(GOLDEN.glob("*/*/info.json"))],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
@pytest.mark.filterwarnings("ignore:.*was written by a newer release")
def test_crates_of_records_of_every_release_are_well_formed(path):
    document = ro_crate(reionemu.load_artifact(path))
    check_well_formed(document)
    for entity in document["@graph"]:
        if entity["@type"] == "File":
            content = (path / entity["name"]).read_bytes()
            assert entity["sha256"] == hashlib.sha256(content).hexdigest()
            assert entity["contentSize"] == str(len(content))


def test_the_crate_tells_what_made_the_weights(record):
    artifact = reionemu.load_artifact(record)
    document = ro_crate(artifact)
    check_well_formed(document)
    found = entities(document)
    assert found["./"]["name"] == "first"
    assert found["./"]["description"] == "A trial"
    assert found["./"]["datePublished"][:19] == artifact.info["created_at"][:19]
    assert found["./"]["conformsTo"] == {"@id": "https://w3id.org/ro/wfrun/process/0.5"}
    action = found["#training"]
    assert action["@type"] == "CreateAction"
    assert links(found["./"]["mentions"]) == ["#training"]
    program = found[action["instrument"]["@id"]]
    assert (program["name"], program["softwareVersion"]) == ("reionemu", reionemu.__version__)
    needed = {found[link]["name"] for link in links(program["softwareRequirements"])}
    assert {"Python", "NumPy", "PyTorch"} <= needed
    assert {"weights.safetensors", "model.pt"} <= set(links(action["result"]))
    data = found["#training-data"]
    assert data["sha256"] == artifact.info["dataset"]["content_sha256"]
    assert "24 simulations" in data["description"]
    assert "#training-data" in links(action["object"])


def test_a_script_is_the_program_that_trained():
    artifact = reionemu.load_artifact(GOLDEN / "v1-provenance" / "four_param")
    found = entities(ro_crate(artifact))
    script = found[found["#training"]["instrument"]["@id"]]
    assert (script["@type"], script["name"]) == ("SoftwareSourceCode", "make_v1_provenance.py")
    assert script["sha256"] == artifact.provenance["script"]["sha256"]
    (library,) = links(script["softwareRequirements"])
    assert found[library]["name"] == "reionemu"
    assert "/tmp/" not in json.dumps(list(found.values()))


def test_a_run_that_was_resumed_took_several_sessions():
    software = {"reionemu": "1.0"}
    for sessions, text in (([{}], "parameters"), ([{}, {}, {}], "parameters, in 3 sessions")):
        provenance = {"software": software, "sessions": sessions}
        record = Documents("x", {}, {}, {}, provenance, None)
        action = entities(crate(record, {"info.json": b"{}"}))["#training"]
        assert action["description"].endswith(text)


def test_options_and_metrics_are_named_values(record):
    document = ro_crate(reionemu.load_artifact(record))
    found = entities(document)
    action = found["#training"]
    inputs = {found[link]["name"]: found[link].get("value") for link in links(action["object"])}
    assert inputs["training.epochs"] == 7
    assert inputs["data_loading.dataloader.batch_size"] == 8
    outputs = {found[link]["name"]: found[link].get("value") for link in links(action["result"])}
    assert outputs["val_loss"] == 0.25
    assert outputs["diverged"] == "nan"
    assert outputs["a.b"] == 2
    assert outputs["a%2Eb"] == 1


def test_what_is_not_recorded_is_not_made_up():
    document = ro_crate(reionemu.load_artifact(PEER / "with_dataset"))
    found = entities(document)
    assert {entity["@type"] for entity in found.values()}.isdisjoint(
        {"Person", "Organization", "SoftwareApplication"}
    )
    assert "instrument" not in found["#training"]
    assert "startTime" not in found["#training"]
    assert "conformsTo" not in found["./"]
    assert "author" not in found["./"]
    assert found[found["./"]["license"]["@id"]]["name"] == "Not recorded"
    assert "sha256" not in found["#training-data"]
    without = entities(ro_crate(reionemu.load_artifact(PEER / "without_dataset")))
    assert "#training-data" not in without


def test_the_package_rocrate_reads_an_exported_file(record, tmp_path):
    rocrate = pytest.importorskip("rocrate.rocrate")
    file = export_artifact(record, tmp_path / "first.zip")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "crate")
    read = rocrate.ROCrate(tmp_path / "crate")
    assert read.name == "first"
    assert str(read.datePublished)[:10] == str(read.root_dataset["datePublished"])[:10]
    names = {entity["name"] for entity in read.data_entities}
    assert names == {p.name for p in (tmp_path / "crate").iterdir()} - {"ro-crate-metadata.json"}
    action = read.dereference("#training")
    assert action.type == "CreateAction"
    assert action["instrument"]["softwareVersion"] == reionemu.__version__
    assert "weights.safetensors" in [result.id for result in action["result"]]


def test_a_record_replaced_since_it_was_loaded_is_not_described(record, save, four_param):
    artifact = reionemu.load_artifact(record)
    save(four_param, "first")
    with pytest.raises(RecordError, match="load it again"):
        ro_crate(artifact)


def test_strange_file_names_become_valid_identifiers(tmp_path):
    path = Path(shutil.copytree(GOLDEN / "v1" / "four_param", tmp_path / "x"))
    (path / "normalizers.npz").rename(path / "a b%20#?ä.npz")
    info = path / "info.json"
    info.write_text(info.read_text().replace("normalizers.npz", "a b%20#?ä.npz"))
    found = entities(ro_crate(reionemu.load_artifact(path)))
    identifier = next(key for key, e in found.items() if e.get("name") == "a b%20#?ä.npz")
    assert unquote(identifier) == "a b%20#?ä.npz"
    assert not set(" #?ä") & set(identifier)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(
    re.findall(
        r"\w+",
        "dataset n_samples content_sha256 software reionemu code created_at description metrics "
        "started_at ended_at status model run_id script path sha256 sessions",
    )
)
DOCUMENTS = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=5)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_no_document_whatever_is_in_it_makes_a_crate_that_is_not_one(
    info, configs, results, provenance
):
    record = Documents("x", info, configs, results, provenance, None)
    check_well_formed(crate(record, {"info.json": b"{}", "results.json": b"{}"}))
