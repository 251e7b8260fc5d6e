"""The files for contributors say what is true: targets, links, addresses, workflows."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = ["CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md", "README.md", "docs/releasing.md"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", (ROOT / page).read_text()):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), f"{page} links to {target}#{anchor}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/releasing.md"])
def test_files_that_are_named_exist(page: str) -> None:
    names = re.findall(r"`((?:src|tests|docs|benchmarks|deploy|\.github)/[\w./-]+)`", (ROOT / page).read_text())
    assert len(names) > 2
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_contributors_are_told_every_target() -> None:
    listed = set(re.findall(r"^\| `make (\w+)`", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    documented = set(re.findall(r"^# make (\w+)", MAKEFILE, re.MULTILINE))
    assert documented - listed == {"help", "clean"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_targets_that_exist(path: Path) -> None:
    for target in re.findall(r"\bmake (\w+)", path.read_text()):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_every_supported_python_is_tested_and_classified() -> None:
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    tested = ci["jobs"]["test"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: "
    classified = [line.removeprefix(prefix) for line in PROJECT["classifiers"] if re.match(rf"{prefix}3\.", line)]
    assert tested == classified
    assert PROJECT["requires-python"] == f">={tested[0]}"


def test_one_version_everywhere() -> None:
    """Python writes a version before its release as 0.2.0.dev0 (PEP 440), npm as 0.2.0-dev.0 (semantic versioning)."""
    version = PROJECT["version"]
    released, _, _ = version.partition(".dev")
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+(\.dev0)?", version)
    package = json.loads((ROOT / "src/hubbub/web/client/package.json").read_text())
    assert package["version"] == version.replace(".dev", "-dev.")
    api = yaml.safe_load((ROOT / "docs/reference/asyncapi.yaml").read_text())
    assert api["info"]["version"] == version, "make asyncapi"
    newest = re.search(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    number, _, rest = newest[1].partition(" ")
    assert number == released
    assert (rest == "(unreleased)") == (version != released)


def test_all_packages_name_one_repository() -> None:
    package = json.loads((ROOT / "src/hubbub/web/client/package.json").read_text())
    address = PROJECT["urls"]["Source"]
    assert package["repository"]["url"] == f"git+{address}.git"  # npm compares it with where the workflow runs
    assert f"{address}/security" in (ROOT / ".github/ISSUE_TEMPLATE/config.yml").read_text()
    assert all(url.startswith(address) for url in PROJECT["urls"].values())
