"""Hold plain data to the shape of a Struct, and say everything that is wrong with it.

`msgspec.convert` stops at its first fault and does not know which field was meant.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import inspect

from caracal.tokens.secret import Secret
from caracal_server.control.document_faults import Fault, Path

Struct: TypeAlias = inspect.StructType
_SHOWN_CHARACTERS: Final = 60
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_YEARS: Final = (2000, 9000)


@lru_cache(maxsize=16)
def _type_of(shape: type) -> inspect.Type:
    return inspect.type_info(shape)


def check_shape(value: object, shape: type) -> tuple[Fault, ...]:
    """Return what keeps `value` from being converted to `shape`, in the order of the shape.

    Args:
        value: of str, int, float, bool, None, list and dict; a `Secret` may stand for a text.
        shape: a Struct whose texts may carry `extra={"says": ...}`: their pattern in words.
    """
    return tuple(_check(value, _type_of(shape), (), ""))


def quoted(text: str) -> str:
    """Show a text that was given, cut to a length that fits a message."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    return repr(cut)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name."""
    close = get_close_matches(name.lower(), known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(sorted(known))}"


def _check(value: object, shape: inspect.Type, path: Path, says: str) -> Iterator[Fault]:
    match shape:
        case inspect.Metadata():
            yield from _check(value, shape.type, path, str((shape.extra or {}).get("says", says)))
        case inspect.UnionType():
            yield from _check_union(value, shape, path, says)
        case inspect.StructType():
            yield from _check_struct(value, shape, path)
        case inspect.DictType():
            yield from _check_dict(value, shape, path)
        case inspect.VarTupleType():
            yield from _check_list(value, shape, path)
        case inspect.EnumType():
            yield from _check_enum(value, shape, path)
        case _:
            yield from _check_scalar(value, shape, path, says)


def _check_scalar(value: object, shape: inspect.Type, path: Path, says: str) -> Iterator[Fault]:
    match shape:
        case inspect.StrType():
            yield from _check_text(value, shape, path, says)
        case inspect.CustomType():
            if not isinstance(value, str | Secret):
                yield Fault(path, "must be text")
        case inspect.BoolType():
            if not isinstance(value, bool):
                yield Fault(path, "must be true or false")
        case inspect.DateTimeType():
            yield from _check_instant(value, path)
        case _:
            raise TypeError(f"a document holds no {type(shape).__name__}")


def _check_union(value: object, union: inspect.UnionType, path: Path, says: str) -> Iterator[Fault]:
    members = [member for member in union.types if not isinstance(member, inspect.NoneType)]
    if value is None and union.includes_none:
        return
    wanted = inspect.VarTupleType if isinstance(value, list | tuple) else None
    chosen = next(
        (member for member in members if wanted and isinstance(member, wanted)), members[0]
    )
    yield from _check(value, chosen, path, says)


def _check_struct(value: object, shape: Struct, path: Path) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield Fault(path, f"must be a mapping with the fields {_fields(shape)}")
        return
    names = {field.encode_name for field in shape.fields}
    for given in value:
        if given not in names:
            yield Fault(
                (*path, str(given)),
                f"there is no such field; {did_you_mean(str(given), sorted(names))}",
            )
    for field in shape.fields:
        if field.encode_name in value:
            yield from _check(value[field.encode_name], field.type, (*path, field.encode_name), "")
        elif field.required:
            yield Fault((*path, field.encode_name), "is missing, and a value is needed")


def _fields(shape: Struct) -> str:
    return ", ".join(field.encode_name for field in shape.fields)


def _check_dict(value: object, shape: inspect.DictType, path: Path) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield Fault(path, "must be a mapping or a list")
        return
    if shape.max_length is not None and len(value) > shape.max_length:
        yield Fault(path, f"has {len(value)} entries; at most {shape.max_length} are allowed")
        return
    for key, item in value.items():
        yield from _check(item, shape.value_type, (*path, str(key)), "")


def _check_list(value: object, shape: inspect.VarTupleType, path: Path) -> Iterator[Fault]:
    if not isinstance(value, list | tuple):
        yield Fault(path, "must be a list")
        return
    if shape.max_length is not None and len(value) > shape.max_length:
        yield Fault(path, f"has {len(value)} entries; at most {shape.max_length} are allowed")
        return
    for position, item in enumerate(value):
        yield from _check(item, shape.item_type, (*path, position), "")


def _check_enum(value: object, shape: inspect.EnumType, path: Path) -> Iterator[Fault]:
    known = [str(member.value) for member in shape.cls]
    if not isinstance(value, str):
        yield Fault(path, f"must be one of {', '.join(known)}")
    elif value not in known:
        yield Fault(path, f"{quoted(value)} is not known; {did_you_mean(value, known)}")


def _check_text(value: object, shape: inspect.StrType, path: Path, says: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield Fault(path, "must be text; put it in quotes")
    elif shape.max_length is not None and len(value) > shape.max_length:
        yield Fault(path, f"has {len(value)} characters; at most {shape.max_length} are allowed")
    elif shape.pattern is not None and re.fullmatch(shape.pattern, value) is None:
        yield Fault(path, f"{quoted(value)} is not {says}")


def _check_instant(value: object, path: Path) -> Iterator[Fault]:
    try:
        year = msgspec.convert(value, _Instant).year
    except msgspec.ValidationError:
        year = 0
    if not _YEARS[0] <= year <= _YEARS[1]:
        yield Fault(path, "must be a date, a time and an offset, such as 2030-01-31T12:00:00Z")
