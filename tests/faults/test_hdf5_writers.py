"""Writers of one file beside each other, after each other, and through links."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from reionemu import add_cl_to_condensed_h5, build_and_write_training, condense_sim_root
from reionemu.errors import FileBusyError
from reionemu.files import exclusive, temporary_name

STAGES = ["condense", "spectra", "training"]


def run(stage: str, target: Path, raw: Path, callback: Callable | None = None) -> None:
    if stage == "condense":
        condense_sim_root(raw, target, progress_callback=callback)
    elif stage == "spectra":
        add_cl_to_condensed_h5(target, progress_callback=callback)
    else:
        build_and_write_training(target)


@pytest.mark.parametrize("stage", ["condense", "spectra"])
def test_a_second_process_is_turned_away_while_the_first_writes(
    stage: str, workplace: tuple, run_stages: Callable
) -> None:
    target, old, raw = workplace
    seen: list[object] = []

    def meddle(done: int, total: int) -> None:
        if done == 3:
            seen.extend(run_stages("once", target, raw, stages=STAGES))
            assert target.read_bytes() == old.read_bytes()

    run(stage, target, raw, meddle)
    assert seen == ["FileBusyError"] * 3
    assert run_stages("once", target, raw, stages=STAGES[:2]) == ["", ""]


def test_a_second_writer_in_the_same_process_is_turned_away(workplace: tuple) -> None:
    target, _, raw = workplace
    with exclusive(target):
        for stage in STAGES:
            with pytest.raises(FileBusyError, match=r"another process is writing .*data\.h5"):
                run(stage, target, raw)
    assert h5py.is_hdf5(target)


def test_writers_of_other_files_in_the_folder_are_not(workplace: tuple) -> None:
    target, _, raw = workplace
    with exclusive(target):
        assert condense_sim_root(raw, target.with_name("other.h5")).written == 8


def test_readers_are_not_turned_away(workplace: tuple) -> None:
    target, _, _ = workplace
    with h5py.File(target) as reader:
        add_cl_to_condensed_h5(target)  # replaces the file under its name, not the one being read
        assert len(reader["sims"]) == 6
        assert reader["sims/sim5/output/ksz_map"][()].shape == (64, 64)
    with h5py.File(target) as reader:
        assert len(reader["sims"]) == 6


@pytest.mark.parametrize("stage", STAGES)
def test_what_dead_writers_left_is_removed_and_nothing_else(stage: str, workplace: tuple) -> None:
    target, _, raw = workplace
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    living = temporary_name(target)
    dead = Path(str(living).replace(f"-{os.getpid()}-", f"-{ended.pid}-"))
    elsewhere = living.with_name(f".{target.name}.another_host-{ended.pid}-01234567.tmp")
    other_file = dead.with_name(dead.name.replace(".data.h5.", ".data.h5.bak."))
    for path in (living, dead, elsewhere, other_file):
        path.write_bytes(b"half a file")
    run(stage, target, raw)
    assert not dead.exists()
    assert living.exists()
    assert elsewhere.exists()
    assert other_file.exists()


@pytest.mark.parametrize("stage", STAGES)
def test_a_link_stays_a_link(stage: str, workplace: tuple, tmp_path: Path) -> None:
    target, _, raw = workplace
    link = tmp_path / "link.h5"
    link.symlink_to(Path("work") / target.name)
    inode = target.stat().st_ino
    run(stage, link, raw)
    assert link.is_symlink()
    assert os.readlink(link) == f"work/{target.name}"
    assert target.stat().st_ino != inode
    assert len(h5py.File(target)["sims"]) == (8 if stage == "condense" else 6)


def test_a_link_to_a_file_not_made_yet_is_followed(workplace: tuple, tmp_path: Path) -> None:
    _, _, raw = workplace
    link = tmp_path / "link.h5"
    link.symlink_to("work/later.h5")
    condense_sim_root(raw, link)
    assert link.is_symlink()
    assert h5py.is_hdf5(tmp_path / "work" / "later.h5")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_permissions_are_kept(stage: str, workplace: tuple, mode: int) -> None:
    target, _, raw = workplace
    target.chmod(mode)
    run(stage, target, raw)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_new_file_gets_the_permissions_that_any_file_gets(workplace: tuple) -> None:
    target, _, raw = workplace
    plain = target.with_name("plain")
    plain.write_text("")
    condense_sim_root(raw, target.with_name("new.h5"))
    assert target.with_name("new.h5").stat().st_mode == plain.stat().st_mode
