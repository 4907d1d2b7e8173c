"""Reading the plain part of YAML: one mapping of texts, lists, and lists of lists.

The types are those that the reader of a field expects, not those that YAML 1.1 guesses (in which
`no` is false, 1e5 a text and 1:30 the number 90). Tags, and references that could unfold to more
than the file holds, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import InferenceDataError
from ...extras import needed
from .nodes import Node

MAX_DEPTH = 2
MAX_NODES = 1_000_000


def parse_yaml(text: str, where: str) -> dict[str, Node]:
    """The mapping in a YAML document, by key.

    Raises
    ------
    InferenceDataError (ValueError)
        Naming the line, if it is not YAML, or not of the part that is read.
    ConfigError
        If PyYAML is not installed.
    """
    with needed("reading a YAML file", "infer"):
        import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return _Parser(yaml.parse(text, Loader=loader), where).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "damaged"
        raise InferenceDataError(f"{where}{line}: this is not YAML: {problem}") from None


class _Parser:
    """Builds nodes of the events of a YAML parser."""

    def __init__(self, events: Iterator[Any], where: str) -> None:
        self._events, self._where, self._nodes = events, where, 0

    def error(self, event: Any, what: str) -> InferenceDataError:
        return InferenceDataError(f"{self._where}, line {event.start_mark.line + 1}: {what}")

    def document(self) -> dict[str, Node]:
        next(self._events), next(self._events)  # start of stream and document
        start = next(self._events, None)
        if type(start).__name__ != "MappingStartEvent":
            raise InferenceDataError(
                f"{self._where} does not hold fields such as 'name: ...', 'units: uK^2'"
            )
        found: dict[str, Node] = {}
        while type(event := next(self._events)).__name__ != "MappingEndEvent":
            key = self._node(event, MAX_DEPTH)
            assert isinstance(key.value, str)
            if key.value in found:
                raise self.error(
                    event,
                    f"{key.value[:40]!r} is there twice, first in line "
                    f"{found[key.value].line}; leave one of them",
                )
            found[key.value] = self._node(next(self._events), 0)
        next(self._events)
        if type(event := next(self._events)).__name__ != "StreamEndEvent":
            raise self.error(event, "a second document begins; one is expected")
        return found

    def _node(self, event: Any, depth: int) -> Node:
        kind = type(event).__name__
        line = event.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self.error(
                event, f"more than {MAX_NODES} values; give tables as blocks of text, or in files"
            )
        if kind == "AliasEvent" or event.anchor:
            raise self.error(event, "anchors and references (& and *) are not understood here")
        if event.tag is not None:
            raise self.error(event, f"tags such as {event.tag[:40]!r} are not understood here")
        if kind == "ScalarEvent":
            return Node(event.value, line, is_block=event.style == "|")
        if kind != "SequenceStartEvent" or depth == MAX_DEPTH:
            raise self.error(event, "expected a text, a number, a list, or a list of lists")
        items = []
        while type(item := next(self._events)).__name__ != "SequenceEndEvent":
            items.append(self._node(item, depth + 1))
        return Node(items, line)
