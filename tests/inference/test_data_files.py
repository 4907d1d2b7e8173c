"""Files of band powers: both formats, and files that are to be refused."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reionemu.errors import (
    AlreadyExistsError,
    ConfigError,
    InferenceDataError,
    MissingFileError,
    ReionemuError,
    UnreadableFileError,
)
from reionemu.inference.band_powers import BandPowers
from reionemu.inference.data_files import read_band_powers, write_band_powers
from reionemu.inference.reading.csv import COLUMNS
from reionemu.inference.reading.fields import FIELDS
from reionemu.inference.reading.nodes import MAX_BYTES

HOSTILE = Path(__file__).parent / "hostile"

CSV = """\
# name: two bins
# units: uK^2
# is_total: true
# source: nowhere
## anything: goes here
ell, ell_low, ell_high, dl, sigma
1500, 1000, 2000, 1.25, 0.5
2500, 2000, 3000, 0.75, 0.25
"""

YAML = """\
name: two bins
source: nowhere
units: uK^2
quantity: dl
is_total: true
ell: [1500, 2500]
bins: [[1000, 2000], [2000, 3000]]
dl: [1.25, 0.75]
sigma: [0.5, 25e-2]
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_same_in_both_formats(tmp_path: Path) -> None:
    a = read_band_powers(written(tmp_path, "a.csv", CSV))
    b = read_band_powers(written(tmp_path, "b.yaml", YAML))
    assert a.to_mapping() == b.to_mapping()
    assert (a.name, a.source, a.is_total) == ("two bins", "nowhere", True)
    np.testing.assert_array_equal(a.covariance, [[0.25, 0], [0, 0.0625]])


def test_the_documented_examples_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    section = page.partition("\n## Band powers\n")[2]
    examples = dict(re.findall(r"```(csv|yaml)\n(.*?)```", section, re.DOTALL))
    a, b = (
        read_band_powers(written(tmp_path, f"a.{kind}", examples[kind])) for kind in ("csv", "yaml")
    )
    assert a.dl.tolist() == b.dl.tolist() == [2.6, 2.9, 3.1]
    np.testing.assert_allclose(a.std, b.std)
    assert b.covariance[0, 1] == 0.22
    documented = set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", section, re.MULTILINE))
    names = {name for row in documented for name in row if name}
    assert names == {*FIELDS, *COLUMNS}


def test_bins_are_means_over_whole_multipoles(tmp_path: Path) -> None:
    data = read_band_powers(written(tmp_path, "a.csv", CSV))
    assert data.windows is not None
    assert data.window_ell is not None
    np.testing.assert_array_equal(data.window_ell, np.arange(1000, 3000))
    np.testing.assert_array_equal(data.windows[0], np.where(data.window_ell < 2000, 1e-3, 0))
    np.testing.assert_allclose(data.windows @ data.window_ell, [1499.5, 2499.5], rtol=1e-12)


def test_multipoles_between_bins_are_left_out_and_ell_follows_from_bins(tmp_path: Path) -> None:
    text = "units: uK^2\nbins: [[100, 104], [200.5, 203]]\ndl: [1, 1]\nsigma: [1, 1]\n"
    data = read_band_powers(written(tmp_path, "gap.yaml", text))
    assert data.window_ell is not None
    np.testing.assert_array_equal(data.window_ell, [100, 101, 102, 103, 201, 202])
    np.testing.assert_allclose(data.ell, [101.5, 201.5], rtol=1e-14)
    assert data.name == "gap"


def test_blanks_may_separate_columns_and_lines_may_end_as_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf# units: muK^2\r\nell dl sigma\r\n1500 1.25 0.5\r\n")
    assert read_band_powers(path).dl.tolist() == [1.25]


def test_tables_beside_a_file(tmp_path: Path) -> None:
    written(tmp_path, "cov.txt", "# covariance\n0.25 0.1\n0.1, 0.0625\n")
    written(tmp_path, "win.txt", "1400 0.5 0\n1600 0.5 0\n2500 0 1\n")
    text = CSV.replace("## anything: goes here", "# covariance: cov.txt\n# windows: win.txt")
    text = text.replace("ell, ell_low, ell_high, dl, sigma", "ell, dl")
    text = text.replace("1000, 2000, 1.25, 0.5", "1.25").replace("2000, 3000, 0.75, 0.25", "0.75")
    data = read_band_powers(written(tmp_path, "a.csv", text))
    assert data.covariance.tolist() == [[0.25, 0.1], [0.1, 0.0625]]
    assert data.windows is not None
    assert data.windows.tolist() == [[0.5, 0.5, 0], [0, 0, 1]]
    written(tmp_path, "cov.txt", "0.25 0.1\n0.1 -\n")
    with pytest.raises(InferenceDataError, match=r"cov.txt, line 2: covariance\[1\]\[1\] is miss"):
        read_band_powers(tmp_path / "a.csv")
    os.remove(tmp_path / "cov.txt")
    with pytest.raises(MissingFileError, match=r"cov\.txt does not exist"):
        read_band_powers(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "cov.txt")  # which nothing writes to
    with pytest.raises(UnreadableFileError, match=r"cov\.txt is not a file"):
        read_band_powers(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "area"),
    [("16.5", 16.5 * (np.pi / 180) ** 2), ("16.5 deg^2", 0.005026187), ("0.25 sr", 0.25)],
)
def test_areas_are_square_degrees_unless_they_say_otherwise(
    tmp_path: Path, text: str, area: float
) -> None:
    data = read_band_powers(written(tmp_path, "a.yaml", f"{YAML}map_area: {text}\n"))
    assert data.map_area == pytest.approx(area, rel=1e-6)


