"""What is shipped: sdist, wheel and image hold the sources that git knows, and nothing that lies beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANTED = ("hubbub.toml", ".env", ".env.local", "prod.env", "server.key", "id.pem", "hubbub.secret", "secrets/hubbub")
PLACES = (".", "src", "src/hubbub", "src/hubbub/web/demo", "deploy")
SECRET = "planted-0123456789abcdef0123456789abcdef"


def known_to_git() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git here: what belongs to the sources is not known")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with secrets everywhere, and ``dist`` built from it."""
    tree = tmp_path_factory.mktemp("tree")
    for name in known_to_git():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tree / name)
    for place in PLACES:
        for name in PLANTED:
            (tree / place / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / place / name).write_text(f'secret = "{SECRET}"\n')
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return tree


def contents(tree: Path) -> dict[str, dict[str, bytes]]:
    """Return what is in the two, by name, as paths in the tree."""
    (sdist,), (wheel,) = (tree / "dist").glob("*.tar.gz"), (tree / "dist").glob("*.whl")
    with tarfile.open(sdist) as tar, zipfile.ZipFile(wheel) as archive:
        in_sdist = {m.name.partition("/")[2]: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]
        in_wheel = {f"src/{name}": archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    return {"sdist": in_sdist, "wheel": in_wheel}


def test_no_secret_is_in_them(tree: Path) -> None:
    for kind, files in contents(tree).items():
        assert [name for name, data in files.items() if SECRET.encode() in data] == [], kind
        assert [name for name in files if Path(name).name in PLANTED or "secrets" in Path(name).parts] == [], kind


def test_all_sources_are_in_them(tree: Path) -> None:
    sources = {name for name in known_to_git() if name.startswith("src/")}
    found = contents(tree)
    assert set(found["wheel"]) == sources
    others = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert set(found["sdist"]) - sources <= others
    assert sources <= set(found["sdist"])


def test_git_ignores_them(tmp_path: Path) -> None:
    known_to_git()
    named = [name for name in PLANTED if not name.endswith(".pem")]  # tests and proxies have certificates to keep
    ran = subprocess.run(["git", "check-ignore", *named], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == named


def excluded(path: str, rules: list[str]) -> bool:
    """Return what .dockerignore says: the last line that matches a path, or a folder that it is in, decides."""
    out = False
    parents = ["/".join(path.split("/")[: n + 1]) for n in range(path.count("/") + 1)]
    for rule in rules:
        pattern, back = rule.lstrip("!"), rule.startswith("!")
        patterns = [pattern, pattern.removeprefix("**/"), pattern.replace("**/", "*/")]
        if any(fnmatch(parent, each) for parent in parents for each in patterns):
            out = not back
    return out


def test_no_secret_comes_into_the_image() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    for place in PLACES:
        for name in PLANTED:
            assert excluded(str(Path(place) / name), rules), (place, name)
    for name in known_to_git():
        if name.startswith("src/") or name in {"pyproject.toml", "README.md", "LICENSE"}:
            assert not excluded(name, rules), name
    copied = [line.split()[1:-1] for line in (ROOT / "deploy/Dockerfile").read_text().splitlines() if "COPY" in line]
    assert copied == [["pyproject.toml", "README.md", "LICENSE"], ["src"], ["--from=build", "/opt/hubbub"]]
