"""The tree composes in all its combinations, and a wrong word is one line that names the right one."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from animal_classification.config import fields
from animal_classification.config.compose import as_yaml, checked, choices, compose, tree
from animal_classification.config.schema import CnnConfig, Config, FinetuneConfig
from animal_classification.errors import UsageError

GROUPS = choices()
COMBINATIONS = [
    dict(zip(GROUPS, combination, strict=True)) for combination in itertools.product(*GROUPS.values())
]  # each of them takes 50 ms, so only pairs are composed


def complaint(*words: str, config_dir: Path | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        compose(words, config_dir=config_dir)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_nothing_said_is_something_sensible() -> None:
    config = compose()
    assert (config.data.path, config.recipe.name, config.tracking.to) == ("animal-mnist", "probe", ("auto", "csv"))


@pytest.mark.parametrize(("group", "choice"), [(group, choice) for group in GROUPS for choice in GROUPS[group]])
def test_every_choice_with_every_recipe(group: str, choice: str) -> None:
    for recipe in GROUPS["recipe"] if group != "recipe" else [choice]:
        words = [f"recipe={recipe}", *([f"{group}={choice}"] if group != "recipe" else [])]
        config = compose([*words, "data.path=photos"] if choice == "folder" else words)
        assert config.recipe.name == recipe
        assert checked(yaml.safe_load(as_yaml(config))) == config


def test_a_few_of_all_combinations_at_once() -> None:
    for combination in COMBINATIONS[:: len(COMBINATIONS) // 12]:
        config = compose([*(f"{group}={choice}" for group, choice in combination.items()), "data.path=photos"])
        assert config.recipe.name == combination["recipe"]


def test_recipes_bring_their_learning_rate_to_the_optimiser() -> None:
    composed = tree(["recipe=cnn", "recipe.lr=0.25"])
    assert composed.config().optim.lr == 0.25
    assert composed.config({"recipe.lr": 0.5}).optim.lr == 0.5
    assert composed.config().optim.lr == 0.25
    assert compose(["recipe=cnn", "optim.lr=0.125"]).optim.lr == 0.125


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["recipe.lrr=1"], "no such setting 'recipe.lrr'; did you mean 'recipe.lr'?"),
        (["recpe=cnn"], "no such setting 'recpe'; did you mean 'recipe'?"),
        (["opt.lr=1"], "no such setting 'opt.lr'; did you mean 'optim.lr'?"),
        (["lr=1"], "no such setting 'lr'; did you mean 'recipe.lr' or 'optim.lr'?"),
        (["epoch=1"], "no such setting 'epoch'; did you mean 'recipe.epochs'?"),
        (["epochs=1"], "no such setting 'epochs'; did you mean 'recipe.epochs'?"),
        (["recipe.label_smooth=1"], "no such setting 'recipe.label_smooth'; did you mean 'recipe.label_smoothing'?"),
        (["recipe.lr.x=1"], "no such setting 'recipe.lr.x'; did you mean 'recipe.lr'?"),
        (["hydra.run.dir=x"], "no such setting 'hydra.run.dir'"),
        (["+new.key=1"], "no such setting 'new.key'"),
        (["data.columns={pth: x}"], "no such setting 'data.columns.pth'; did you mean 'data.columns.path'?"),
        (["recipe.dropout=0.1"], "recipe=probe has no 'recipe.dropout'; recipe=cnn has it"),
        (["recipe.epochs=1"], "recipe=probe has no 'recipe.epochs'; recipe=finetune and recipe=cnn have it"),
        (
            ["recipe=finetun"],
            "no such recipe 'finetun'; there is cnn, finetune, probe; did you mean 'finetune'?",
        ),
        (["recipe="], "no such recipe ''; there is cnn, finetune, probe"),
        (["recipe=null"], "no such recipe 'null'; there is cnn, finetune, probe"),
        (["recipe=[cnn,probe]"], "recipe is one of cnn, finetune or probe, not several ('[cnn,probe]')"),
        (["recipe.name=cnn"], "recipe.name is not set by itself; choose with recipe=probe, finetune or cnn"),
        (["~recipe"], "~recipe: every run needs a 'recipe'; choose cnn, finetune or probe"),
        (["recipe@x=cnn"], "no such group 'recipe@x'; did you mean 'recipe'?"),
        (["recipe=cnn", "recipe.epochs=0"], "recipe.epochs is 0; it must be at least 1"),
        (["recipe=cnn", "recipe.dropout=1"], "recipe.dropout is 1; it must be below 1"),
        (["recipe=cnn", "recipe.lr=0"], "recipe.lr is 0; it must be above 0"),
        (["recipe=cnn", "recipe.size=4"], "recipe.size is 4; it must be at least 8 or 'auto'"),
        (["recipe=cnn", "recipe.channels=[8,x]"], "recipe.channels[1] is 'x'; it must be a whole number"),
        (["recipe=cnn", "recipe.channels=[]"], "recipe.channels is []; it must be a list of at least 1"),
        (["recipe.flips=maybe"], "recipe.flips is 'maybe'; it must be true, false or 'auto'"),
        (["trainer.precision=33"], "trainer.precision is '33'; it must be 'auto', '32', 'bf16' or '16'"),
        (["tracking.to=csv"], "tracking.to is 'csv'; it must be a list, such as [a,b]"),
        (["optim.lr=nan"], "optim.lr is nan; it must be a finite number"),
        (["seed=null"], "seed is null; it must be a whole number"),
        (["seed=1,2"], "seed=1,2 is several values; one is needed (a list is [1,2]; animals sweep tries several)"),
        (["~seed"], "seed is missing; say seed=…"),
        (["data=folder"], "data.path has no value; say data.path=…"),
        (["name=???"], "name has no value; say name=…"),
        (["seed"], "'seed' is no setting: it has no value; write seed=VALUE"),
        (["whatever"], "'whatever' is no setting: settings are written key=value"),
        (["=3"], "'=3' names no setting; write key=value"),
        (["output="], "output is ''; it must be some text"),
        (["name=-x"], "name is '-x'; it must be letters, digits, '.', '_' and '-', and begin with a letter or digit"),
        (["name=${nope}"], "name refers to something that cannot be had: interpolation key 'nope' not found"),
        (
            ["name=${oc.env:ANIMALS_NOPE}"],
            "name refers to something that cannot be had: environment variable 'ANIMALS_NOPE' not found",
        ),
        (
            ["data.test=0.6", "data.val=0.5"],
            "data: test 0.6 and val 0.5 leave nothing to train on; their sum must be below 1",
        ),
        (["sweep.space.recipe.lrr=1"], "sweep.space: no such setting 'recipe.lrr'; did you mean 'recipe.lr'?"),
        (["sweep.space.recipe.lr={low: 2, high: 1}"], "sweep.space.recipe.lr: low 2 must be below high 1"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line(words: list[str], line: str) -> None:
    assert complaint(*words) == line


def test_syntax_that_cannot_be_read() -> None:
    for value in ("[1,", "{a: ", "a=b", "${", "f(x)", "'"):
        assert complaint(f"recipe.folds={value}").startswith(f"recipe.folds: {value!r} is not a value; ")


def test_a_folder_in_the_place_of_a_setting(tmp_path: Path) -> None:
    assert complaint(str(tmp_path)) == f"{str(tmp_path)!r} is no setting: did you mean data.path={tmp_path}?"
    assert complaint(f"data={tmp_path}") == f"data={tmp_path} names no choice; did you mean data.path={tmp_path}?"


@pytest.mark.parametrize(
    "path",
    [
        "déjà vu/Ωmega",
        "it's (2024), 100% = good",
        "gs://bucket/a?b=c&d",
        r"C:\photos\new",
        "2024",
        "007",
        "a\tb",
        "[x]",
    ],
)
def test_text_is_taken_as_it_stands(path: str) -> None:
    assert compose([f"data.path={path}", f"output={path}"]).data.path == path


def test_what_is_not_plain_text() -> None:
    assert compose(["data.path=~/photos"]).data.path == str(Path("~/photos").expanduser())
    assert compose(["data.path='a b'"]).data.path == "a b"
    assert compose(["name=null"]).name is None
    assert compose(["output=${data.path}/runs"]).output == "animal-mnist/runs"
    assert compose(["trainer.precision=32"]).trainer.precision == "32"


def test_keys_that_a_file_does_not_hold_need_no_plus() -> None:
    space = compose(["recipe=cnn", "sweep.space.recipe.lr={low: 0.1, high: 1, log: true}"]).sweep.space
    assert space["recipe.lr"].model_dump() == {"low": 0.1, "high": 1, "log": True, "step": None}
    assert compose(["++seed=3"]).seed == compose(["+seed=3"]).seed == compose(["seed = 3"]).seed == 3
    assert compose(["~recipe.folds"]).recipe == compose().recipe


def test_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra.core.global_hydra import GlobalHydra

    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)
    compose(["recipe=cnn"])
    assert not GlobalHydra.instance().is_initialized()
    assert list(tmp_path.iterdir()) == []
    assert logging.getLogger().handlers == handlers


# ------------------------------------------------------------------------------------------------- a user's own files


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_own_choices_come_first(tmp_path: Path) -> None:
    write(tmp_path, "recipe/long.yaml", "defaults: [finetune, _self_]\nepochs: 99\n")
    write(tmp_path, "data/animal_mnist.yaml", "defaults: [folder, _self_]\npath: mine\n")
    config = compose(["recipe=long", "recipe.lr=0.5"], config_dir=tmp_path)
    assert isinstance(config.recipe, FinetuneConfig)
    assert (config.recipe.epochs, config.recipe.lr, config.data.path) == (99, 0.5, "mine")
    assert "long" in complaint("recipe=lon", config_dir=tmp_path)


@pytest.mark.parametrize("sign", ["+", ""])
def test_experiments(tmp_path: Path, sign: str) -> None:
    write(
        tmp_path,
        "experiment/night.yaml",
        "# @package _global_\ndefaults:\n  - override /recipe: cnn\nseed: 7\nrecipe: {epochs: 3}\n",
    )
    write(tmp_path, "experiment/dry.yaml", "# @package _global_\noutput: elsewhere\n")
    config = compose([f"{sign}experiment=night", "seed=8"], config_dir=tmp_path)
    assert isinstance(config.recipe, CnnConfig)
    assert (config.seed, config.recipe.epochs) == (8, 3)
    both = compose([f"{sign}experiment=[night, dry]"], config_dir=tmp_path)
    assert (both.seed, both.output) == (7, "elsewhere")
    line = "no such experiment 'nigth'; there is dry, night; did you mean 'night'?"
    assert complaint(f"{sign}experiment=nigth", config_dir=tmp_path) == line


def test_own_root(tmp_path: Path) -> None:
    groups = "".join(f"  - {group}: {choice}\n" for group, choice in {**COMBINATIONS[0], "recipe": "cnn"}.items())
    write(tmp_path, "train.yaml", f"defaults:\n{groups}  - _self_\nname: zoo\nseed: 5\noutput: out\n")
    assert compose(config_dir=tmp_path).name == "zoo"
    write(tmp_path, "train.yaml", "defaults: [{recipe: probe}, _self_]\nseed: 5\n")
    assert complaint(config_dir=tmp_path).startswith("output is missing; say output=…")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("recipe/a.yaml", "x: [1", r"/recipe/a.yaml is no YAML: line 1, column 6: expected ',' or ']'"),
        ("recipe/a.yaml", "x: y: z", r"/recipe/a.yaml is no YAML: line 1, column 5: mapping values are not allowed"),
        ("recipe/a.yaml", b"x: \x00", r"/recipe/a.yaml is no YAML: special characters are not allowed"),
        ("recipe/a.yaml", b"x: \xff", "a file is not UTF-8 text"),
        ("recipe/a.yaml", "a: 1\na: 2", "found duplicate key a"),
        ("recipe/a.yaml", "!!python/object:os.system a", "could not determine a constructor"),
        ("recipe/a.yaml", "defaults: 3", "defaults must be a list"),
        ("recipe/a.yaml", "defaults: [a, _self_]", "the configuration files go in a circle"),
        ("recipe/a.yaml", "defaults: [finetun]", "recipe/a.yaml asks for 'recipe/finetun.yaml', which is not there"),
        ("recipe/a.yaml", "defaults: [probe, _self_]\nfold: 3", "'recipe.fold'; did you mean 'recipe.folds'?"),
        ("recipe/a.yaml", "defaults: [probe, _self_]\nfolds: x", "recipe.folds is 'x'; it must be a whole number"),
        ("recipe/a.yaml", "defaults: [probe, _self_]\nfolds: ${.folds}", "recipe.folds refers to something"),
        ("recipe/a.yaml", "defaults: [probe, _self_]\nfolds: ${", "folds refers to something that cannot be had"),
        ("recipe/a.yaml", "folds: 3", "recipe is {'folds': 3}; it needs a name: probe, finetune or cnn"),
        ("recipe/a.yaml", "name: probee", "recipe.name is 'probee'; it must be probe, finetune or cnn"),
        ("recipe/a.yaml", "- 1\n- 2", "recipe is '[1, 2]'; the file that is chosen must hold settings"),
        ("recipe/a.yaml", "words", "recipe is {'words': None}; it needs a name: probe, finetune or cnn"),
    ],
)
def test_own_files_that_are_wrong(tmp_path: Path, name: str, content: str | bytes, line: str) -> None:
    write(tmp_path, name, content)
    assert line in complaint("recipe=a", config_dir=tmp_path)


def test_an_experiment_that_forgot_where_it_belongs(tmp_path: Path) -> None:
    write(tmp_path, "experiment/night.yaml", "recipe: {epochs: 3}\nseed: 5\n")
    assert complaint("+experiment=night", config_dir=tmp_path) == (
        "no such setting 'experiment'; a file that sets several groups begins with: # @package _global_"
    )


def test_an_own_folder_that_is_not_there(tmp_path: Path) -> None:
    assert complaint(config_dir=tmp_path / "nope") == f"--config-dir {str(tmp_path / 'nope')!r} is no folder"


# ------------------------------------------------------------------------------------------------- what holds always

SETTINGS = sorted(key for key in fields.settings() if len(key.rpartition(".")[2]) > 3)
SIGNS = st.sampled_from([*"=+~@/.,:[]{}()'\"$\\ \x00\né?!", "${", "recipe", "cnn", "folds", "null", "choice(1,2)"])


def test_keys_are_those_of_a_real_configuration() -> None:
    def leaves(values: object, key: str = "") -> list[str]:
        if isinstance(values, dict) and key != fields.SPACE:
            return [leaf for name, value in values.items() for leaf in leaves(value, f"{key}.{name}".strip("."))]
        return [key]

    found = {
        leaf
        for recipe in fields.recipes()
        for leaf in leaves(compose([f"recipe={recipe}"]).model_dump(mode="json", by_alias=True))
    }
    assert found == {key for key, setting in fields.settings().items() if not setting.part}


@given(key=st.sampled_from(SETTINGS), data=st.data())
def test_one_slip_of_the_finger_is_understood(key: str, data: st.DataObject) -> None:
    """A letter left out, doubled, changed or swapped: the right key is among those that are named."""
    start = key.rpartition(".")[0]
    at = data.draw(st.integers(len(start) + bool(start), len(key) - 2))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz_"))
    slips = [
        key[:at] + key[at + 1 :],
        key[:at] + key[at] + key[at:],
        key[:at] + letter + key[at + 1 :],
        key[:at] + key[at + 1] + key[at] + key[at + 2 :],
    ]
    wrong = data.draw(st.sampled_from(slips))
    if wrong not in fields.settings():
        assert repr(key) in fields.no_such(wrong)


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.lists(SIGNS | st.sampled_from(SETTINGS), max_size=6).map("".join), max_size=3))
@example(words=["recipe.folds='\\'"])
@example(words=["data.path=\\"])
@example(words=["data={}"])
@example(words=["data={path}"])
@example(words=["+experiment=${"])
@example(words=["sweep.space={1: 2}"])
@example(words=["sweep.space.seed=}, {"])
def test_whatever_is_said_a_configuration_or_one_line_comes_out(words: list[str]) -> None:
    try:
        config = compose(words)
    except UsageError as error:
        assert "\n" not in str(error).replace("\\n", "")
    else:
        assert isinstance(config, Config)
        assert checked(yaml.safe_load(as_yaml(config))) == config
