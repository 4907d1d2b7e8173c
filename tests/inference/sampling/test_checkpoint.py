"""What is kept of interrupted runs: the same samples in the end, whatever happens."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reionemu.errors import (
    AlreadyExistsError,
    FileBusyError,
    MissingFileError,
    NotEnoughSpaceError,
    ReionemuWarning,
    UnreadableFileError,
)
from reionemu.inference.sampling import (
    Checkpoint,
    EmceeOptions,
    NestedOptions,
    NutsOptions,
    sample,
)

pytest.importorskip("emcee")
pytestmark = pytest.mark.filterwarnings("ignore:the samples are not converged")

EMCEE = EmceeOptions(walkers=16, steps=1700)
NUTS = NutsOptions(chains=2, tune=60, draws=60, max_chains=4)
NESTED = NestedOptions(live_points=100, max_evaluations=1500)
ALL = pytest.mark.parametrize(
    "options",
    [pytest.param(o, id=o.name) for o in (EMCEE, NUTS, NESTED)],
)
SETTINGS = {"sampler": "emcee", "seed": 1}

# Kills itself in the middle of the third block.
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import conftest
from reionemu.inference.sampling import Checkpoint, EmceeOptions, sample

def progress(what, done, total):
    if done > 1200:
        os.kill(os.getpid(), signal.SIGKILL)

sample(conftest.make_gaussian(), EmceeOptions(walkers=16, steps=1700), seed=1,
       checkpoint=Checkpoint(sys.argv[2], "known"), progress=progress)
"""


def same(one, other):
    """Whether two runs gave the same, but for the time they took."""
    facts = [{**chains.diagnostics, "seconds": 0} for chains in (one, other)]
    return (
        np.array_equal(one.samples, other.samples)
        and np.array_equal(one.log_prob, other.log_prob)
        and (one.weights is None or np.array_equal(one.weights, other.weights))
        and one.criterion == other.criterion
        and facts[0] == facts[1]
    )


def interrupted(problem, options, checkpoint, calls):
    """A run that somebody stops after so many reports of progress."""
    told = []

    def progress(*what):
        told.append(what)
        if len(told) == calls:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(problem, options, seed=1, checkpoint=checkpoint, progress=progress)


@pytest.fixture
def kept(tmp_path, gaussian):
    """A checkpoint of two whole blocks of walkers."""
    checkpoint = Checkpoint(tmp_path / "kept", "known")
    interrupted(gaussian, EMCEE, checkpoint, 55)
    assert blocks_of(checkpoint) == ["block-00000.bin", "block-00001.bin"]
    return checkpoint


def blocks_of(checkpoint):
    return sorted(path.name for path in checkpoint.folder.glob("block-*"))


def test_another_seed_gives_others(gaussian):
    one, other = (sample(gaussian, EMCEE, seed=seed).samples for seed in (7, 8))
    assert not np.isin(one, other).any()


@ALL
def test_interrupted_runs_come_to_the_same_samples(tmp_path, gaussian, options):
    pytest.importorskip(options.package)
    checkpoint = Checkpoint(tmp_path / "kept", "known")
    calls = {"emcee": 30, "nuts": 4, "nested": 1}[options.name]
    random = np.random.get_state()[1].copy()
    interrupted(gaussian, options, checkpoint, calls)
    if options is not NUTS:
        assert blocks_of(checkpoint)
    resumed = sample(gaussian, options, seed=1, checkpoint=checkpoint)
    assert same(resumed, sample(gaussian, options, seed=1))
    assert np.array_equal(random, np.random.get_state()[1])


@ALL
def test_a_finished_run_is_not_repeated(tmp_path, gaussian, options):
    pytest.importorskip(options.package)
    checkpoint = Checkpoint(tmp_path / "kept", "known")
    usual, points = gaussian.likelihood, []
    gaussian.likelihood = lambda x: points.append(len(x)) or usual(x)
    first = sample(gaussian, options, seed=1, checkpoint=checkpoint)
    needed = sum(points)
    assert same(first, sample(gaussian, options, seed=1, checkpoint=checkpoint))
    # Nested sampling asks once more for the density of its samples, but not for any others.
    assert sum(points) - needed < (0.6 if options is NESTED else 0.05) * needed


