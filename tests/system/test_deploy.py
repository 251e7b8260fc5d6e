"""The samples in deploy/ are what their programs accept. nginx.conf is run by the tests of the proxy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hubbub.settings import Settings
from support.nginx import NGINX, needs_nginx

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "hubbub@.service"
BALANCER = DEPLOY / "nginx-nodes.conf"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/hubbub/bin/hubbub", sys.executable))
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.fixture
def services() -> dict[str, Any]:
    """The services of the compose file."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return found


def test_the_compose_file_names_only_what_is_there(services: dict[str, Any]) -> None:
    for service in services.values():
        assert ("image" in service) != ("build" in service)
        assert set(service.get("depends_on", ())) <= services.keys()
        if build := service.get("build"):
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
        for volume in service.get("volumes", ()):
            assert (DEPLOY / volume.partition(":")[0]).is_file()
        for variable in service.get("environment", ()):
            assert hasattr(Settings(), variable.removeprefix("HUBBUB_").lower())


def test_the_balancer_knows_the_nodes_of_the_compose_file(services: dict[str, Any]) -> None:
    nodes = [name for name, service in services.items() if "build" in service]
    assert len(nodes) == 2
    for node in nodes:
        assert f"server {node}:8000" in BALANCER.read_text()
        backend = services[node]["environment"]["HUBBUB_BACKEND"]
        assert backend.removeprefix("valkey://").partition(":")[0] in services


@pytest.mark.parametrize("sample", sorted(DEPLOY.glob("*.conf")), ids=lambda path: path.name)
def test_the_samples_keep_metrics_from_the_public(sample: Path) -> None:
    assert re.search(r"location = /metrics \{\s*return 403;", sample.read_text())


@needs_nginx
def test_the_balancers_configuration_is_one(tmp_path: Path) -> None:
    site = BALANCER.read_text().replace("node1:", "127.0.0.1:").replace("node2:", "127.0.0.2:")
    temporary = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {temporary} {site} }}"
    )
    ran = subprocess.run(
        [str(NGINX), "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
