"""Text files of designs: exact bytes, exact numbers, other programs' files, damaged ones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reionemu.design import (
    PUBLISHED_SPACE,
    Design,
    ParameterSpace,
    Step,
    augment_design,
    latin_hypercube,
    one_at_a_time,
    read_design,
    write_design,
)
from reionemu.design.files import MAX_BYTES
from reionemu.design.points import MAX_POINTS
from reionemu.design.text import format_design, parse_design
from reionemu.errors import (
    AlreadyExistsError,
    DatasetError,
    FileBusyError,
    MissingFileError,
    NotEnoughSpaceError,
    ReionemuError,
    UnreadableFileError,
)
from reionemu.files import exclusive

GOLDEN = """\
# reionemu design 1
# made: lhs, 2 points, seed 1
# made: augment, 1 points, seed 7
# range: zmean_zre=6.5:9.0
# range: alpha_zre=0.1:0.9
# range: kb_zre=0.1:2.0 h/Mpc
# range: b0_zre=0.1:0.8
# zmean_zre alpha_zre kb_zre b0_zre
7.1397740754691457e+00 2.0494435110950449e-01 1.4863768149233854e+00 7.5142393381745165e-01
8.9379670044833368e+00 8.0012583987821062e-01 6.0215436813700107e-01 3.9930457511227457e-01
7.5650122401142852e+00 4.8537709155806807e-01 1.3246460500680108e+00 2.5932107097688373e-01
"""

HEADER = "# zmean_zre alpha_zre kb_zre b0_zre\n"
OURS = "# reionemu design 1\n"
ROW = "7.5 0.4 1.1 0.593\n"
POINT = [7.5, 0.4, 1.1, 0.593]


def golden() -> Design:
    """The design of GOLDEN."""
    space = PUBLISHED_SPACE.with_ranges(["zmean_zre=6.5:9"])
    return augment_design(latin_hypercube(space, 2, 1), 1, 7)


@pytest.fixture
def written(tmp_path):
    """A function (text or bytes) -> path of a file that holds them."""

    def write(content):
        path = tmp_path / "points.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_the_bytes_of_a_file_are_known(tmp_path):
    write_design(tmp_path / "a.txt", golden())
    assert (tmp_path / "a.txt").read_bytes() == GOLDEN.encode()


def test_a_file_of_this_version_is_read(written):
    design = read_design(written(GOLDEN))
    assert design.rows.tolist() == golden().rows.tolist()
    assert design.space == golden().space
    assert design.steps == (Step("lhs", 2, 1), Step("augment", 1, 7))


def test_numpy_reads_the_same_numbers(tmp_path):
    design = latin_hypercube(PUBLISHED_SPACE, 20, 3)
    write_design(tmp_path / "a.txt", design)
    assert np.loadtxt(tmp_path / "a.txt").tolist() == design.rows.tolist()


finite = st.floats(allow_nan=False, allow_infinity=False)
tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.just(2)), elements=finite)


@settings(max_examples=60)
@given(tables)
def test_every_number_comes_back_as_it_was(rows):
    text = format_design(Design(("a", "b"), rows))
    assert parse_design(text, ("a", "b"), "x").rows.tobytes() == rows.tobytes()


@settings(max_examples=40)
@given(
    st.floats(-1e300, 1e300),
    st.floats(1e-3, 1e300),
    st.text("h/Mpc^-1 (km)s", max_size=9).map(str.strip),
    st.integers(0, 2**64 - 1),
)
def test_bounds_units_and_seeds_come_back(low, width, unit, seed):
    high = low + max(width, 1e-3 * abs(low))
    space = ParameterSpace(("a",), (low,), (high,), (unit,))
    design = Design(("a",), [[low], [high]], (Step("lhs", 2, seed),), space)
    back = parse_design(format_design(design), ("a",), "x")
    assert back.space == space
    assert back.steps == design.steps
    assert back.rows.tolist() == [[low], [high]]


def test_a_design_without_seed_or_space_comes_back(tmp_path):
    for design in (one_at_a_time(PUBLISHED_SPACE, 2), Design(PUBLISHED_SPACE.names, [POINT])):
        write_design(tmp_path / "a.txt", design, overwrite=True)
        back = read_design(tmp_path / "a.txt")
        assert (back.steps, back.space) == (design.steps, design.space)


OTHERS = {
    "blanks": HEADER + ROW,
    "other order": "# b0_zre kb_zre alpha_zre zmean_zre\n0.593 1.1 0.4 7.5\n",
    "commas": "# zmean_zre,alpha_zre,kb_zre,b0_zre\n7.5,0.4,1.1,0.593\n",
    "tabs and no last newline": HEADER.replace(" ", "\t") + ROW.strip().replace(" ", "\t"),
    "no #": HEADER[2:] + ROW,
    "more headers": "# made: by me, last week\n# range: wide\n#\n\n" + HEADER + ROW,
    "comments among rows": HEADER + "\n7.5 0.4 1.1 0.593 # a\n\n# last\n",
    "Windows": (HEADER + ROW).replace("\n", "\r\n"),
    "old Mac": (HEADER + ROW).replace("\n", "\r"),
    "byte order mark": "\ufeff" + HEADER + ROW,
    "savetxt": HEADER + " ".join(f"{x:.18e}" for x in POINT) + "\n",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS.keys())
def test_files_of_other_programs(text, written):
    design = read_design(written(text))
    assert design.names == PUBLISHED_SPACE.names
    assert design.rows.tolist() == [POINT]
    assert design.steps == (Step("given", 1, None),)
    assert design.space is None


def test_other_parameters_may_be_asked_for(written):
    design = read_design(written("# h sigma8\n0.67 0.81\n"), names=("sigma8", "h"))
    assert design.as_mappings() == [{"sigma8": 0.81, "h": 0.67}]


def with_ranges(**ranges: str) -> str:
    """A file of this package of one point, with the published ranges or those given."""
    usual = {"zmean_zre": "7:9", "alpha_zre": ".1:.9", "kb_zre": ".1:2 h/Mpc", "b0_zre": ".1:.8"}
    lines = [f"# range: {name}={text}\n" for name, text in {**usual, **ranges}.items() if text]
    return OURS + "# made: lhs, 1 points, seed 1\n" + "".join(lines) + HEADER + ROW


BAD = {
    "no header": (ROW, "first row has no header above it"),
    "no rows": (HEADER, "holds no points"),
    "unknown column": (
        "# zmean_zre alpha kb_zre b0_zre\n" + ROW,
        "line 1: unknown column 'alpha' .did you mean 'alpha_zre'",
    ),
    "index column": ("# sim zmean_zre alpha_zre kb_zre b0_zre\n0 " + ROW, "unknown column 'sim'"),
    "missing column": ("#\n# zmean_zre alpha_zre kb_zre\n7 1 1\n", "line 2: .* b0_zre is missing"),
    "column twice": (HEADER[:-1] + " kb_zre\n" + ROW, "line 1: the column kb_zre is there 2 times"),
    "no names in the last line": (HEADER + "# units: - - h/Mpc -\n" + ROW, "line 2: unknown col"),
    "too few fields": (HEADER + ROW + "7 1 1\n", "line 3: 3 fields where the header names 4"),
    "too many fields": (HEADER + "\n" + ROW[:-1] + " 1\n", "line 3: 5 fields"),
    "word": (HEADER + ROW.replace("1.1", "one"), "line 2: kb_zre is 'one', not a number"),
    "underscore": (HEADER + ROW.replace("1.1", "1_1"), "kb_zre is '1_1', not a number"),
    "other digits": (HEADER + ROW.replace("0.4", "\u0664"), "alpha_zre is '\u0664', not a number"),
    "NaN": (HEADER + ROW.replace("0.593", "nan"), "b0_zre is 'nan', not a finite number"),
    "infinity": (HEADER + ROW.replace("7.5", "-Inf"), "zmean_zre is '-Inf', not a finite"),
    "too large": (HEADER + ROW.replace("7.5", "1e999"), "zmean_zre is '1e999', not a finite"),
    "outside": (
        with_ranges(zmean_zre="8:9"),
        "line 8: zmean_zre = 7.5 is outside its range 8.0 to 9.0",
    ),
    "range missing": (with_ranges(kb_zre=""), "has ranges, but none of kb_zre"),
    "range of no column": (with_ranges(tau="0:1"), "line 7: the range of tau is of no column"),
    "range twice": (
        with_ranges().replace(HEADER, "# range: kb_zre=0:9\n" + HEADER),
        "line 7: the range of kb_zre is there twice",
    ),
    "no range": (with_ranges(kb_zre="wide"), "line 5: range 'kb_zre=wide': expected NAME=LOW:HIGH"),
    "upside down": (with_ranges(kb_zre="2:1"), "line 5: the range of kb_zre is 2.0 to 1.0"),
    "a row lost": (GOLDEN[: GOLDEN[:-1].rindex("\n") + 1], "holds 2 points, and by its header 3"),
    "a row added": (with_ranges() + ROW, "holds 2 points, and by its header 1"),
    "made how": (OURS + "# made: by hand\n" + HEADER + ROW, "line 2: expected '# made: METHOD"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_what_does_not_fit_is_refused_and_said_where(text, message, written):
    path = written(text)
    with pytest.raises(DatasetError, match=message) as caught:
        read_design(path)
    assert str(caught.value).startswith(str(path))


def test_too_many_points(written, monkeypatch):
    assert (8 + 4 * 24) * MAX_POINTS < MAX_BYTES  # so that what is written is read
    monkeypatch.setattr("reionemu.design.text.MAX_POINTS", 3)
    assert len(read_design(written(HEADER + 3 * ROW))) == 3
    with pytest.raises(DatasetError, match="line 5: more than 3 points"):
        read_design(written(HEADER + 4 * ROW))


UNREADABLE = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "not UTF-8": (HEADER.encode() + b"7.5 \xff", r"not a text file in UTF-8 \(byte 40"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "not a text file in UTF-8"),
    "huge": (b"#" * (MAX_BYTES + 1), "larger than 8 MB"),
    "newer": (OURS.replace("1", "2") + HEADER + ROW, "a design in format 2; .* reads format 1"),
    "torn": (with_ranges()[:-1], "its last line has no end"),
}


@pytest.mark.parametrize(("content", "message"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_design_at_all(content, message, written):
    with pytest.raises(UnreadableFileError, match=message):
        read_design(written(content))


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(UnreadableFileError, match="is not a file"):
            read_design(path)
    with pytest.raises(MissingFileError, match=r"nowhere\.txt does not exist"):
        read_design(tmp_path / "nowhere.txt")


def test_a_file_cut_anywhere_is_refused():
    for end in range(len(GOLDEN)):
        with pytest.raises(ReionemuError):
            parse_design(GOLDEN[:end], PUBLISHED_SPACE.names, "x")


@settings(max_examples=150)
@given(st.integers(0, len(GOLDEN) - 1), st.text(max_size=3), st.integers(0, 3))
def test_a_file_changed_anywhere_is_refused_or_a_design(at, put_in, taken_out):
    text = GOLDEN[:at] + put_in + GOLDEN[at + taken_out :]
    try:
        design = parse_design(text, PUBLISHED_SPACE.names, "x")
    except ReionemuError:
        return
    assert design.rows.shape[1] == 4
    assert np.isfinite(design.rows).all()


def test_nothing_is_replaced_without_leave(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("mine")
    with pytest.raises(AlreadyExistsError, match=r"a\.txt is there already"):
        write_design(path, golden())
    assert path.read_text() == "mine"
    write_design(path, golden(), overwrite=True)
    assert path.read_text() == GOLDEN


def test_a_missing_folder(tmp_path):
    with pytest.raises(MissingFileError, match=r"the folder .*nowhere does not exist"):
        write_design(tmp_path / "nowhere" / "a.txt", golden())


def test_one_writer_at_a_time(tmp_path):
    path = tmp_path / "a.txt"
    with exclusive(path), pytest.raises(FileBusyError, match="another process is writing"):
        write_design(path, golden())
    assert not path.exists()


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(2**30, 2**30, 0))
    with pytest.raises(NotEnoughSpaceError, match=r"no room for .*a\.txt"):
        write_design(path, golden(), overwrite=True)
    assert path.read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} - {".a.txt.lock"} == {"a.txt"}


KILLED = """
import os, signal, sys
from reionemu.design import PUBLISHED_SPACE, latin_hypercube, write_design
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write_design(sys.argv[1], latin_hypercube(PUBLISHED_SPACE, 9, 1), overwrite=True)
"""


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(GOLDEN)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == GOLDEN
    write_design(path, one_at_a_time(PUBLISHED_SPACE, 2), overwrite=True)
    assert len(read_design(path)) == 9
    assert {p.name for p in tmp_path.iterdir()} - {".a.txt.lock"} == {"a.txt"}
