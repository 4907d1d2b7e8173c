"""reionemu tune: what it prints, lists, refuses and goes on with; and real searches, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import reionemu as package
from reionemu.tuning.trials import Finished

SMALL = ("--models", "gp,four-param", "-n", "3", "--epochs", "2", "--split", "train=0.7,val=0.3")


class Loop:
    """In the place of Ray: one trial after the other, in this process."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.interrupt_after = 10**9

    def __call__(self, points, trial, shared, on_finished, **options) -> None:
        for number, point in points.items():
            if len(self.ran) >= self.interrupt_after:
                raise KeyboardInterrupt
            self.ran.append(number)
            done = Finished(number, seconds=1.5)

            def report(values, done=done) -> None:
                done.losses.append(values["val_loss"])
                done.reported = dict(values)

            trial(point, report, **shared)
            on_finished(done)


@pytest.fixture
def loop(monkeypatch):
    """Ray replaced by a loop; addresses that were asked for are in `loop.addresses`."""
    loop, loop_addresses = Loop(), []
    loop.addresses = loop_addresses

    def connected(address):
        loop_addresses.append(address)
        return contextlib.nullcontext()

    monkeypatch.setattr("reionemu.tuning.trials.run_trials", loop)
    monkeypatch.setattr("reionemu.tuning.cluster.connected", connected)
    return loop


def test_the_best_is_trained_saved_and_says_how_it_was_found(
    reionemu, loop, condensed_h5, tmp_path
):
    root = tmp_path / "root"
    save = ("--out", root, "--name", "a", "--ray", "host:1")
    code, out, err = reionemu("tune", condensed_h5, *SMALL, *save)
    assert code == 0, err
    assert loop.addresses == ["host:1"]
    assert "val error" in out
    assert f"reionemu tune --list {root / 'a'}" in out
    artifact = package.load_artifact(root / "a")
    found = artifact.results["summary"]["tuning"]
    assert [t["family"] for t in sorted(found["trials"], key=lambda t: t["number"])] == [
        "gp",
        "four-param",
        "gp",
    ]
    assert "losses" not in found["best"]
    best = found["best"]
    names = {"gp": "GaussianProcess", "four-param": "FourParamEmulator"}
    assert artifact.configs["model"]["class_name"] == names[best["family"]]
    for key in ("coordinates", "hidden_dim"):
        assert artifact.configs["model"].get(key) == best["config"].get(key)
    assert artifact.configs["tuning"]["models"] == ["gp", "four-param"]
    assert [path.name for path in root.iterdir() if path.name == ".tuning"] == []

    listed = reionemu("tune", "--list", root / "a", "--json")
    assert json.loads(listed.out)["trials"] == found["trials"]
    code, out, err = reionemu("tune", "--list", root / "a")
    assert out.count("completed") == 3
    assert "coordinates=physical" in out


def test_the_best_may_be_a_network_though_the_default_is_none(
    reionemu, loop, condensed_h5, tmp_path
):
    save = ("--out", tmp_path, "--name", "a", "--split", "train=0.7,val=0.3")
    few = ("--model", "four-param", "-n", 2, "--epochs", 2, "--set", "fit.epochs=4")
    code, _, err = reionemu("tune", condensed_h5, *few, *save)
    assert code == 0, err
    artifact = package.load_artifact(tmp_path / "a")
    best = artifact.results["summary"]["tuning"]["best"]
    assert best["family"] == "four-param"
    assert artifact.configs["model"]["hidden_dim"] == best["config"]["hidden_dim"]
    assert artifact.configs["optimizer"]["lr"] == best["config"]["lr"]
    assert artifact.configs["training"]["gradient_clipping"] == best["config"]["gradient_clipping"]
    assert artifact.results["summary"]["epochs_run"] == 4


def test_an_interruption_says_how_to_go_on_and_that_goes_on(reionemu, loop, condensed_h5, tmp_path):
    command = ("tune", condensed_h5, *SMALL, "--out", tmp_path, "--name", "a")
    loop.interrupt_after = 2
    code, _, err = reionemu(*command)
    assert code == 130
    assert "the same command with --resume goes on" in err
    listed = json.loads(reionemu("tune", "--list", tmp_path / "a", "--json").out)["trials"]
    assert sorted(trial["number"] for trial in listed) == [0, 1]

    code, _, err = reionemu(*command)
    assert (code, loop.ran) == (1, [0, 1])
    assert f"there is a search in {tmp_path}/.tuning/a: --resume goes on with it" in err

    loop.interrupt_after = 10**9
    code, out, err = reionemu(*command, "--resume")
    assert (code, loop.ran) == (0, [0, 1, 2]), err
    assert "2 trials are there, 1 are left" in err
    assert out.count("completed") == 3


