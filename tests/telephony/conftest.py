"""Certificates of an authority that exists for one test session."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey


@dataclass
class Authority:
    """Signs certificates into a folder."""

    folder: Path
    key: Key
    certificate: x509.Certificate

    @property
    def file(self) -> str:
        """The authority's own certificate."""
        return str(self.folder / "ca.pem")

    def certify(self, name: str, names: Sequence[str], *, days: int = 2) -> str:
        """A PEM file with a certificate for those names or addresses, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _build(name, key, self.certificate.subject, self.key, names, days)
        path = self.folder / f"{name}.pem"
        path.write_bytes(_key_bytes(key) + certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)


def _key_bytes(key: Key) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _build(
    name: str, key: Key, issuer: x509.Name | None, issuer_key: Key, names: Sequence[str], days: int
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=5))
        .not_valid_after(today + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if names:
        shown: list[x509.GeneralName] = []
        for one in names:
            try:
                shown.append(x509.IPAddress(ipaddress.ip_address(one)))
            except ValueError:
                shown.append(x509.DNSName(one))
        builder = builder.add_extension(x509.SubjectAlternativeName(shown), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _authority(folder: Path, name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _build(name, key, None, key, (), 2)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(folder, key, certificate)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return _authority(tmp_path_factory.mktemp("authority"), "Test Authority")


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One that nobody was told to trust."""
    return _authority(tmp_path_factory.mktemp("other-authority"), "Other Authority")
