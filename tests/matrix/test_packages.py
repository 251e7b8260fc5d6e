"""The Python packages as a release publishes them: what is in them, and that people can run them without installing."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tarfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import pytest

from matrix.conftest import ROOT, run


@contextmanager
def serving(*command: str | Path, cwd: Path) -> Iterator[str]:
    """Run a command that ends in ``serve`` on a port of its own; yield the address that it prints."""
    with Popen([*command, "--port", "0"], cwd=cwd, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, text=True) as process:
        assert process.stdout
        try:
            line = next(line for line in process.stdout if "http://" in line)
            yield "http://" + line.partition("http://")[2].split("/")[0].split()[0]
        finally:
            process.terminate()


def healthy(url: str) -> bool:
    """Return whether the server there serves its page and says that it is alive."""
    with urllib.request.urlopen(f"{url}/healthz") as answer, urllib.request.urlopen(url) as page:
        return bool(json.load(answer)["status"] == "ok" and b"<html" in page.read())


def test_the_archives_hold_what_they_should(packages: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
        readme = files.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert readme.count("](https://") > 10
    assert not re.findall(r"\]\((?!https://|#)[^)]*\)", readme)  # a relative link leads nowhere on PyPI
    assert {"hubbub/py.typed", "hubbub/__main__.py", "hubbub/web/demo/index.html", "hubbub/cli/serve.py"} <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert all(name.startswith("hubbub") for name in names)
    (archive,) = packages.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        inside = {name.partition("/")[2] for name in source.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "README.md", "src/hubbub/py.typed", "src/hubbub/web/client/hubbub.js"} <= inside
    assert not [name for name in inside if "node_modules" in name or name.startswith((".venv", "dist", "site/"))]
    run(Path(sys.executable).with_name("twine"), "check", "--strict", *packages.iterdir())


@pytest.fixture(scope="session")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with uv and pipx, as PyPI has them."""
    folder = tmp_path_factory.mktemp("runners")
    venv.create(folder, with_pip=True)
    run(folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "uv", "pipx")
    return folder / "bin"


def test_uvx_runs_it(runners: Path, wheel: Path, tmp_path: Path) -> None:
    command = (runners / "uvx", "--no-python-downloads", "--python", sys.executable, "--from", wheel, "hubbub")
    with serving(*command, "serve", cwd=tmp_path) as url:
        assert healthy(url)


def test_pipx_runs_it(runners: Path, wheel: Path, tmp_path: Path) -> None:
    with serving(runners / "pipx", "run", "--spec", wheel, "hubbub", "serve", cwd=tmp_path) as url:
        assert healthy(url)


def test_the_steps_of_the_image_make_a_server(tmp_path: Path) -> None:
    """There may be no Docker here, so the Dockerfile's own lines are run in a folder that stands for the image."""
    build, image = tmp_path / "build", tmp_path / "image"
    build.mkdir()
    text = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")]
    venv.create(tmp_path / "base", with_pip=True)  # stands for the base image
    path = f"{tmp_path / 'base/bin'}:/usr/bin:/bin"
    for line in text.partition("\nFROM python:3.13-slim\n")[0].splitlines():
        word, _, rest = line.partition(" ")
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                assert source in allowed, f".dockerignore leaves out {source}"
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
                    shutil.copytree(ROOT / source, build / target, dirs_exist_ok=True, ignore=ignored)
                else:
                    shutil.copy(ROOT / source, build / target)
        elif word == "RUN":
            script = " ".join(part for part in rest.split() if not part.startswith("--mount"))
            run("sh", "-ec", script.replace("/opt/hubbub", str(image)), cwd=build, PATH=path)
    with serving(image / "bin/hubbub", "serve", cwd=tmp_path) as url:
        assert healthy(url)
        check = json.loads(re.findall(r"HEALTHCHECK .*CMD (\[.*\])", text)[0])
        run(*check, HUBBUB_PORT=url.rpartition(":")[2])
    with pytest.raises(AssertionError):  # nothing listens there now
        run(*check, HUBBUB_PORT=url.rpartition(":")[2])
    assert not list((image / "bin").glob("pip*"))
