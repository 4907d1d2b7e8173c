"""provenance.json: what made a record, the checksums of its files, and its seal."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import torch

import reionemu
from reionemu.artifact import code_version as code_version_module
from reionemu.artifact import provenance
from reionemu.artifact.code_version import code_version, library_version, script_version
from reionemu.artifact.provenance import HIDDEN, is_sealed, seal

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No repository but those of the tests, and no settings of whoever runs them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *arguments: str) -> bytes:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", *who, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def make_repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "train.py").write_text("rate = 0.1\n" * 3)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, in which the process stands."""
    folder = make_repository(tmp_path / "work")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def record(save: Callable, four_param: torch.nn.Module) -> Callable[..., Path]:
    """`record(**overrides)`: the folder of a record, saved just now."""
    return lambda **overrides: save(four_param, **overrides)


def read(path: Path) -> dict:
    return json.loads((path / "provenance.json").read_text())


# The seal


def seal_by_the_book(content: bytes) -> str:
    """What the documentation says: the hash of the file with the digits of the seal as zeros."""
    line = next(line for line in content.split(b"\n") if line.startswith(b'    "seal": "'))
    written = line.split(b'"')[3].decode()
    blank = content.replace(
        f'    "seal": "{written}"'.encode(), b'    "seal": "' + b"0" * 64 + b'"'
    )
    assert blank != content
    return hashlib.sha256(blank).hexdigest()


def test_the_seal_is_the_hash_of_the_file_with_zeros_for_it(record: Callable) -> None:
    content = (record() / "provenance.json").read_bytes()
    assert json.loads(content)["seal"] == seal_by_the_book(content)
    assert is_sealed(content)


def test_a_seal_inside_a_part_of_the_document_is_not_taken_for_it() -> None:
    inside = {"seal": "a" * 64, "deep": [{"seal": "b" * 64}]}
    content = seal({"request": inside, "software": inside, "command": ['    "seal": "' + "c" * 64]})
    assert is_sealed(content)
    assert json.loads(content)["seal"] == seal_by_the_book(content)
    assert json.loads(content)["request"] == inside
    assert not is_sealed(content.replace(b"a" * 64, b"d" * 64))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"\n",
        lambda content: content.replace(b"1", b"2", 1),
        lambda content: re.sub(rb'"seal": "[0-9a-f]{64}"', b'"seal": ""', content),
        lambda content: re.sub(
            rb'"seal": "[0-9a-f]{64}"', b'"seal": "' + b"0" * 64 + b'"', content
        ),
        lambda content: re.sub(rb'( {4}"seal": "[0-9a-f]{64}")', rb"\1,\n\1", content),
        lambda content: content.replace(b'    "seal"', b'     "seal"'),
    ],
    ids=["empty", "shorter", "longer", "changed", "none", "zeros", "twice", "indented"],
)
def test_a_broken_seal(damage: Callable[[bytes], bytes]) -> None:
    content = seal({"run": "1", "files": {}})
    assert is_sealed(content)
    assert not is_sealed(damage(content))


# Files


def test_checksums_are_those_of_sha256sum(record: Callable) -> None:
    path = record()
    listed = read(path)["files"]
    names = sorted(item.name for item in path.iterdir() if item.name != "provenance.json")
    assert sorted(listed) == names
    assert len(names) == 6
    if shutil.which("sha256sum"):
        lines = subprocess.check_output(["sha256sum", *names], cwd=path, text=True).splitlines()
        sums = dict(reversed(line.split()) for line in lines)
    else:
        sums = {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in names}
    assert {name: entry["sha256"] for name, entry in listed.items()} == sums
    sizes = {name: (path / name).stat().st_size for name in names}
    assert {name: entry["size_bytes"] for name, entry in listed.items()} == sizes
    info = json.loads((path / "info.json").read_text())
    assert info["artifacts"]["provenance"] == "provenance.json"


# Who, when, where