FINITE = st.floats(1e-3, 1e3)


@given(
    dl=st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3),
    std=st.lists(FINITE, min_size=3, max_size=3),
    name=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
    area=st.none() | st.floats(1e-6, 12),
    with_windows=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_again_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    dl: list[float],
    std: list[float],
    name: str,
    area: float | None,
    with_windows: bool,
) -> None:
    correlation = np.array([[1, 0.3, 0.1], [0.3, 1, 1 / 3], [0.1, 1 / 3, 1]])
    window_ell = np.array([1000, 2000, 3000.5])
    data = BandPowers(
        name,
        [1000.1, 2000, 3000],
        dl,
        correlation * np.outer(std, std),
        windows=np.eye(3) if with_windows else None,
        window_ell=window_ell if with_windows else None,
        is_total=with_windows,
        realization="emulator" if with_windows else "sky",
        map_area=area,
        source=f"a: #'{name}",
    )
    path = tmp_path_factory.mktemp("written") / "data.yaml"
    write_band_powers(data, path)
    again = read_band_powers(path)
    assert again.to_mapping() == data.to_mapping()
    assert again.sha256 == data.sha256


def test_writing_replaces_nothing_without_leave(tmp_path: Path) -> None:
    data = read_band_powers(written(tmp_path, "a.csv", CSV))
    path = tmp_path / "b.yaml"
    path.write_text("mine")
    with pytest.raises(AlreadyExistsError):
        write_band_powers(data, path)
    assert path.read_text() == "mine"
    write_band_powers(data, path, overwrite=True)
    assert read_band_powers(path).sha256 == data.sha256
    with pytest.raises(ConfigError, match=r"end in \.yaml"):
        write_band_powers(data, tmp_path / "b.csv")
    with pytest.raises(ConfigError, match=r"the suffix '\.fits'"):
        read_band_powers(tmp_path / "b.fits")


REASONS = {
    "area_of_many_skies.csv": "at most 4 pi sr",
    "asymmetric.yaml": "not symmetric: of the bin at ell = 2000 and the bin at ell = 3000",
    "bin_twice.csv": "no bin being there twice",
    "bins_and_windows.yaml": "line 3: bins: there are windows as well",
    "bomb.yaml": "line 1: anchors and references",
    "cl.csv": r"line 3: quantity.*Multiply C_ell.*by ell \(ell \+ 1\)",
    "cl_values.csv": "this looks like units of .* C_ell",
    "code.yaml": "line 5: tags such as",
    "column_twice.csv": "line 3: the column dl is there twice",
    "correlation_above_1.yaml": "not positive definite: the correlation",
    "covariance_of_another_size.yaml": r"shape \(2, 2\), but there are 3 bins",
    "dash.csv": r"line 5: dl of the bin at ell = 3000 is missing \('-'\)",
    "deep.yaml": "line 3: expected a text, a number, a list, or a list of lists",
    "descending.csv": "Sort the bins",
    "elsewhere.csv": "line 3: covariance: '../../../../etc/passwd' is not the name of a file",
    "empty.csv": "is empty",
    "empty_bins.csv": "from 2500.2 to 2500.7 holds no multipole",
    "empty_cell.csv": "line 5: dl of the bin at ell = 3000 is missing",
    "half_left_out.yaml": "Is half of it left out",
    "infinite.csv": "line 5: dl of the bin at ell = 3000 is '1e999', not a finite number",
    "kelvin.csv": r"line 2: units.*got 'K\^2'; multiply dl and sigma by 1e12",
    "key_twice.csv": "line 3: 'units' is there twice",
    "key_twice.yaml": "line 5: 'units' is there twice, first in line 2",
    "latin1.csv": "not a text file in UTF-8",
    "list_for_a_number.yaml": r"line 3: ell\[1\] is a list",
    "list_for_a_text.yaml": "line 1: name: a text is expected",
    "long_name.csv": "line 3: covariance: 'a+' is not the name of a file",
    "map_area.csv": "its unit must be deg.2 or sr, got 'arcmin",
    "mapping_inside.yaml": "line 3: expected a text",
    "missing_bin.yaml": "line 4: dl: .* none is left for the bin at ell = 4000",
    "name_of_two_lines.yaml": "name must be a line of text",
    "nan.csv": r"line 5: dl of the bin at ell = 3000 is missing \('nan'\)",
    "nan_in_covariance.yaml": r"line 7: covariance\[1\]\[1\] is missing",
    "nanokelvin.csv": "divide dl and sigma by 1e6",
    "nanokelvin_values.csv": "looks like units of nK",
    "negative_variance.yaml": "variance of the bin at ell = 3000 is -0.01",
    "no_dl.csv": "dl is missing",
    "no_errors.csv": "either sigma.*or their covariance",
    "no_header.csv": "line 3: unknown column '2000'.*names the columns",
    "no_rows.csv": "no rows of numbers",
    "no_units.csv": r"units are not given; add 'units: uK\^2'",
    "not_positive.yaml": "not positive definite: the smallest eigenvalue",
    "not_there.csv": r"line 3: covariance: .*not_there_at_all\.txt does not exist",
    "not_total.csv": "is_total: it must be false or true, got 'perhaps'",
    "null_in_covariance.yaml": r"line 7: covariance\[1\]\[1\] is missing \('null'\)",
    "only_a_list.yaml": "does not hold fields",
    "only_low_edges.csv": "ell_low and ell_high belong together",
    "other_version.csv": "version: it must be 1, got '2'",
    "ragged.yaml": r"line 7: covariance\[1\] has 2 numbers, where the first row has 3",
    "short_row.csv": "line 5: 2 cells, where there are 3 columns",
    "sigma_and_covariance.yaml": "either sigma.*or their covariance",
    "singular.yaml": "singular.*the bin at ell = 2000 and the bin at ell = 3000",
    "square_kelvin_values.csv": "looks like units of K",
    "too_many_values.yaml": "3 values of dl for 2 bins",
    "two_documents.yaml": "line 6: a second document",
    "typo_units.csv": r"did you mean 'uK\^2'",
    "unclosed.yaml": "line 4: this is not YAML",
    "underscore.csv": "is '1_0', not a number",
    "unknown_column.csv": "unknown column 'sigma_dl'.*did you mean 'sigma'",
    "unknown_key.csv": "line 3: unknown key 'sorce'.*did you mean 'source'",
    "unknown_key.yaml": "line 5: unknown key 'covarience'.*did you mean 'covariance'",
    "wide_bins.csv": "too many or too wide",
    "window_sums_to_2.yaml": "window of the bin at ell = 3000 sums to 2",
    "windows_descend.yaml": "window_ell must ascend",
    "windows_exchanged.yaml": "window of the bin at ell = 2000 has its mean at ell = 3000",
    "windows_too_few.yaml": "there are 2, but bins or windows for 1",
    "windows_without_bins.yaml": "a column of ell, and one for each bin",
    "word.csv": "line 5: dl of the bin at ell = 3000 is 'one', not a number",
    "zero_sigma.csv": "bin at ell = 3000 is 0; it must be above 0",
}


