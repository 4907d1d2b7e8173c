"""Figures as files: all of them, whole, and the same bytes each time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from reionemu.errors import ConfigError
from reionemu.plot import save_figures, spectrum
from reionemu.plot.files import rendered
from reionemu.plot.style import LOOKS


def test_all_figures_are_written_in_all_formats(tmp_path, posterior):
    paths = save_figures(posterior, tmp_path / "new" / "folder", truth={"tau": 0.057})
    assert [path.name for path in paths] == [
        f"{name}.{form}" for name in ("corner", "spectrum", "history") for form in ("pdf", "png")
    ]
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(
        path.name for path in paths
    )
    for path in paths:
        if path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF")
            assert b"/Type3" not in path.read_bytes()  # which journals refuse
        else:
            pixels = imread(path)
            assert pixels.shape[1] in (1020, 2100)  # 3.4 and 7 inch of 300 dots
            assert np.ptp(pixels) == 1


def test_a_posterior_without_history_has_two_figures(tmp_path, make_posterior):
    paths = save_figures(make_posterior(has_history=False), tmp_path, formats="svg")
    assert [path.name for path in paths] == ["corner.svg", "spectrum.svg"]


@pytest.mark.parametrize("form", ["pdf", "png", "svg"])
def test_bytes_do_not_tell_the_time(posterior, form, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    first = rendered(spectrum(posterior), form)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    assert rendered(spectrum(posterior), form) == first


def test_formats_are_checked_before_anything_is_drawn(tmp_path, posterior):
    with pytest.raises(ConfigError, match=r"one of pdf, png, svg; got 'pgn'.*did you mean 'png'"):
        save_figures(posterior, tmp_path / "x", formats=["pgn"])
    with pytest.raises(ConfigError, match="formats is empty"):
        save_figures(posterior, tmp_path / "x", formats=[])
    assert not (tmp_path / "x").exists()


def test_a_figure_that_fails_leaves_the_earlier_file(tmp_path, posterior, make_posterior):
    (tmp_path / "corner.png").write_bytes(b"earlier")
    stuck = make_posterior()
    stuck.chains.samples[..., 0] = 8.0
    with pytest.raises(ConfigError):
        save_figures(stuck, tmp_path, formats=["png"])
    assert (tmp_path / "corner.png").read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 1


def test_shades_stay_apart_in_grey():
    def grey(colour):
        return np.dot([int(colour[i : i + 2], 16) for i in (1, 3, 5)], [0.299, 0.587, 0.114])

    for look in LOOKS:
        assert grey(look.line) + 50 < grey(look.narrow) < grey(look.wide) - 30
        assert grey(look.wide) < 235  # and from paper


def test_matplotlib_is_loaded_only_to_draw():
    code = "import sys, reionemu.plot.files, reionemu.inference.latex; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"matplotlib", "getdist", "arviz", "torch"} & set(loaded.stdout.split())
