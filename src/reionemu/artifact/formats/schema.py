"""Checking the JSON documents of a record, and the JSON Schemas that are published of them.

The models in `documents` judge a document as `jsonio.decode` returns it; the published schemas
(docs/schemas) judge the file, in which a number that is not finite is {"$float": "nan"}. Both say
the same, but that JSON Schema cannot tell 1.0 from 1.

A field that is not known is no error. It is kept, and named.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ...errors import ConfigError, RecordError
from .documents import MODELS, FileEntry, HistoryLine
from .migrations import MIGRATIONS, VERSION_KEY, known_version, migrate, version_of

_MAX_ERRORS = 10_000
_SAYS_NOTHING = ("additionalProperties", True)


@dataclass(frozen=True)
class Problem:
    """Something in a document that is not as its schema says.

    Attributes
    ----------
    level : {"error", "note"}
        A note names a field that is not known.
    path : str
        Where, such as "lineage[2].config"; empty for the document as a whole.
    message : str
    """

    level: str
    path: str
    message: str


def check(kind: str, document: Any) -> list[Problem]:
    """Compare a document with its schema.

    Parameters
    ----------
    kind : {"info", "configs", "results", "provenance", "history", "weights", "companions",
        "posterior", "data", "stages"}
    document : object
        As `jsonio.decode` returned it. One of an earlier version is brought up to date first; of
        one from a newer release than this, only what is not known is named.

    Returns
    -------
    list of Problem
        Errors first.
    """
    if not isinstance(document, Mapping):
        return [Problem("error", "", f"must be an object, not {reprlib.repr(document)}")]
    notes = [
        Problem("note", path, "is kept, but not understood: written by a newer release?")
        for path in unknown_fields(kind, document)
    ]
    if kind in MIGRATIONS:
        key = VERSION_KEY[kind]
        try:
            version = version_of(kind, document, "the document")
        except RecordError as error:
            return [Problem("error", key, str(error).partition(f"{key} ")[2]), *notes]
        if version > known_version(kind):
            newer = f"is {version}, of a newer release; this one knows {known_version(kind)}"
            return [Problem("note", key, newer), *notes]
        if key in document or version < known_version(kind):  # the first versions had no key
            document = migrate(kind, document, "the document")
    return [*_errors(kind, document), *notes]


def unknown_fields(kind: str, document: Mapping[str, Any]) -> list[str]:
    """Places of the fields that the schema of a kind of document does not know."""
    return list(_unknown(_model(kind), document, ""))


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a kind of document as it is in its file."""
    schema = _for_file(_model(kind).model_json_schema())
    definitions = schema.pop("$defs", {})
    definitions["NonFinite"] = {
        "title": "NonFinite",
        "description": "A number that is not finite, which JSON does not have.",
        "type": "object",
        "properties": {"$float": {"enum": ["nan", "inf", "-inf"]}},
        "required": ["$float"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:reionemu:{kind}:{version_of_schema(kind)}",
        "title": schema.pop("title"),
        "description": schema.pop("description"),
        **schema,
        "$defs": definitions,
    }


def version_of_schema(kind: str) -> int:
    """The version of the documents that `json_schema(kind)` describes."""
    return known_version(kind) if kind in MIGRATIONS else 1


def schema_file(kind: str) -> str:
    """The name of the file that the JSON Schema of a kind is published as."""
    return f"{kind}.v{version_of_schema(kind)}.schema.json"


def _model(kind: str) -> type[BaseModel]:
    if kind not in MODELS:
        raise ConfigError(f"no kind of document is called {kind!r}; there are {', '.join(MODELS)}")
    return MODELS[kind]


def _errors(kind: str, document: Mapping[str, Any]) -> list[Problem]:
    try:
        _model(kind).model_validate(document)
    except ValidationError as error:
        if error.error_count() > _MAX_ERRORS:
            return [Problem("error", "", f"{error.error_count()} things in it are not as expected")]
        found = error.errors(include_url=False, include_context=False)
        return [Problem("error", _path(document, e["loc"]), _sentence(e)) for e in found]
    return []


_SENTENCES = {
    "missing": "is not there",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be an array",
    "string_pattern_mismatch": "does not have the form that it must have",
    "union_tag_not_found": "does not say which step it is",
    "union_tag_invalid": "is no step that is known",
    "model_attributes_type": "must be an object",
}


def _sentence(error: Any) -> str:
    text = _SENTENCES.get(error["type"]) or error["msg"].replace("Input should", "should")
    return text if error["type"] == "missing" else f"{text}; it is {reprlib.repr(error['input'])}"


def _path(document: Any, location: tuple[int | str, ...]) -> str:
    """A place as people write it; pydantic also lists which of several models it chose."""
    path = ""
    for position, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
            document = document[part]
            continue
        inside = isinstance(document, Mapping) and part in document
        if not inside and position < len(location) - 1:
            continue
        path += f".{part}" if path else part
        document = document[part] if inside else None
    return path


def _unknown(model: type[BaseModel], document: Any, path: str) -> Iterator[str]:
    if not isinstance(document, Mapping):
        return
    for key, value in document.items():
        place = f"{path}.{key}" if path else str(key)
        if key in model.model_fields:
            yield from _within(model.model_fields[key].annotation, value, place)
        elif model is not HistoryLine:  # whose other fields are the values of the epoch
            yield place


def _within(annotation: Any, value: Any, path: str) -> Iterator[str]:
    """Unknown fields where a field holds a model, an array of models, or models by name."""
    models = list(_models_in(annotation))
    if not models:
        return
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _within(annotation, item, f"{path}[{i}]")
    elif FileEntry in models and isinstance(value, Mapping):
        for name, item in value.items():
            yield from _unknown(FileEntry, item, f"{path}.{name}")
    elif len(models) == 1:
        yield from _unknown(models[0], value, path)
    elif isinstance(value, Mapping):  # a step of the lineage
        chosen = [m for m in models if value.get("step") in _steps_of(m)]
        if chosen:
            yield from _unknown(chosen[0], value, path)
        else:
            yield path


def _steps_of(model: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(model.model_fields["step"].annotation)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _for_file(schema: Any) -> Any:
    """A schema of decoded documents as one of files, in which NaN is an object.

    What versions of pydantic say in different ways is said in one.
    """
    if isinstance(schema, list):
        return [_for_file(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, part in schema.items():
        if key == "properties":
            result[key] = {name: _for_file(field) for name, field in part.items()}
        elif key == "allOf" and len(part) == 1:
            result |= _for_file(part[0])
        elif key not in ("default", "discriminator") and (key, part) != _SAYS_NOTHING:
            result[key] = _for_file(part)
    if "const" in result:
        result.pop("enum", None)
    if schema.get("type") == "number":
        result["anyOf"] = [{"type": result.pop("type")}, {"$ref": "#/$defs/NonFinite"}]
    elif schema.get("type") == "object" and not schema.get("required"):
        result["not"] = {"$ref": "#/$defs/NonFinite"}
    return result