def test_command_machine_versions_and_seeds(
    record: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train.py", "--rate", "0.1 ", "ключ"]
    monkeypatch.setattr(sys, "argv", command)
    found = read(
        record(
            dataloader_config=reionemu.DataLoaderConfig(seed=5),
            fit_config=reionemu.FitConfig(seed=7),
            kfold_config={"seed": None},
            tuning_config={"seed": 0},
        )
    )
    assert found["command"] == command
    assert found["working_directory"] == str(tmp_path)
    assert found["seeds"] == {
        "dataloader": 5,
        "fit": 7,
        "tuning": 0,
        "torch": torch.initial_seed(),
    }
    assert found["software"] == {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "reionemu": reionemu.__version__,
        **{name: importlib.metadata.version(name) for name in ("numpy", "torch", "h5py")},
    }
    machine = found["platform"]
    assert machine["host"] == socket.gethostname()
    assert machine["machine"] == os.uname().machine
    assert machine["cpu_count"] == os.cpu_count()
    assert platform.system() in machine["system"]
    assert len(machine["gpus"]) == torch.cuda.device_count()


def test_gpus_are_looked_for_when_pytorch_has_been_loaded_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    assert provenance.circumstances()["platform"]["gpus"] == []
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"GPU {i}")
    assert provenance.circumstances()["platform"]["gpus"] == ["GPU 0", "GPU 1"]


def test_a_broken_driver_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> bool:
        raise RuntimeError("driver too old")

    monkeypatch.setattr(torch.cuda, "is_available", broken)
    assert provenance.circumstances()["platform"]["gpus"] == []


def test_times_of_a_record_saved_in_one_step(record: Callable) -> None:
    before = datetime.now(timezone.utc)
    found = read(record())
    after = datetime.now(timezone.utc)
    assert before <= datetime.fromisoformat(found["ended_at"]) <= after
    assert found["started_at"] is None
    assert found["wall_time_s"] is None
    assert found["sessions"] == []
    stamp = datetime.strptime(found["run"][:23], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=timezone.utc)
    assert before <= stamp <= after


def test_times_of_a_run(tmp_path: Path) -> None:
    before = datetime.now(timezone.utc)
    with reionemu.start_artifact("run", tmp_path):
        time.sleep(0.05)
    found = read(tmp_path / "run")
    start, end = (datetime.fromisoformat(found[key]) for key in ("started_at", "ended_at"))
    assert before <= start <= end - timedelta(seconds=0.05)
    assert end <= datetime.now(timezone.utc)
    assert found["wall_time_s"] == pytest.approx((end - start).total_seconds(), abs=1e-6)
    (session,) = found["sessions"]
    assert session["host"] == found["platform"]["host"]
    assert session["from_epoch"] == 0


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = read(reionemu.save_artifact("run", tmp_path / "artifacts"))
    assert found["working_directory"] is None
    assert found["code"] is None


# Nothing secret


