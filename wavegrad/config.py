"""TOML and JSON tables <-> frozen dataclasses, strictly: what is not understood is refused by file and key."""

import copy
import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union

import tomli_w

from wavegrad import atomic
from wavegrad.errors import ConfigError, unknown

T = TypeVar("T")

IN_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


def from_dict(cls: type[T], data: object, where: str) -> T:
    """Make a dataclass from a table, as read from a TOML or JSON file.

    Fields may be int, float, bool, str, Literal, Optional, tuple[X, ...], tuple[X, Y], dict[str, X] and dataclasses of
    these. A whole number serves as a float; true and false are no numbers. A missing key takes the field's default;
    an Optional field without one is None.

    Args:
        cls: the dataclass.
        data: a mapping; anything else is refused.
        where: the file, for messages.

    Raises:
        ConfigError: "WHERE: key a.b: ..." for an unknown key (with the nearest known one), a missing key, a wrong
            type, or whatever ValueError the dataclass raises itself.
    """
    return _table(cls, data, where, "")


def to_dict(instance: object) -> dict[str, Any]:
    """The table that `from_dict` turns back into `instance`: tuples become lists; fields that are None are left out."""
    assert dataclasses.is_dataclass(instance)
    table = {}
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if value is not None:
            table[field.name] = _plain(value)
        elif field.default not in (None, dataclasses.MISSING):
            raise TypeError(
                f"{type(instance).__name__}.{field.name} is None, but left out it would be {field.default!r}"
            )
    return table


def load_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file. ConfigError if it cannot be read or is no TOML."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))  # with or without the mark of some editors
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise ConfigError(f"{path}: is no valid TOML: {error}") from error


def save_toml(data: Mapping[str, Any], path: str | Path) -> None:
    """Write a TOML file; a reader sees the old file or the new one, never half of one."""
    atomic.write_text(Path(path), tomli_w.dumps(data))


def apply_overrides(data: Mapping[str, Any], overrides: Sequence[str], where: str) -> dict[str, Any]:
    """A copy of `data` in which each override `a.b=value` is set; a later one wins.

    Values are read as TOML (`8`, `1e-4`, `true`, `[1, 2]`, `"8"`); what is no TOML value is a string (`bf16`).
    Keys are checked when the table is read by `from_dict`.
    """
    result = copy.deepcopy(dict(data))
    for override in overrides:
        key, equals, text = override.partition("=")
        names = [name.strip() for name in key.split(".")]
        if not equals or not all(names):
            raise ConfigError(
                f"{where}: override {override!r}: write KEY=VALUE, with dots between the parts of the key"
            )
        table = result
        for depth, name in enumerate(names[:-1], start=1):
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                _refuse(
                    where,
                    ".".join(names[:depth]),
                    f"expected a table, got {table!r}; override {override!r} cannot be set",
                )
        table[names[-1]] = _value(text.strip(), override, where)
    return result


def _value(text: str, override: str, where: str) -> Any:
    """A TOML value, or a bare word."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        if text.startswith(("[", "{", '"', "'")):
            raise ConfigError(f"{where}: override {override!r}: is no valid TOML: {error}") from error
        return text
    return parsed["value"] if len(parsed) == 1 else text  # a line break in `text` could add keys


def _plain(value: object) -> Any:
    match value:
        case bool() | int() | float() | str():
            return value
        case tuple() | list():
            return [_plain(item) for item in value]
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
    return to_dict(value)


def _table(cls: type[Any], data: object, where: str, key: str) -> Any:
    if not isinstance(data, Mapping):
        _refuse(where, key, f"expected a table, got {data!r}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    hints = typing.get_type_hints(cls)
    for name in data:
        if name not in fields:
            _refuse(where, _join(key, name), unknown("key", str(name), fields))
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _convert(hints[name], data[name], where, _join(key, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            if not _is_optional(hints[name]):
                _refuse(where, _join(key, name), f"is missing; expected {_in_words(hints[name])}")
            values[name] = None
    try:
        return cls(**values)
    except ValueError as error:
        _refuse(where, key, str(error), error)


def _convert(hint: Any, value: object, where: str, key: str) -> Any:
    """`value` as the type `hint`; `key` is its path, for messages."""
    if _is_optional(hint):
        (hint,) = (member for member in typing.get_args(hint) if member is not types.NoneType)
        return None if value is None else _convert(hint, value, where, key)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _table(typing.cast(type[Any], hint), value, where, key)
    if origin is Literal:
        return _literal(args, value, where, key)
    if origin is tuple and isinstance(value, (list, tuple)):
        return _tuple(args, value, where, key)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {name: _convert(args[1], item, where, _join(key, name)) for name, item in value.items()}
    if hint is float and type(value) in (int, float) and not math.isnan(typing.cast(float, value)):
        return float(typing.cast(float, value))
    if hint in (int, bool, str) and type(value) is hint:
        return value
    _refuse(where, key, f"expected {_in_words(hint)}, got {value!r}")


def _tuple(args: tuple[Any, ...], value: Sequence[object], where: str, key: str) -> tuple[Any, ...]:
    item_hints = [args[0]] * len(value) if args[-1] is ... else list(args)
    if len(value) != len(item_hints):
        _refuse(where, key, f"expected {len(item_hints)} entries, got {len(value)}")
    return tuple(
        _convert(hint, item, where, f"{key}[{index}]")
        for index, (hint, item) in enumerate(zip(item_hints, value, strict=True))
    )


def _literal(allowed: tuple[Any, ...], value: object, where: str, key: str) -> Any:
    if any(type(value) is type(choice) and value == choice for choice in allowed):
        return value
    if isinstance(value, str):
        _refuse(where, key, unknown("value", value, map(str, allowed)))
    _refuse(where, key, f"expected {_in_words(Literal[allowed])}, got {value!r}")


def _is_optional(hint: Any) -> bool:
    return typing.get_origin(hint) in (Union, types.UnionType) and types.NoneType in typing.get_args(hint)


def _in_words(hint: Any) -> str:
    if hint in IN_WORDS:
        return IN_WORDS[hint]
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return "a list"
    assert dataclasses.is_dataclass(hint) or typing.get_origin(hint) in (dict, Mapping), (
        f"fields of type {hint} are not supported"
    )
    return "a table"


def _join(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def _refuse(where: str, key: str, reason: str, cause: Exception | None = None) -> NoReturn:
    raise ConfigError(f"{where}: key {key}: {reason}" if key else f"{where}: {reason}") from cause