def test_without_a_name_the_command_that_trains_the_best_is_said(reionemu, loop, condensed_h5):
    code, out, err = reionemu("tune", condensed_h5, *SMALL)
    assert code == 0
    assert "now: reionemu train" in err
    first_row = next(line for line in out.splitlines() if "completed" in line)
    family = first_row.split()[1]
    assert f"--set model.name={family}" in err


def test_storage_keeps_a_search_without_a_name(reionemu, loop, condensed_h5, tmp_path):
    command = ("tune", condensed_h5, *SMALL, "--storage", tmp_path / "s", "--json")
    loop.interrupt_after = 1
    assert reionemu(*command).code == 130
    loop.interrupt_after = 10**9
    code, out, _ = reionemu(*command, "--resume")
    assert (code, loop.ran) == (0, [0, 1, 2])
    assert len(json.loads(out)["trials"]) == 3
    assert json.loads(reionemu("tune", "--list", tmp_path / "s", "--json").out) == {
        "trials": json.loads(out)["trials"]
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "which file?"),
        (("H5", "--out", "x"), "--out and --name go together"),
        (("H5", "--model", "gp", "--models", "gp"), "give --models, or --model"),
        (("H5", "--models", "gp,ensembel"), "did you mean 'ensemble'"),
        (("H5", "--models", "gp", "-n", "0"), "num_samples must be a whole number >= 1"),
        (("H5", "--resume"), "--resume needs --out and --name, or --storage"),
        (("--list", "nothing"), "nothing"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(reionemu, condensed_h5, arguments, message):
    given = [condensed_h5 if word == "H5" else word for word in arguments]
    code, out, err = reionemu("tune", *given)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_cluster_that_is_not_there_is_said_to_be_missing(reionemu, condensed_h5, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # whatever other tests have started
    code, out, err = reionemu("tune", condensed_h5, "--models", "gp", "--ray", "127.0.0.1:9")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "error: cannot connect to a Ray cluster at '127.0.0.1:9'" in err


def test_an_artifact_that_was_not_searched_for_has_no_trials(reionemu, tmp_path, write_record):
    write_record(tmp_path / "a")
    code, _, err = reionemu("tune", "--list", tmp_path / "a")
    assert code == 1
    assert "was not searched for" in err


def command(*words: object) -> list[str]:
    """The command line, to be run in a process of its own."""
    return [sys.executable, "-m", "reionemu", "tune", *map(str, words)]


ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"},
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
}


def until_there_are(n: int, trials: Path, process: subprocess.Popen) -> None:
    """Wait until so many trials have ended."""
    deadline = time.monotonic() + 240
    while len(list(trials.glob("*.json"))) < n:
        assert process.poll() is None, "the search has ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_real_search_that_was_stopped_goes_on(condensed_h5, tmp_path, number):
    words = (condensed_h5, *SMALL, "-n", 5, "--epochs", 30, "--concurrent", 1, "--ray", "local")
    words = (*words, "--out", tmp_path / "root", "--name", "a")
    trials = tmp_path / "root/.tuning/a/trials"
    process = subprocess.Popen(command(*words), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    until_there_are(2, trials, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert ("--resume goes on" in err) == (number == signal.SIGINT)
    before = {path.name: path.read_bytes() for path in trials.iterdir()}
    assert 2 <= len(before) < 5

    done = subprocess.run(
        command(*words, "--resume", "--json"),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{len(before)} trials are there, {5 - len(before)} are left" in done.stderr
    found = {trial["number"]: trial for trial in json.loads(done.stdout)["trials"]}
    assert sorted(found) == list(range(5))
    for content in before.values():
        trial = json.loads(content)
        del trial["losses"]
        assert found[trial["number"]] == trial
    assert not (tmp_path / "root/.tuning").exists()


@pytest.mark.slow
def test_a_search_on_a_cluster_that_is_there_leaves_it_running(condensed_h5, tmp_path):
    script = Path(__file__).with_name("ray_cluster.py")
    with subprocess.Popen(
        [sys.executable, script],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as cluster:
        assert cluster.stdin
        assert cluster.stdout
        address = cluster.stdout.readline().strip()
        for environment, words in (({}, ("--ray", address)), ({"RAY_ADDRESS": address}, ())):
            done = subprocess.run(
                command(condensed_h5, *SMALL, *words, "--json"),
                env={**ENVIRONMENT, **environment},
                capture_output=True,
                text=True,
                timeout=200,
                cwd=tmp_path,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            statuses = [trial["status"] for trial in json.loads(done.stdout)["trials"]]
            assert statuses == ["completed"] * 3
