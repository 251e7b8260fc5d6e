"""The checks of ``make check`` that are ours, and that the tools of others find what they are there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import check_modules
import check_types
import check_words
import pytest
import unclean

BIN = Path(sys.executable).parent
ROOT = unclean.ROOT


def words(text: str, path: str = "docs/page.md") -> list[str]:
    return list(check_words.offences(path, text))


def test_a_word_is_found_in_prose_and_in_names() -> None:
    assert words("a quiet line\nWhisper to a user") == [
        'docs/page.md:2: "Whisper": better "post_to_user, private message" (nobody searches for it)'
    ]
    assert len(words("self._post_whisper()")) == 1
    assert words("") == words("a private message") == []


@pytest.mark.parametrize(
    "text",
    [
        "a frame of more than 5 bytes", "groups of more or fewer members", "anybody who reads this", "FakeLink(made)",
        "for the life of the process", "gets in the way", "the index of the outdoors", "those who may post",
    ],
)  # fmt: skip
def test_usual_english_is_not_found(text: str) -> None:
    assert words(text) == []


def test_a_rule_may_hold_in_some_places_only() -> None:
    assert len(words("one bucket", "src/hubbub/backends/base.py")) == 1
    assert words("one bucket", "src/hubbub/limits.py") == []


def test_quotations_are_not_searched() -> None:
    assert len(words("<!-- words: off -->\nwhisper\n<!-- words: on -->\nwhisper")) == 1


@pytest.mark.parametrize("rule", check_words.RULES, ids=lambda rule: rule.pattern)
def test_no_rule_forbids_what_another_recommends(rule: check_words.Rule) -> None:
    assert words(rule.better, "src/hubbub/backends/valkey/x.py") == []


def test_every_searched_place_exists_and_what_was_installed_is_left_out() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in check_words.files(ROOT)}
    assert {"README.md", "Makefile", "pyproject.toml", "src/hubbub/errors.py", "tests/conftest.py"} <= found
    assert not [path for path in found if "node_modules" in path or ".venv" in path]
    assert all(list(ROOT.glob(place)) for place in check_words.PLACES)


def test_errors_of_types_go_by_file() -> None:
    report = "a.py:1: error: no  [x]\na.py:1: note: since\nb/c.py:22: error: never  [y]\nd.py:1: note: by the way\n"
    assert check_types.offences(report) == {
        "a.py": ["a.py:1: error: no  [x]", "a.py:1: note: since"],
        "b/c.py": ["b/c.py:22: error: never  [y]", "d.py:1: note: by the way"],
    }


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    listing = tmp_path / "unclean.txt"
    listing.write_text("types z.py\nwords a.py\nwords b.py\n")
    return listing


def test_only_files_on_the_list_may_fail(listing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unclean.judge("words", {"a.py": ["a"], "b.py": ["b"]}, [], listing) == 0
    assert unclean.judge("words", {"a.py": ["a"], "b.py": ["b"], "z.py": ["z is bad"]}, [], listing) == 1
    assert "z is bad" in capsys.readouterr().out


def test_a_clean_file_must_leave_the_list(listing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert unclean.judge("words", {"a.py": ["a"]}, [], listing) == 1
    assert "b.py: is clean now" in capsys.readouterr().out
    assert unclean.judge("words", {"a.py": ["a"]}, ["--shrink"], listing) == 0
    assert listing.read_text() == "types z.py\nwords a.py\n"


def test_shrinking_never_adds_and_adopting_does(listing: Path) -> None:
    offences = {"a.py": ["a"], "new.py": ["new"]}
    assert unclean.judge("words", offences, ["--shrink"], listing) == 1
    assert unclean.excused("words", listing) == {"a.py"}
    assert unclean.judge("words", offences, ["--adopt"], listing) == 0
    assert listing.read_text() == "types z.py\nwords a.py\nwords new.py\n"


def test_the_tests_of_a_module_have_its_name() -> None:
    assert check_modules.tests_of("groups/directory.py") == ROOT / "tests/groups/test_directory.py"
    assert check_modules.tests_of("cli/__init__.py") == ROOT / "tests/test_cli.py"
    assert check_modules.tests_of("__init__.py") == ROOT / "tests/test_hubbub.py"


def test_modules_that_only_declare_need_no_tests() -> None:
    found = list(check_modules.modules())
    assert {"fanout.py", "groups/directory.py"} <= set(found)
    assert "client/results.py" not in found


def test_missing_tests_and_needless_exceptions_are_found() -> None:
    assert list(check_modules.wrong_names(["fanout.py", "none.py"], {})) == [
        "none.py: its tests belong in tests/test_none.py, which does not exist"
    ]
    assert list(check_modules.wrong_names(["fanout.py", "none.py"], {"none.py": "a reason"})) == []
    assert list(check_modules.wrong_names(["fanout.py"], {"fanout.py": "a reason"})) == [
        "fanout.py: tests/test_fanout.py exists; remove the module from NO_TESTS_OF_ITS_OWN"
    ]
    assert list(check_modules.wrong_names([], {"gone.py": "a reason"})) == [
        "gone.py: is in NO_TESTS_OF_ITS_OWN and does not exist"
    ]


def test_only_statements_in_functions_count_for_coverage() -> None:
    source = "import os\n\nclass A:\n    b = 1\n\n    def c(self):\n        d = 1\n        return d\n"
    assert check_modules.statements_in_functions(source, {1, 3, 4, 6, 7, 8}) == {7, 8}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


WORKFLOW = """
on: push
permissions: {}
jobs:
  one:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps:
      - run: echo ready
"""


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ("vendor.github-workflows", "runs-on", "run-on"),
        ("custom.github-workflows-require-timeout", "timeout-minutes: 5", "name: slow"),
    ],
)
def test_workflows_are_linted(tmp_path: Path, schema: str, good: str, bad: str) -> None:
    workflow = tmp_path / "workflow.yml"
    command = (BIN / "check-jsonschema", "--builtin-schema", schema, workflow)
    workflow.write_text(WORKFLOW)
    assert run(*command).returncode == 0
    workflow.write_text(WORKFLOW.replace(good, bad))
    assert run(*command).returncode == 1


def test_workflows_are_audited(tmp_path: Path) -> None:
    workflow = tmp_path / "workflow.yml"
    workflow.write_text(WORKFLOW.replace("echo ready", "echo ${{ github.event.pull_request.title }}"))
    assert "template-injection" in run(BIN / "zizmor", "--offline", "--no-progress", workflow).stdout


@pytest.mark.skipif(shutil.which("npm") is None, reason="!!! no npm here: the JavaScript is not linted")
def test_javascript_is_linted() -> None:
    assert run(ROOT / "tests/js/lint.sh").returncode == 0
    source = ROOT / "tests/js/unlinted.mjs"
    try:
        source.write_text("console.log(neverDeclared);\n")
        assert "neverDeclared" in run(ROOT / "tests/js/lint.sh").stdout
    finally:
        source.unlink()


def test_the_list_of_mutants_is_current() -> None:
    ran = run(sys.executable, ROOT / "benchmarks/mutants.py", "--check")
    assert ran.returncode == 0, ran.stderr