@pytest.mark.parametrize("name", sorted(path.name for path in HOSTILE.iterdir()))
def test_hostile_files_are_refused_with_a_reason(name: str) -> None:
    with pytest.raises(ReionemuError, match=REASONS[name]) as caught:
        read_band_powers(HOSTILE / name)
    assert "hostile" in str(caught.value), "the file is named"
    assert len(str(caught.value)) < 700


def test_every_hostile_file_is_there() -> None:
    assert {path.name for path in HOSTILE.iterdir()} == set(REASONS)


@given(
    at=st.integers(0, len(YAML) - 1),
    put=st.text(st.sampled_from("[]{}&*!|>-:#\n\t '\"%@`,?~\x00\u20281e_"), max_size=3),
    cut=st.integers(0, 3),
    kind=st.sampled_from([("a.csv", CSV), ("a.yaml", YAML)]),
)
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_is_read_or_refused_and_no_more(
    tmp_path_factory: pytest.TempPathFactory,
    at: int,
    put: str,
    cut: int,
    kind: tuple[str, str],
) -> None:
    name, text = kind
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_text(text[:at] + put + text[at + cut :], encoding="utf-8")
    try:
        outcome = repr(read_band_powers(path))
    except ReionemuError as error:
        outcome = str(error)
    assert outcome.startswith(("<BandPowers", str(path)))


def test_large_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UnreadableFileError, match="larger than 16 MB"):
        read_band_powers(path)


def test_files_with_too_many_values_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"{ell},1,1\n" for ell in range(1, 1002))
    with pytest.raises(InferenceDataError, match="line 1003: more than 1000 bins"):
        read_band_powers(written(tmp_path, "a.csv", f"# units: uK^2\nell,dl,sigma\n{rows}"))
    ones = "units: uK^2\nell: |\n  " + "1 " * 1001
    with pytest.raises(InferenceDataError, match="1001 bins are too many"):
        read_band_powers(written(tmp_path, "a.yaml", ones))


@pytest.mark.slow
def test_a_million_nodes_are_the_most(tmp_path: Path) -> None:
    with pytest.raises(InferenceDataError, match="blocks of text"):
        read_band_powers(written(tmp_path, "a.yaml", f"ell: [{'1,' * 1_000_000}]\n"))


def test_yaml_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "a.yaml", YAML)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r"needs yaml.*pip install 'reionemu\[infer\]'"):
        read_band_powers(path)
    assert read_band_powers(written(tmp_path, "a.csv", CSV)).n == 2
