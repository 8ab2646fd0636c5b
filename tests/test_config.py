"""Strict tables: round trips, and one line with file and key for everything that is refused."""

import dataclasses
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from wavegrad.config import apply_overrides, from_dict, load_toml, save_toml, to_dict
from wavegrad.errors import ConfigError, WavegradError, unknown


@dataclass(frozen=True)
class Optimizer:
    name: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be positive")


@dataclass(frozen=True)
class Recipe:
    batch_size: int
    bf16: bool = False
    run: str = "run"
    order: Literal[1, 2] = 1
    limit: float | None = None
    dilations: tuple[tuple[int, int], ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    optimizer: Optimizer = Optimizer()
    stages: tuple[Optimizer, ...] = ()


optimizers = st.builds(
    Optimizer, st.sampled_from(["adam", "adamw"]), st.floats(1e-9, 1e3), st.tuples(st.floats(0, 1), st.floats(0, 1))
)
recipes = st.builds(
    Recipe,
    batch_size=st.integers(-(2**62), 2**62),
    bf16=st.booleans(),
    run=st.text(),
    order=st.sampled_from([1, 2]),
    limit=st.none() | st.floats(allow_nan=False),
    dilations=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))).map(tuple),
    weights=st.dictionaries(st.text(), st.floats(allow_nan=False)),
    optimizer=optimizers,
    stages=st.lists(optimizers, max_size=2).map(tuple),
)


@given(recipes)
def test_a_table_written_as_toml_comes_back_as_the_same_value(recipe: Recipe) -> None:
    assert from_dict(Recipe, tomllib.loads(tomli_w.dumps(to_dict(recipe))), "recipe.toml") == recipe


def test_only_what_is_missing_takes_the_default() -> None:
    recipe = from_dict(Recipe, {"batch_size": 4, "optimizer": {"name": "adamw"}}, "recipe.toml")
    assert recipe == Recipe(batch_size=4, optimizer=Optimizer(name="adamw"))


def test_a_whole_number_serves_as_a_float() -> None:
    optimizer = from_dict(Optimizer, {"learning_rate": 1, "betas": [0, 1]}, "recipe.toml")
    assert type(optimizer.learning_rate) is float
    assert [type(beta) for beta in optimizer.betas] == [float, float]


def test_an_optional_field_without_a_default_is_none_when_left_out() -> None:
    @dataclass(frozen=True)
    class Clamp:
        minimum: float | None

    assert to_dict(Clamp(None)) == {}
    assert from_dict(Clamp, {}, "recipe.toml") == Clamp(None)
    assert from_dict(Clamp, {"minimum": None}, "config.json") == Clamp(None)


def test_a_none_that_would_not_come_back_is_not_written() -> None:
    @dataclass(frozen=True)
    class Clamp:
        minimum: float | None = -1.0

    with pytest.raises(TypeError, match=r"Clamp\.minimum is None"):
        to_dict(Clamp(None))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"batch_sise": 8},
            "key batch_sise: unknown key 'batch_sise': did you mean 'batch_size'? allowed: batch_size, ",
        ),
        ({"zzz": 8}, "key zzz: unknown key 'zzz'; allowed: batch_size, bf16"),
        (
            {"optimizer": {"learning_rat": 1}},
            "key optimizer.learning_rat: unknown key 'learning_rat': did you mean 'learn",
        ),
        ({"stages": [{}, {"lr": 1}]}, "key stages[1].lr: unknown key 'lr'; allowed: name, learning_rate, betas"),
        ({}, "key batch_size: is missing; expected a whole number"),
        ({"batch_size": True}, "key batch_size: expected a whole number, got True"),
        ({"batch_size": 8.0}, "key batch_size: expected a whole number, got 8.0"),
        ({"batch_size": "8"}, "key batch_size: expected a whole number, got '8'"),
        ({"batch_size": None}, "key batch_size: expected a whole number, got None"),
        ({"bf16": 1}, "key bf16: expected true or false, got 1"),
        ({"run": 7}, "key run: expected a string, got 7"),
        ({"limit": "high"}, "key limit: expected a number, got 'high'"),
        ({"limit": float("nan")}, "key limit: expected a number, got nan"),
        ({"optimizer": {"learning_rate": True}}, "key optimizer.learning_rate: expected a number, got True"),
        (
            {"optimizer": {"name": "adma"}},
            "key optimizer.name: unknown value 'adma': did you mean 'adam'? allowed: adam, ",
        ),
        ({"optimizer": {"name": 3}}, "key optimizer.name: expected 'adam' or 'adamw', got 3"),
        ({"order": True}, "key order: expected 1 or 2, got True"),
        ({"order": 3}, "key order: expected 1 or 2, got 3"),
        ({"optimizer": {"betas": [0.9]}}, "key optimizer.betas: expected 2 entries, got 1"),
        ({"optimizer": {"betas": 0.9}}, "key optimizer.betas: expected a list, got 0.9"),
        ({"run": ["a"]}, "key run: expected a string, got ['a']"),
        ({"dilations": [[1, 2], [1, "2"]]}, "key dilations[1][1]: expected a whole number, got '2'"),
        ({"dilations": "12"}, "key dilations: expected a list, got '12'"),
        ({"weights": {"mel": "much"}}, "key weights.mel: expected a number, got 'much'"),
        ({"weights": [1.0]}, "key weights: expected a table, got [1.0]"),
        ({"optimizer": "adam"}, "key optimizer: expected a table, got 'adam'"),
        ({"optimizer": {"learning_rate": -1.0}}, "key optimizer: learning_rate is -1.0; it must be positive"),
    ],
)
def test_refusals_name_file_key_and_value_in_one_line(table: dict[str, object], message: str) -> None:
    data = table if "batch_size" in table or not table else {"batch_size": 8} | table
    with pytest.raises(ConfigError) as refusal:
        from_dict(Recipe, data, "recipe.toml")
    assert str(refusal.value).startswith(f"recipe.toml: {message}")
    assert "\n" not in str(refusal.value)


