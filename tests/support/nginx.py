"""An nginx with TLS in front of a server, configured by the sample, ``deploy/nginx.conf``."""

from __future__ import annotations

import datetime
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
SAMPLE = Path(__file__).parents[2] / "deploy" / "nginx.conf"

needs_nginx = pytest.mark.skipif(
    NGINX is None, reason="!!! no nginx here: the tests behind a proxy are skipped (apt install nginx)"
)


def make_certificate(folder: Path) -> None:
    """Write ``cert.pem`` and ``key.pem`` for 127.0.0.1, signed by nobody else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))


@contextmanager
def nginx(folder: Path, server_url: str, *, tls: bool = True) -> Iterator[str]:
    """Run nginx in front of the server at `server_url`; give its own address. ``cert.pem`` is its certificate."""
    make_certificate(folder)
    # It inherits a socket that is bound already, so no other program can take the port meanwhile.
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    site = filled_in(
        {
            "127.0.0.1:8000": server_url.removeprefix("http://"),
            "listen 443 ssl": f"listen 127.0.0.1:{port}{' ssl' * tls}",
            "/etc/ssl/certs/chat.example.com.pem": str(folder / "cert.pem"),
            "/etc/ssl/private/chat.example.com.key": str(folder / "key.pem"),
            "chat.example.com": "127.0.0.1",
        }
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{ {temporary} {site} }}"
    )
    command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    number = listener.fileno()
    process = subprocess.Popen(command, env={"NGINX": f"{number};"}, pass_fds=[number])
    listener.close()
    try:
        yield f"http{'s' * tls}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
        problems = (folder / "error.log").read_text()
        assert "[emerg]" not in problems, problems


def filled_in(values: dict[str, str]) -> str:
    """Return the sample with the names that a reader is told to fill in."""
    site = SAMPLE.read_text()
    for name, value in values.items():
        assert name in site
        site = site.replace(name, value)
    return site