def test_a_longer_run_goes_on_from_a_shorter_one(tmp_path, gaussian):
    checkpoint = Checkpoint(tmp_path / "kept", "known")
    for steps in (700, 1700, 900):
        options = EmceeOptions(walkers=16, steps=steps)
        with_it = sample(gaussian, options, seed=1, checkpoint=checkpoint)
        assert same(with_it, sample(gaussian, options, seed=1))


def test_a_run_until_converged_stops_where_it_would_have(tmp_path, gaussian):
    checkpoint = Checkpoint(tmp_path / "kept", "known")
    for target in (4000, 1000):
        options = EmceeOptions(target_ess=target)
        with_it = sample(gaussian, options, seed=1, checkpoint=checkpoint)
        assert same(with_it, sample(gaussian, options, seed=1))


def test_killed_runs_come_to_the_same_samples(tmp_path, gaussian):
    folder = tmp_path / "kept"
    arguments = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(folder)]
    assert subprocess.run(arguments, timeout=120).returncode == -signal.SIGKILL
    checkpoint = Checkpoint(folder, "known")
    assert len(blocks_of(checkpoint)) == 2
    resumed = sample(gaussian, EMCEE, seed=1, checkpoint=checkpoint)
    assert same(resumed, sample(gaussian, EMCEE, seed=1))


@pytest.mark.parametrize("cut", [0, 20, 3000, -1])
def test_a_torn_block_is_drawn_again(kept, gaussian, cut):
    path = kept.folder / "block-00001.bin"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.warns(ReionemuWarning, match=r"block-00001\.bin is damaged.* from the 1 block"):
        resumed = sample(gaussian, EMCEE, seed=1, checkpoint=kept)
    assert same(resumed, sample(gaussian, EMCEE, seed=1))


def test_a_flipped_bit_is_seen(kept, gaussian):
    path = kept.folder / "block-00000.bin"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.warns(ReionemuWarning, match=r"block-00000\.bin is damaged"):
        resumed = sample(gaussian, EMCEE, seed=1, checkpoint=kept)
    assert same(resumed, sample(gaussian, EMCEE, seed=1))


def test_what_follows_a_missing_block_is_drawn_again(kept, gaussian):
    (kept.folder / "block-00000.bin").unlink()
    resumed = sample(gaussian, EMCEE, seed=1, checkpoint=kept)
    assert same(resumed, sample(gaussian, EMCEE, seed=1))


def test_what_follows_a_block_that_was_drawn_again_is_not_used(tmp_path, gaussian):
    """Blocks of 500, 200, 300 steps; the second is torn, and comes back with 500."""
    checkpoint = Checkpoint(tmp_path / "kept", "known")
    for steps in (700, 1500):
        sample(gaussian, EmceeOptions(walkers=16, steps=steps), seed=1, checkpoint=checkpoint)
    (checkpoint.folder / "block-00001.bin").write_bytes(b"torn")
    with pytest.warns(ReionemuWarning, match="damaged"):
        interrupted(gaussian, EMCEE, checkpoint, 26)
    with pytest.warns(ReionemuWarning, match=r"block-00002\.bin is damaged, or of another run"):
        resumed = sample(gaussian, EMCEE, seed=1, checkpoint=checkpoint)
    assert same(resumed, sample(gaussian, EMCEE, seed=1))


def test_a_block_of_another_run_is_not_used(tmp_path, kept, gaussian):
    other = Checkpoint(tmp_path / "other", "known")
    sample(gaussian, EMCEE, seed=2, checkpoint=other)
    shutil.copy(other.folder / "block-00001.bin", kept.folder / "block-00001.bin")
    with pytest.warns(ReionemuWarning, match="damaged, or of another run"):
        resumed = sample(gaussian, EMCEE, seed=1, checkpoint=kept)
    assert same(resumed, sample(gaussian, EMCEE, seed=1))


