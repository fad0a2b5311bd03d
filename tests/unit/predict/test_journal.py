"""The journal: what is in it after being torn, locked, foreign or full."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animal_classification.common import file_lock
from animal_classification.errors import OutputError, UsageError
from animal_classification.inference.results import FileResult
from animal_classification.predict.journal import Journal, JournalEntry, stored_entries, stored_header
from animal_classification.predict.journal_header import JournalHeader
from animal_classification.predict.table import to_row

HEADER = JournalHeader(model="tiny", model_version="1", model_sha256="0" * 64, top_k=5, format="csv", paths=["/p as ."])


def entry(name: str) -> JournalEntry:
    return JournalEntry(to_row(FileResult(name, error="is empty"), model="tiny", version="1"))


ENTRIES = [entry("a.jpg"), entry("new\nline.jpg"), entry("أسد.jpg")]


def write(path: Path) -> bytes:
    journal = Journal(path)
    journal.begin(HEADER)
    for one in ENTRIES:
        journal.append(one)
    journal.close()
    return path.read_bytes()


def test_what_is_written_is_there_at_once_and_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    assert journal.header is None
    assert not journal.has_rows()
    journal.begin(HEADER)
    assert not journal.has_rows()
    journal.append(ENTRIES[0])
    assert list(journal.entries()) == ENTRIES[:1]
    journal.append(ENTRIES[1])
    journal.close()
    again = Journal(tmp_path / "j")
    assert again.header == HEADER
    assert again.has_rows()
    assert list(again.entries()) == ENTRIES[:2]
    again.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("journal") / "j")


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_wherever_it_is_torn_whole_rows_stay_and_it_goes_on(tmp_path: Path, whole: bytes, data: st.DataObject) -> None:
    path = tmp_path / "torn"
    cut = data.draw(st.integers(0, len(whole)))
    junk = data.draw(st.sampled_from([b"", b"\0" * 100, b'{"path": "x"}\n', b"\xff\n{}\n"]))
    path.write_bytes(whole[:cut] + (junk if cut > whole.index(b"\n") else b""))
    complete = whole[:cut].count(b"\n") - 1
    journal = Journal(path)
    if complete < 0:
        assert journal.header is None
        journal.begin(HEADER)
        complete = 0
    journal.recover()
    assert list(journal.entries()) == ENTRIES[:complete]
    for one in ENTRIES[complete:]:
        journal.append(one)
    journal.close()
    assert path.read_bytes() == whole


def test_beginning_again_forgets_everything(tmp_path: Path) -> None:
    write(tmp_path / "j")
    journal = Journal(tmp_path / "j")
    journal.begin(replace(HEADER, top_k=3))
    assert not journal.has_rows()
    journal.close()


def test_an_unused_journal_leaves_no_file(tmp_path: Path) -> None:
    Journal(tmp_path / "j").close()
    assert not (tmp_path / "j").exists()


def test_it_can_be_removed_and_closed_twice(tmp_path: Path) -> None:
    write(tmp_path / "j")
    journal = Journal(tmp_path / "j")
    journal.close(remove=True)
    journal.close()
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize(
    "content", [b"my diary\n", b"no end", b'{"a": 1}\n', b"[]\n", b'{"animals_journal": 3, "x": 2}\n']
)
def test_a_strangers_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(UsageError, match="is some other file"):
        Journal(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == content


def test_a_journal_of_another_version_is_told(tmp_path: Path) -> None:
    (tmp_path / "j").write_text(json.dumps({"animals_journal": 99}) + "\n")
    with pytest.raises(UsageError, match="another version"):
        Journal(tmp_path / "j")


def test_two_cannot_have_it_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "x.csv.partial")
    with pytest.raises(OutputError, match=r"another run is writing '.*x\.csv'"):
        Journal(tmp_path / "x.csv.partial")
    journal.close()
    Journal(tmp_path / "x.csv.partial").close()


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from animal_classification.predict.journal import Journal\n"
        "j = Journal(Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "j")], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(OutputError, match="another run"):
            Journal(tmp_path / "j")
        process.kill()
        process.wait()
        Journal(tmp_path / "j").close()


def test_a_lock_on_a_file_that_was_deleted_meanwhile_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = file_lock.lock, []

    def lock(file: int, *, needed: bool) -> bool:
        if not calls:
            (tmp_path / "j").unlink()  # the run before this one is done just now
        calls.append(file)
        return real(file, needed=needed)

    monkeypatch.setattr(file_lock, "lock", lock)
    journal = Journal(tmp_path / "j")
    assert len(calls) == 2
    assert (tmp_path / "j").exists()
    journal.close()


def test_differences_are_named() -> None:
    other = replace(HEADER, model_version="2", top_k=3, paths=["/q as ."], replaces=True)
    assert HEADER.differences(replace(HEADER, replaces=True)) == []
    assert HEADER.differences(other) == [
        "model tiny 1 (000000000000), not tiny 2 (000000000000)",
        "--top-k 5, not 3",
        "the paths /p as ., not /q as .",
    ]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "no" / "j")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
header_fields = tuple(JournalHeader.__dataclass_fields__)
run_fields = ("labels", "rollup", "unknown_name", "boxes", "detect", "crop")


@given(
    changed=st.dictionaries(st.sampled_from(header_fields), json_values, max_size=2),
    run=st.none() | st.fixed_dictionaries({}, optional=dict.fromkeys(run_fields, json_values)),
    mark=st.just(3) | json_values,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_strangers_header_is_a_header_or_refused(tmp_path: Path, changed: object, run: object, mark: object) -> None:
    """Yesterday types were believed: ``top_k`` of a thousand million made as many columns."""
    path = tmp_path / "j"
    known = {**HEADER.__dict__, "field": run, **(changed if isinstance(changed, dict) else {})}
    path.write_bytes(json.dumps({"animals_journal": mark, **known}).encode() + b"\n")
    try:
        header = stored_header(path)
    except UsageError as error:
        assert "\n" not in str(error)
        return
    assert 1 <= header.top_k <= 10_000
    assert header.differences(header) == []


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"animals_journal": 3, "field": ' + b"[" * 100_000,
        b'{"animals_journal": 3}',
        b'"animals_journal"',
    ],
)
def test_a_first_line_that_is_none(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "j").write_bytes(line + b"\n")
    with pytest.raises(UsageError, match="is no journal"):
        stored_header(tmp_path / "j")
    with pytest.raises(UsageError, match="some other file"):
        Journal(tmp_path / "j")


@given(changed=st.dictionaries(st.sampled_from(["state", "again", "evidence", "path", "top", "error"]), json_values))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_strangers_row_is_a_row_or_the_end(tmp_path: Path, whole: bytes, changed: dict[str, object]) -> None:
    path = tmp_path / "j"
    row = {**ENTRIES[0].row, **changed}
    path.write_bytes(whole + json.dumps(row).encode() + b"\n" + b"[" * 100_000 + b"\n")
    found = [one for _, one in stored_entries(path)]
    assert found[: len(ENTRIES)] == ENTRIES
    for one in found[len(ENTRIES) :]:
        assert isinstance(one.row["path"], str)
        assert one.evidence is None or isinstance(one.evidence, dict)
        assert one.state is None or all(isinstance(number, int) for number in one.state)
