"""Keys and certificates for tests of TLS."""

import subprocess
from pathlib import Path

import grpc


def certificates(folder: Path) -> None:
    """An authority and two pairs that it signed, for `box` and for a controller."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    authority = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem"
    openssl(*authority.split(" "))
    (folder / "san").write_text("subjectAltName=DNS:box\n")
    for name in ("box", "controller"):
        openssl(*f"req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr".split())
        sign = f"x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile san -out {name}.pem"
        openssl(*sign.split())


def server_credentials(folder: Path) -> grpc.ServerCredentials:
    """Of `box`, which wants its clients to have a certificate of the same authority."""
    pair = ((folder / "box.key").read_bytes(), (folder / "box.pem").read_bytes())
    return grpc.ssl_server_credentials([pair], (folder / "ca.pem").read_bytes(), require_client_auth=True)