def test_no_value_of_the_environment_is_recorded(
    record: Callable, snapshot: Callable, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2-hunter2")
    monkeypatch.setenv("WANDB_API_KEY", "k3y-k3y-k3y")
    git(repository, "remote", "add", "origin", "https://me:pa55word@example.org/repo.git")
    git(repository, "config", "http.extraHeader", "Authorization: t0ken-t0ken")
    (repository / "train.py").write_text("rate = 0.2\n")
    path = record()
    assert read(path)["code"]["dirty"]
    content = b"".join(snapshot(path).values())
    for secret in (b"hunter2", b"k3y-k3y", b"SECRET", b"WANDB", b"pa55word", b"t0ken", b"example"):
        assert secret not in content


# The code


def test_without_a_repository() -> None:
    assert code_version() is None


@needs_git
def test_a_clean_repository(record: Callable, repository: Path) -> None:
    (repository / "untracked.txt").write_text("no matter")
    assert read(record())["code"] == {
        "directory": str(repository),
        "commit": git(repository, "rev-parse", "HEAD").decode().strip(),
        "dirty": False,
        "diff": None,
        "diff_sha256": None,
    }


@needs_git
def test_a_small_diff_is_kept_and_leads_from_the_commit_to_the_code(
    repository: Path, tmp_path: Path
) -> None:
    changed = "rate = 0.2\nname = 'é'\n"
    (repository / "train.py").write_text(changed)
    (repository / "new.py").write_text("staged\n")
    git(repository, "add", "new.py")
    git(repository, "config", "color.ui", "always")
    git(repository, "config", "diff.noprefix", "false")
    found = code_version()
    assert found["dirty"]
    assert hashlib.sha256(found["diff"].encode()).hexdigest() == found["diff_sha256"]
    git(tmp_path, "clone", "--quiet", str(repository), "clone")
    git(tmp_path / "clone", "checkout", "--quiet", found["commit"])
    (tmp_path / "diff").write_text(found["diff"])
    git(tmp_path / "clone", "apply", str(tmp_path / "diff"))
    assert (tmp_path / "clone" / "train.py").read_text() == changed
    assert (tmp_path / "clone" / "new.py").read_text() == "staged\n"


@needs_git
@pytest.mark.parametrize(("lines", "kept"), [(1000, True), (9000, False)])
def test_of_a_large_diff_only_the_hash_is_kept(repository: Path, lines: int, kept: bool) -> None:
    (repository / "train.py").write_text("rate = 3\n" * lines)
    found = code_version()
    diff = git(repository, "diff", "--full-index", "HEAD")
    assert (len(diff) <= 64 * 1024) is kept
    assert found["dirty"]
    assert found["diff"] == (diff.decode() if kept else None)
    assert found["diff_sha256"] == hashlib.sha256(diff).hexdigest()


@needs_git
def test_a_changed_binary_file_is_told_by_its_hash(repository: Path) -> None:
    (repository / "data.bin").write_bytes(bytes(range(256)))
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "data")
    seen = set()
    for content in (b"\0one", b"\0two"):
        (repository / "data.bin").write_bytes(content)
        seen.add(code_version()["diff_sha256"])
    assert len(seen) == 2


@needs_git
def test_a_file_that_was_only_touched_is_no_change_and_git_writes_nothing(
    repository: Path, snapshot: Callable
) -> None:
    os.utime(repository / "train.py", (1, 1))
    before = snapshot(repository)
    assert not code_version()["dirty"]
    assert snapshot(repository) == before


@needs_git
def test_a_repository_without_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet", "empty")
    monkeypatch.chdir(tmp_path / "empty")
    assert code_version() == {
        "directory": str(tmp_path / "empty"),
        "commit": None,
        "dirty": True,
        "diff": None,
        "diff_sha256": None,
    }


@needs_git
def test_a_repository_that_cannot_be_compared_is_not_called_clean(repository: Path) -> None:
    tree = git(repository, "rev-parse", "HEAD^{tree}").decode().strip()
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    found = code_version()
    assert found["commit"]
    assert found["dirty"]
    assert found["diff"] is None


@needs_git
def test_git_is_not_there(record: Callable, repository: Path, tmp_path: Path, monkeypatch) -> None:
    assert code_version() is not None
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert read(record())["code"] is None


@needs_git
def test_git_fails_or_hangs(repository: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "git"
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    assert code_version() is None
    monkeypatch.setattr(code_version_module, "GIT_SECONDS", 0.2)
    program.write_text("#!/bin/sh\nexec sleep 30\n")
    started = time.monotonic()
    assert code_version() is None
    assert time.monotonic() - started < 10


@needs_git
def test_the_repository_of_the_program_counts_before_that_of_the_folder(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "a name with spaces and é")
    program = other / "deep" / "train.py"
    program.parent.mkdir()
    program.write_text("")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(program), raising=False)
    assert code_version()["directory"] == str(other)


