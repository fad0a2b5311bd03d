"""Settings from the environment, and from the command line over them."""

from __future__ import annotations

import pytest

from animal_classification.errors import UsageError
from animal_classification.settings import MIB, Settings


def test_defaults() -> None:
    assert Settings.from_environment({}) == Settings()
    assert (Settings().host, Settings().port, Settings().model) == ("127.0.0.1", 8080, ("photos",))


def test_every_field_can_be_set() -> None:
    environment = {
        "ANIMALS_HOST": "0.0.0.0",
        "ANIMALS_PORT": " 9000 ",
        "ANIMALS_MODEL": "gs://zoo/model",
        "ANIMALS_ENGINE": "onnxruntime",
        "ANIMALS_THREADS": "3",
        "ANIMALS_PAGE": "no",
        "ANIMALS_MAX_FILES": "5",
        "ANIMALS_MAX_FILE_BYTES": str(MIB),
        "ANIMALS_MAX_REQUEST_BYTES": str(2 * MIB),
        "ANIMALS_TEST_DATA": "/not/ours",
    }
    expected = Settings(
        host="0.0.0.0",
        port=9000,
        model=("gs://zoo/model",),
        engine="onnxruntime",
        threads=3,
        page=False,
        max_files=5,
        max_file_bytes=MIB,
        max_request_bytes=2 * MIB,
    )
    assert Settings.from_environment(environment) == expected


def test_empty_means_default() -> None:
    assert Settings.from_environment({"ANIMALS_PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ANIMALS_PORT", "http", "ANIMALS_PORT must be a whole number, not 'http'"),
        ("ANIMALS_PORT", "70000", "port must be between 0 and 65535, not 70000"),
        ("ANIMALS_PAGE", "perhaps", "ANIMALS_PAGE must be 1 or 0"),
        ("ANIMALS_THREADS", "-1", "threads must be 0 (all) or more"),
        ("ANIMALS_MAX_FILES", "0", "max_files must be at least 1"),
    ],
)
def test_wrong_values_are_named(name: str, value: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings.from_environment({name: value})
    assert words in str(caught.value)