@pytest.mark.parametrize(
    ("fingerprint", "options", "seed", "message"),
    [
        ("other", EMCEE, 1, "problem is 'known' there and 'other' here"),
        ("known", EMCEE, 2, "seed is 1 there and 2 here"),
        ("known", EmceeOptions(walkers=32), 1, "walkers is 16 there and 32 here"),
        (
            "known",
            EmceeOptions(walkers=16, moves="stretch"),
            1,
            "moves is 'de' there and 'stretch'",
        ),
        ("known", NUTS, 1, "sampler is 'emcee' there and 'nuts' here"),
    ],
)
def test_samples_of_another_run_are_refused(kept, gaussian, fingerprint, options, seed, message):
    before = {path: path.read_bytes() for path in kept.folder.iterdir()}
    with pytest.raises(AlreadyExistsError, match=message):
        sample(gaussian, options, seed=seed, checkpoint=Checkpoint(kept.folder, fingerprint))
    assert {path: path.read_bytes() for path in kept.folder.iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\x00", b"[" * 100_000])
def test_settings_that_cannot_be_read_are_refused(kept, gaussian, content):
    (kept.folder / "settings.json").write_bytes(content)
    with pytest.raises(UnreadableFileError, match="does not say what the samples beside it are of"):
        sample(gaussian, EMCEE, seed=1, checkpoint=kept)


def test_only_one_process_uses_a_folder(kept, gaussian):
    settings = json.loads((kept.folder / "settings.json").read_text())
    del settings["problem"]
    with kept.opened(settings), pytest.raises(FileBusyError, match="another process keeps its"):
        sample(gaussian, EMCEE, seed=1, checkpoint=Checkpoint(kept.folder, "known"))
    sample(gaussian, EMCEE, seed=1, checkpoint=kept)


def test_no_room_leaves_what_was_kept(kept, gaussian, monkeypatch):
    before = {name: (kept.folder / name).read_bytes() for name in blocks_of(kept)}
    full = shutil.disk_usage(kept.folder)._replace(free=1000)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: full)
        with pytest.raises(NotEnoughSpaceError, match="no room for samples in"):
            sample(gaussian, EMCEE, seed=1, checkpoint=kept)
    assert {name: (kept.folder / name).read_bytes() for name in blocks_of(kept)} == before
    assert same(sample(gaussian, EMCEE, seed=1, checkpoint=kept), sample(gaussian, EMCEE, seed=1))


def test_a_write_that_fails_halfway_leaves_what_was_kept(kept, gaussian):
    before = sorted(os.listdir(kept.folder))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(NotEnoughSpaceError, match="What was kept before is whole"):
            sample(gaussian, EMCEE, seed=1, checkpoint=kept)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(os.listdir(kept.folder)) == before
    assert same(sample(gaussian, EMCEE, seed=1, checkpoint=kept), sample(gaussian, EMCEE, seed=1))


def test_impossible_folders_are_refused(tmp_path, gaussian):
    with pytest.raises(MissingFileError, match="does not exist"):
        sample(gaussian, EMCEE, checkpoint=Checkpoint(tmp_path / "no" / "where", "known"))
    (tmp_path / "file").write_text("text")
    with pytest.raises(AlreadyExistsError, match="is a file"):
        sample(gaussian, EMCEE, checkpoint=Checkpoint(tmp_path / "file", "known"))


def test_removing_takes_only_what_it_made(kept):
    (kept.folder / "notes.txt").write_text("mine")
    kept.remove()
    assert [path.name for path in kept.folder.iterdir()] == ["notes.txt"]
    (kept.folder / "notes.txt").unlink()
    kept.remove()
    assert not kept.folder.exists()


def test_blocks_come_back_as_they_were(tmp_path):
    blocks = [{"x": np.arange(6.0).reshape(2, 3), "n": np.array([i])} for i in range(3)]
    checkpoint = Checkpoint(tmp_path / "kept", "known")
    with checkpoint.opened(SETTINGS):
        assert checkpoint.blocks() == []
        for block in blocks:
            checkpoint.append(block)
    again = Checkpoint(tmp_path / "kept", "known")
    with again.opened(SETTINGS):
        found = again.blocks()
        again.append({"last": np.ones(1)})
        assert [sorted(block) for block in found] == [["n", "x"]] * 3
        assert all(
            np.array_equal(f[k], b[k]) for f, b in zip(found, blocks, strict=True) for k in b
        )
        assert len(again.blocks()) == 4
        again.replace({"only": np.zeros(2)})
    assert len(list((tmp_path / "kept").glob("block-*"))) == 4
