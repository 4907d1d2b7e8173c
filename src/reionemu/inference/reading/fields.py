"""Band powers made of the fields of a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...config import nearest
from ...errors import InferenceDataError, MissingFileError
from ..band_power_checks import MAX_BINS, MAX_WINDOW_VALUES, SKY
from ..band_powers import BandPowers
from .nodes import Node, Numbers, read_text

VERSION = 1
SQUARE_DEGREE = (np.pi / 180) ** 2
"""[sr]"""

FACTS = (
    "version",
    "name",
    "source",
    "units",
    "quantity",
    "is_total",
    "realization",
    "map_area",
    "covariance",
    "windows",
)
FIELDS = (*FACTS, "ell", "bins", "dl", "sigma")

MICROKELVIN = ("uk^2", "uk2", "uk**2", "muk^2", "muk2", "\u00b5k^2", "\u03bck^2")
OTHER_UNITS = {
    "k^2": "multiply dl and sigma by 1e12, a covariance by 1e24",
    "mk^2": "multiply dl and sigma by 1e6, a covariance by 1e12",
    "nk^2": "divide dl and sigma by 1e6, a covariance by 1e12",
    "uk": "give D_ell, not its root",
}


class Reader:
    """Makes band powers of fields by name.

    Parameters
    ----------
    path : Path
        The file; others that it names lie beside it.
    fields : mapping of str to Node

    Raises
    ------
    InferenceDataError (ValueError)
        If there are unknown fields.
    """

    def __init__(self, path: Path, fields: Mapping[str, Node]) -> None:
        self._path, self._fields = path, fields
        self._numbers = Numbers(str(path))
        for key, node in fields.items():
            if key not in FIELDS:
                raise self._numbers.error(
                    node.line,
                    f"unknown key {key[:40]!r}{nearest(key, FIELDS)}. Known keys: "
                    f"{', '.join(FIELDS)}",
                )

    def band_powers(self) -> BandPowers:
        """The band powers.

        Raises
        ------
        InferenceDataError (ValueError)
            Naming the line and the field, or the bin, that cannot be used.
        MissingFileError (FileNotFoundError), UnreadableFileError (OSError)
            If a file that is named is not there, or no text.
        """
        self._require_kind()
        ell, windows, window_ell = self._multipoles()
        dl, covariance = self._vector("dl", ell), self._covariance(ell)
        map_area = self._map_area()
        is_total = self._choice("is_total", {"false": False, "true": True}, False)
        name, source = self._word("name", self._path.stem), self._word("source", "")
        realization = self._word("realization", SKY)
        try:
            return BandPowers(
                name=name,
                ell=ell,
                dl=dl,
                covariance=covariance,
                windows=windows,
                window_ell=window_ell,
                is_total=bool(is_total),
                realization=realization,
                map_area=map_area,
                source=source,
            )
        except InferenceDataError as error:
            raise InferenceDataError(f"{self._path}: {error}") from None

    def _require_kind(self) -> None:
        """Refuse other versions, quantities and units."""
        self._choice("version", {str(VERSION): VERSION}, VERSION)
        quantity = self._word("quantity", "dl")
        if quantity.lower() not in ("dl", "d_ell", "dl_ksz"):
            raise self._error(
                "quantity",
                f"it must be dl, got {quantity[:40]!r}. Multiply C_ell, and its errors, by "
                "ell (ell + 1) / (2 pi), and give D_ell",
            )
        if "units" not in self._fields:
            raise InferenceDataError(f"{self._path}: units are not given; add 'units: uK^2'")
        units = self._word("units", "").replace(" ", "").replace("\\mu", "u")
        if units.lower() not in MICROKELVIN:
            known = OTHER_UNITS.get(units.lower().replace("k2", "k^2"))
            raise self._error(
                "units",
                f"they must be uK^2, got {units[:40]!r}"
                + (f"; {known}" if known else f"{nearest(units, ['uK^2'])}"),
            )

    def _multipoles(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Multipoles of the bins; windows and their multipoles, if there are any."""
        given = self._fields.get("ell")
        ell = None if given is None else self._numbers.vector(given, "ell")
        if ell is not None and len(ell) > MAX_BINS:
            raise self._error("ell", f"{len(ell)} bins are too many; at most {MAX_BINS} are read")
        if "bins" in self._fields and "windows" in self._fields:
            raise self._error("bins", "there are windows as well; leave one of them")
        if "bins" in self._fields:
            windows, window_ell = self._top_hats()
        elif "windows" in self._fields:
            columns = self._matrix("windows")
            windows, window_ell = columns[:, 1:].T, columns[:, 0]
            if not len(windows):
                raise self._error("windows", "a column of ell, and one for each bin, are expected")
        elif ell is None:
            raise InferenceDataError(f"{self._path}: ell is missing, and so are bins and windows")
        else:
            return ell, None, None
        effective = windows @ window_ell
        if ell is not None and len(ell) != len(windows):
            raise self._error(
                "ell", f"there are {len(ell)}, but bins or windows for {len(windows)}"
            )
        return effective if ell is None else ell, windows, window_ell

    def _top_hats(self) -> tuple[np.ndarray, np.ndarray]:
        """Windows that are uniform in the multipoles ell_low <= ell < ell_high of each bin."""
        edges = self._matrix("bins")
        if edges.shape[1] != 2 or len(edges) > MAX_BINS:
            raise self._error(
                "bins",
                f"up to {MAX_BINS} pairs [ell_low, ell_high] are expected, got an array of "
                f"shape {edges.shape}",
            )
        low, high = np.ceil(edges).T
        if (wrong := (edges[:, 0] < 0) | (high <= low)).any():
            i = int(np.argmax(wrong))
            raise self._error(
                "bins", f"the bin from {edges[i, 0]:g} to {edges[i, 1]:g} holds no multipole"
            )
        span = high.max() - low.min()
        if span * len(edges) > MAX_WINDOW_VALUES:
            raise self._error(
                "bins", f"bins that span {span:g} multipoles are too many or too wide"
            )
        ell = np.arange(low.min(), high.max())
        inside = (ell >= low[:, None]) & (ell < high[:, None])
        used = inside.any(axis=0)
        inside = inside[:, used]
        return inside / inside.sum(axis=1, keepdims=True), ell[used]

    def _covariance(self, ell: np.ndarray) -> np.ndarray:
        if ("sigma" in self._fields) == ("covariance" in self._fields):
            raise InferenceDataError(
                f"{self._path}: either sigma, the errors of dl, or their covariance is to be given"
            )
        if "covariance" in self._fields:
            return self._matrix("covariance")
        sigma = self._vector("sigma", ell)
        if (sigma <= 0).any():
            i = int(np.argmax(sigma <= 0))
            raise self._error(
                "sigma", f"that of the bin at ell = {ell[i]:g} is {sigma[i]:g}; it must be above 0"
            )
        return np.diag(sigma**2)

    def _vector(self, name: str, ell: np.ndarray) -> np.ndarray:
        """A number for each bin."""
        if name not in self._fields:
            raise InferenceDataError(f"{self._path}: {name} is missing")
        bins = [f" of the bin at ell = {x:g}" for x in ell]
        values = self._numbers.vector(self._fields[name], name, bins)
        if len(values) < len(ell):
            raise self._error(
                name,
                f"there are {len(values)} values for {len(ell)} bins: none is left for the "
                f"bin at ell = {ell[len(values)]:g}. Leave a bin that was not measured out of all "
                "fields",
            )
        return values

    def _matrix(self, name: str) -> np.ndarray:
        """A table: lists, a block of text, or the name of a file beside this one."""
        node = self._fields[name]
        if node.is_block or not isinstance(node.value, str):
            return self._numbers.matrix(node, name)
        plain = Path(node.value).name == node.value and node.value.isprintable()
        if not plain or len(node.value.encode()) > 255:
            raise self._error(
                name,
                f"{node.value[:80]!r} is not the name of a file beside this one (nor a list, "
                "nor a block of text that begins with |)",
            )
        path = self._path.parent / node.value
        if not path.exists():
            raise MissingFileError(
                f"{self._path}, line {node.line}: {name}: {path} does not exist; give the name of "
                "a file beside this one, or rows of numbers"
            )
        return Numbers(str(path)).table(read_text(path, f"a table ({name})"), 1, name)

    def _map_area(self) -> float | None:
        """[sr]; in a file, square degrees if it does not say otherwise."""
        text = self._word("map_area", "")
        if not text:
            return None
        number, _, unit = text.partition(" ")
        scale = {"": SQUARE_DEGREE, "deg^2": SQUARE_DEGREE, "sr": 1.0}.get(unit.strip())
        if scale is None:
            raise self._error("map_area", f"its unit must be deg^2 or sr, got {unit[:40]!r}")
        return self._numbers.number(number, self._fields["map_area"].line, "map_area") * scale

    def _choice(self, name: str, choices: Mapping[str, int], default: int) -> int:
        if name not in self._fields:
            return default
        text = self._word(name, "").lower()
        if text not in choices:
            raise self._error(name, f"it must be {' or '.join(choices)}, got {text[:40]!r}")
        return choices[text]

    def _word(self, name: str, default: str) -> str:
        node = self._fields.get(name)
        if node is None:
            return default
        if not isinstance(node.value, str):
            raise self._error(name, "a text is expected, not a list")
        return node.value.strip()

    def _error(self, name: str, what: str) -> InferenceDataError:
        return self._numbers.error(self._fields[name].line, f"{name}: {what}")
