"""Certificates for servers and clients, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NEW: Final = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """
    An authority that signs certificates.

    Args:
        folder: Where the files are made.
        name: Its name, and that of its files.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.own = self._made(name, "-x509", "-days", "2", "-subj", f"/CN={name}")

    @property
    def certificate(self) -> Path:
        """Its own certificate, which clients trust."""
        return self.own.certificate

    def sign(self, name: str, *hosts: str) -> Pair:
        """
        Make a certificate.

        Args:
            name: Its common name, and the name of its files.
            hosts: What it is for, as openssl writes it (`IP:127.0.0.1`, `DNS:localhost`). A
                certificate without hosts is for a client.
        """
        request = self.folder / f"{name}.csr"
        extensions = self.folder / f"{name}.ext"
        usage = "serverAuth,clientAuth" if hosts else "clientAuth"
        lines = [f"extendedKeyUsage={usage}"]
        lines += [f"subjectAltName={','.join(hosts)}"] if hosts else []
        extensions.write_text("\n".join(lines) + "\n")
        pair = self._made(name, "-subj", f"/CN={name}", out=request)
        signed = ("openssl", "x509", "-req", "-days", "2", "-CAcreateserial")
        _run(
            *signed,
            *("-in", str(request), "-out", str(pair.certificate), "-extfile", str(extensions)),
            *("-CA", str(self.own.certificate), "-CAkey", str(self.own.key)),
        )
        return pair

    def _made(self, name: str, *words: str, out: Path | None = None) -> Pair:
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        _run(*_NEW, *words, "-keyout", str(pair.key), "-out", str(out or pair.certificate))
        return pair


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=30)