@needs_git
def test_a_program_in_an_environment_that_git_ignores_is_not_the_code(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / ".gitignore").write_text(".venv\n")
    program = repository / ".venv" / "bin" / "reionemu"
    program.parent.mkdir(parents=True)
    program.write_text("")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(program), raising=False)
    monkeypatch.chdir(tmp_path)
    assert code_version() is None
    monkeypatch.chdir(repository)
    assert code_version()["directory"] == str(repository)


@needs_git
def test_the_environment_does_not_lead_to_another_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other")
    (other / "train.py").write_text("changed\n")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    found = code_version()
    assert (found["directory"], found["dirty"]) == (str(repository), False)


def arm(repository: Path, script: Path) -> None:
    """Name a script wherever the configuration of a repository can name a program."""
    (repository / ".gitattributes").write_text("* diff=evil filter=evil\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "attributes")
    for option in (
        "core.fsmonitor",
        "core.pager",
        "pager.diff",
        "pager.config",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "core.sshCommand",
        "core.editor",
        "core.askPass",
        "alias.diff",
        "alias.rev-parse",
    ):
        value = f"!{script}" if option.startswith("alias.") else str(script)
        git(repository, "config", option, value)
    git(repository, "config", "filter.evil.required", "true")
    hook = repository / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    shutil.copy(script, hook)


@needs_git
def test_nothing_that_a_repository_names_is_run(repository: Path, tmp_path: Path) -> None:
    mark, script = tmp_path / "mark", tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\necho ran >> {mark}\ncat\n")
    script.chmod(0o755)
    arm(repository, script)
    os.utime(repository / "train.py", (1, 1))
    found = code_version()
    assert not mark.exists()
    assert not found["dirty"]
    (repository / "train.py").write_text("rate = 0.2\n")
    assert "+rate = 0.2" in code_version()["diff"]
    assert not mark.exists()
    git(repository, "diff", "HEAD")  # the trap is armed
    assert mark.exists()


# Script, library and secrets


@needs_git
def test_a_program_that_git_does_not_know_is_not_clean(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = repository / "new.py"
    script.write_text("print(1)\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    assert code_version()["dirty"]
    assert script_version() == {
        "path": str(script),
        "sha256": hashlib.sha256(b"print(1)\n").hexdigest(),
    }
    git(repository, "add", "new.py")
    git(repository, "commit", "--quiet", "--message", "second")
    assert not code_version()["dirty"]


@needs_git
def test_a_checkout_that_the_package_is_imported_from(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = repository / "train.py"
    monkeypatch.setattr(code_version_module, "__file__", str(module))
    library_version.cache_clear()
    found = library_version()
    assert found["commit"] == git(repository, "rev-parse", "HEAD").decode().strip()
    assert found["directory"] == str(repository)
    assert not found["dirty"]
    monkeypatch.setattr(code_version_module, "__file__", str(repository / "other.py"))
    library_version.cache_clear()
    assert library_version() is None
    library_version.cache_clear()


@needs_git
@pytest.mark.parametrize("name", [".env", "deep/er/.env.local", "server.PEM", "my_Secrets.toml"])
def test_files_called_like_secrets_are_not_in_the_diff(name: str, repository: Path) -> None:
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_text("TOKEN=old\n")
    git(repository, "add", "--force", ".")
    git(repository, "commit", "--quiet", "--message", "oops")
    (repository / name).write_text("TOKEN=hunter2\n")
    found = code_version()
    assert found["dirty"]
    assert found["diff"] is None
    (repository / "train.py").write_text("rate = 0.2\n")
    found = code_version()
    assert "rate = 0.2" in found["diff"]
    assert "hunter2" not in found["diff"]


def test_values_of_options_called_like_secrets_are_not_recorded(
    record: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["a.py", "--token=hunter2", "--api-key", "hunter2", "--password", "-v", "--lr", "0.1"]
    monkeypatch.setattr(sys, "argv", typed)
    shown = ["a.py", f"--token={HIDDEN}", "--api-key", HIDDEN, "--password", "-v", "--lr", "0.1"]
    assert read(record())["command"] == shown
