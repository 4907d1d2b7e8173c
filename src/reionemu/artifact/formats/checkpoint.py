"""Reading what `torch.save` wrote, without PyTorch and without executing anything.

The file is a zip file with the numbers of each storage and a pickle that says which tensor is
which part of which storage. A pickle is a program for a small machine with a stack; here is a
machine that knows only the instructions and the names that dictionaries of tensors need. For
everything else (a whole model is a pickle of its class) it stops.

Compared with `torch.load(weights_only=True)`, whose spirit this is, time and memory are bounded by
the size of the file: tensors and storages that claim far more than there is, compressed files,
and keys whose hash would take for ever are refused.
"""

from __future__ import annotations

import math
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...errors import RecordError, UnsafeRecordError
from .arrays import ZIP_ERRORS, widened, zip_members

_STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}
_REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"
_REBUILD_PARAMETER = ("torch._utils _rebuild_parameter",)
_ALLOWANCE = 2**24
_PLAIN = ("set", "dict", "int", "long", "list", "float", "tuple")
_ORDERED = "collections OrderedDict"
_INERT = frozenset(
    {
        "_codecs encode",
        "torch Size",
        "torch device",
        "collections Counter",
        "collections defaultdict",
        *(f"{module} {name}" for module in ("builtins", "__builtin__") for name in _PLAIN),
        *(f"torch {name}" for name in ("float64", "float32", "float16", "bfloat16", "bool")),
        *(f"torch {name}" for name in ("int64", "int32", "int16", "int8", "uint8")),
    }
)
_KEYS = (str, int, float, type(None))


class _MoreThanWeightsError(Exception):
    """The pickle asks for something that dictionaries of tensors do not need."""


class _Inert:
    """What stands for an object that is not needed, such as the state of a scheduler."""


class _Global(str):
    """A name that a pickle refers to."""


class _Storage:
    """Numbers that tensors are parts of."""

    def __init__(self, kind: str, content: bytes, order: str) -> None:
        self.content, self.kind = content, kind
        self.dtype = np.dtype(order + _STORAGES[kind])


def read_checkpoint(content: bytes, where: str) -> Any:
    """What was given to `torch.save`, with NumPy arrays for tensors.

    Arrays may share memory and cannot be written; bfloat16 becomes float32, exactly. Objects that
    are known to be harmless and not to be weights, such as devices, become placeholders.

    Parameters
    ----------
    content : bytes
        Of the file.
    where : str
        What errors call it.

    Raises
    ------
    UnsafeRecordError (ValueError)
        If it holds more than plain values and tensors.
    RecordError (ValueError)
        If it is damaged, or not a file of `torch.save` (since PyTorch 1.6).
    """
    try:
        if content[:4] != b"PK\x03\x04":
            raise ValueError("it is not a file of torch.save since PyTorch 1.6")
        members = zip_members(content, limit=len(content), compressed=False)
        stems = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
        if len(stems) != 1:
            raise ValueError("it holds no data.pkl, or several")
        return _Machine(members, stems[0], budget=4 * len(content) + _ALLOWANCE).run()
    except _MoreThanWeightsError as reason:
        raise UnsafeRecordError(
            f"{where} holds more than weights (a whole model?): {reason}, and unpickling it would "
            "run code. Load it yourself where its code is at hand, and pass its weights: "
            "state_dict=..."
        ) from None
    except (*ZIP_ERRORS, KeyError, TypeError) as error:
        raise RecordError(f"{where} is not a PyTorch checkpoint: {error}") from None