def test_what_the_root_itself_refuses_has_no_key() -> None:
    with pytest.raises(ConfigError, match=re.escape("a.toml: learning_rate is -1.0; it must be positive")):
        from_dict(Optimizer, {"learning_rate": -1.0}, "a.toml")
    with pytest.raises(ConfigError, match=re.escape("a.json: expected a table, got []")):
        from_dict(Optimizer, [], "a.json")


def test_a_field_of_a_type_that_tables_cannot_hold_is_our_fault() -> None:
    @dataclass(frozen=True)
    class Strange:
        path: Path = Path()

    with pytest.raises(AssertionError, match="not supported"):
        from_dict(Strange, {"path": "a"}, "a.toml")
    with pytest.raises(AssertionError):
        to_dict(Strange())


def test_overrides_are_toml_values_or_bare_words() -> None:
    data = {"batch_size": 8, "optimizer": {"name": "adam"}}
    overrides = ["batch_size = 16", "bf16=true", "run=first try", 'optimizer.name="adamw"', "optimizer.betas=[0.5, 1]"]
    overrides += ["limit=1e-4", "weights.mel=2", "batch_size=32", "stages=[{name='adamw'}]"]
    recipe = from_dict(Recipe, apply_overrides(data, overrides, "a.toml"), "a.toml")
    assert recipe == Recipe(
        batch_size=32,
        bf16=True,
        run="first try",
        limit=1e-4,
        weights={"mel": 2.0},
        optimizer=Optimizer(name="adamw", betas=(0.5, 1.0)),
        stages=(Optimizer(name="adamw"),),
    )


def test_overrides_leave_the_table_alone() -> None:
    data = {"optimizer": {"name": "adam"}}
    apply_overrides(data, ["optimizer.name=adamw", "run=b"], "a.toml")
    assert data == {"optimizer": {"name": "adam"}}


@pytest.mark.parametrize("text", ["a=b", "", "x y", "a#b", "1\nrun = 2"])
def test_the_value_of_an_override_cannot_set_another_key(text: str) -> None:
    assert apply_overrides({}, [f"run={text}"], "a.toml") == {"run": text}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch_size", "a.toml: override 'batch_size': write KEY=VALUE"),
        ("=8", "a.toml: override '=8': write KEY=VALUE"),
        ("optimizer..name=8", "a.toml: override 'optimizer..name=8': write KEY=VALUE"),
        ("batch_size.b=8", "a.toml: key batch_size: expected a table, got 8; override 'batch_size.b=8' cannot be set"),
        ("optimizer.betas=[1, 2", "a.toml: override 'optimizer.betas=[1, 2': is no valid TOML: "),
    ],
)
def test_overrides_that_make_no_sense_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        apply_overrides({"batch_size": 8}, [override], "a.toml")


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    broken, binary = tmp_path / "broken.toml", tmp_path / "binary.toml"
    broken.write_text("a = \n")
    binary.write_bytes(b"\xff\xfe\x00")
    for path, reason in (
        (tmp_path / "none.toml", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a dir"),
        (broken, "is no valid TOML"),
        (binary, "is no valid TOML"),
    ):
        with pytest.raises(ConfigError, match=re.escape(f"{path}: {reason}")):
            load_toml(path)


def test_marks_and_line_ends_of_some_editors_change_nothing(tmp_path: Path) -> None:
    """A byte order mark used to be "no valid TOML"."""
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    assert load_toml(path) == {"a": 1, "b": 2}


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    for batch_size in (8, 16):
        save_toml(to_dict(Recipe(batch_size)), path)
        assert from_dict(Recipe, load_toml(path), str(path)) == Recipe(batch_size)
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_toml_cannot_hold_does_not_touch_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    save_toml({"a": 1}, path)
    with pytest.raises(TypeError):
        save_toml({"a": None}, path)
    assert load_toml(path) == {"a": 1}


def test_unknown_names_come_with_the_nearest_and_all_known_ones() -> None:
    assert (
        unknown("preset", "bse", ["base", "large"]) == "unknown preset 'bse': did you mean 'base'? allowed: base, large"
    )
    assert unknown("preset", "xyz", iter(["base"])) == "unknown preset 'xyz'; allowed: base"


def test_every_mistake_of_a_user_is_a_value_error() -> None:
    assert issubclass(ConfigError, WavegradError)
    assert issubclass(WavegradError, ValueError)


def test_configs_stay_frozen() -> None:
    recipe = from_dict(Recipe, {"batch_size": 8}, "a.toml")
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.batch_size = 9  # type: ignore[misc]
