"""Make the npm package: ``python deploy/pack_client.py dist`` puts ``hubbub-client-<version>.tgz`` into ``dist``.

The package has the files of the repository, and the CommonJS entry, made from the module as the server makes
``/hubbub.global.js``, its types, the licence and a README.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "src/hubbub/web/client"
MARK = "\n// --- exports"


def common_js(module: str) -> str:
    """Return the client as a CommonJS module."""
    body, mark, _ = module.partition(MARK)
    if not mark:
        raise SystemExit("hubbub.js has lost the line where its exports begin")
    return f"'use strict';\n{body}\nmodule.exports = {{ Hubbub, HubbubError }};\n"


def source(name: str) -> Path:
    """Return a file of the client, beside package.json or one folder up."""
    return CLIENT / name if (CLIENT / name).exists() else CLIENT.parent / name


def assemble(folder: Path) -> None:
    """Put the files of the package into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "react.js", "react.d.ts", "hubbub.js", "hubbub.d.ts"):
        shutil.copy(source(name), folder)
    (folder / "hubbub.cjs").write_text(common_js(source("hubbub.js").read_text()))
    shutil.copy(source("hubbub.d.ts"), folder / "hubbub.d.cts")
    shutil.copy(source("README.md"), folder)
    shutil.copy(ROOT / "LICENSE", folder)


def pack(output: Path) -> Path:
    """Assemble and pack; return the archive."""
    output.mkdir(parents=True, exist_ok=True)
    folder = output / "npm"
    try:
        assemble(folder)
        command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(output.resolve())]
        done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return output / done.stdout.split()[-1]


if __name__ == "__main__":
    print(pack(Path(sys.argv[1])))  # noqa: T201