class _Machine:
    """The stack machine of pickle, as far as it is needed."""

    def __init__(self, members: Mapping[str, bytes], stem: str, budget: int) -> None:
        self._members, self._stem = members, stem
        self._budget = budget  # bytes that all tensors together may have
        self._order = ">" if members.get(f"{stem}byteorder") == b"big" else "<"
        self._storages: dict[str, _Storage] = {}
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Run the program; what it leaves on the stack."""
        for opcode, argument, _ in pickletools.genops(self._members[f"{self._stem}data.pkl"]):
            name = opcode.name
            if name == "STOP":
                return self._stack.pop()
            if name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in _NUMBERS or name in _TEXT:
                self._stack.append(argument)
            elif name in _STEPS:
                _STEPS[name](self, argument)
            else:
                raise _MoreThanWeightsError(f"the instruction {name} is not needed for weights")
        raise ValueError("its pickle ends too soon")

    def _until_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _put(self, index: Any) -> None:
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _tuple(self, _: Any) -> None:
        items = self._until_mark()
        self._stack.append(tuple(items))

    def _last(self, count: int) -> None:
        items = self._stack[-count:]
        if len(items) < count:
            raise IndexError("its pickle takes more than there is")
        self._stack[-count:] = [tuple(items)]

    def _append(self, items: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(items)
        elif not isinstance(self._stack[-1], _Inert):
            raise _MoreThanWeightsError("it appends to something that is not a list")

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, _Inert):
            return
        if not isinstance(target, dict):
            raise _MoreThanWeightsError("it sets an item of something that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise _MoreThanWeightsError("it has a key that is neither text nor a number")
            target[key] = value

    def _set_one(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _global(self, name: str) -> None:
        module, _, attribute = name.partition(" ")
        storage = module == "torch" and attribute in _STORAGES
        known = (_ORDERED, _REBUILD_TENSOR, *_REBUILD_PARAMETER)
        if not storage and name not in known and name not in _INERT:
            raise _MoreThanWeightsError(f"it refers to {name.replace(' ', '.')!r:.80}")
        self._stack.append(_Global(name))

    def _stack_global(self, _: Any) -> None:
        attribute, module = self._stack.pop(), self._stack.pop()
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise _MoreThanWeightsError("it refers to something without a name")
        self._global(f"{module} {attribute}")

    def _reduce(self, _: Any) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        if not isinstance(called, _Global) or not isinstance(arguments, tuple):
            raise _MoreThanWeightsError("it calls something that has no name")
        if called == _REBUILD_TENSOR:
            result: Any = self._tensor(*arguments[:4])
        elif called in _REBUILD_PARAMETER:
            result = arguments[0]
        elif called == _ORDERED and not arguments:
            result = OrderedDict()
        elif called in _INERT:
            result = _Inert()
        else:
            raise _MoreThanWeightsError(f"it calls {called.replace(' ', '.')!r:.80}")
        self._stack.append(result)

    def _build(self, _: Any) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, OrderedDict) and isinstance(state, dict):
            target._metadata = state.get("_metadata")  # type: ignore[attr-defined]
        elif not isinstance(target, _Inert):
            raise _MoreThanWeightsError("it restores an object that is no dictionary")

    def _persistent(self, _: Any) -> None:
        """A storage: ("storage", its type, the name of its file, its device, its length)."""
        _, kind, key, _, length = self._stack.pop()
        kind = str(kind).removeprefix("torch ")
        if kind not in _STORAGES or not isinstance(key, str):
            raise _MoreThanWeightsError("it refers to something that is not a storage")
        if key not in self._storages:
            storage = _Storage(kind, self._members[f"{self._stem}data/{key}"], self._order)
            if length * storage.dtype.itemsize != len(storage.content):
                raise ValueError(f"the storage {key!r:.40} is not as large as it claims")
            self._storages[key] = storage
        self._stack.append(self._storages[key])

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any) -> np.ndarray:
        numbers = (offset, *shape, *strides)
        if not isinstance(storage, _Storage) or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError("a tensor is described by what are no sizes")
        size = storage.dtype.itemsize
        count = math.prod(shape)
        self._budget -= count * size  # storages may be shared, and tensors repeat their numbers
        if self._budget < 0:
            raise ValueError(f"a tensor of shape {shape!r:.60} claims more than the file can hold")
        steps = tuple(size * stride for stride in strides) if count else None
        begin = size * offset if count else 0
        array: np.ndarray = np.ndarray(shape, storage.dtype, storage.content, begin, steps)
        if storage.kind == "BFloat16Storage":
            return widened(array)
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_TEXT = ("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES")
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": _Machine._mark,
    "EMPTY_DICT": lambda machine, _: machine._stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine._stack.append([]),
    "EMPTY_SET": lambda machine, _: machine._stack.append(_Inert()),
    "ADDITEMS": lambda machine, _: machine._append(machine._until_mark()),
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._last(1),
    "TUPLE2": lambda machine, _: machine._last(2),
    "TUPLE3": lambda machine, _: machine._last(3),
    "APPEND": lambda machine, _: machine._append([machine._stack.pop()]),
    "APPENDS": lambda machine, _: machine._append(machine._until_mark()),
    "SETITEM": _Machine._set_one,
    "SETITEMS": lambda machine, _: machine._set(machine._until_mark()),
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._put,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}
