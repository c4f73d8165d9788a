"""Certificates for servers of the tests, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess

import pytest


class Certificates:
    """An authority, certificates that it signed, and an authority that signed none of them.

    Attributes:
        authority: Path of the certificate of the authority.
        other_authority: Path of the certificate of another one.
    """

    def __init__(self, folder):
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed: no certificates for servers")
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.authority = self._make_authority("authority")
        self.other_authority = self._make_authority("other-authority")

    def for_host(self, host):
        """Return the paths of a certificate for a host name or number, and of its key."""
        kind = "IP" if host.replace(".", "").isdigit() else "DNS"
        key, request = self._folder / f"{host}.key", self._folder / f"{host}.csr"
        certificate, extension = self._folder / f"{host}.pem", self._folder / f"{host}.ext"
        extension.write_text(f"subjectAltName={kind}:{host}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", key, "-out", request, "-subj", f"/CN={host}")  # fmt: skip
        self._openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey",
                      self.authority.with_suffix(".key"), "-CAcreateserial", "-days", "2",
                      "-extfile", extension, "-out", certificate)  # fmt: skip
        key.chmod(0o600)
        return certificate, key

    def _make_authority(self, name):
        certificate = self._folder / f"{name}.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-keyout", certificate.with_suffix(".key"), "-out", certificate,
                      "-subj", f"/CN={name}", "-days", "2")  # fmt: skip
        return certificate

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
