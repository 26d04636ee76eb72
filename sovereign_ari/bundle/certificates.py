"""Certificates of the bundled PBX: its own, made once when none is given, and those it trusts."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.errors import SetupFailed
from sovereign_ari.settings import Settings

VALID_FOR = timedelta(days=3650)


def certificate_of(settings: Settings, data: DataDir) -> tuple[Path, Path]:
    """Give the files of the certificate and the key that SIP over TLS shows.

    Raises:
        SetupFailed: When only one of the two is set, or one cannot be read.
    """
    chosen = settings.tls_cert_file, settings.tls_key_file
    if chosen == (None, None):
        return _own(data, settings.external_address or settings.bind)
    cert, key = chosen
    if cert is None or key is None:
        raise SetupFailed("SOVEREIGN_TLS_CERT_FILE and SOVEREIGN_TLS_KEY_FILE belong together")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise SetupFailed(f"the certificate {cert} with the key {key}: {error}") from None
    return cert.absolute(), key.absolute()


def trusted(settings: Settings, data: DataDir) -> Path:
    """Write one file of all authorities that carriers' certificates may come from.

    Those are the system's, and the operator's own (`SOVEREIGN_TLS_CA_FILE`).

    Raises:
        SetupFailed: When the operator's file cannot be read or holds none.
    """
    texts = []
    paths = ssl.get_default_verify_paths()
    for name in (paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if name and Path(name).is_file():
            texts.append(Path(name).read_text())
            break
    own = settings.tls_ca_file
    if own is not None:
        try:
            text = own.read_text()
            ssl.create_default_context(cadata=text)
        except (OSError, ValueError, ssl.SSLError) as error:
            raise SetupFailed(f"SOVEREIGN_TLS_CA_FILE {own}: {error}") from None
        texts.append(text)
    file = _folder(data) / "ca.pem"
    data.write_private(file, "\n".join(texts))
    return file


def _folder(data: DataDir) -> Path:
    folder = data.path / "tls"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _own(data: DataDir, address: str) -> tuple[Path, Path]:
    """Make a certificate that nobody has signed: carriers that check ours need a real one."""
    cert_file, key_file = _folder(data) / "cert.pem", _folder(data) / "key.pem"
    if cert_file.is_file() and key_file.is_file():
        return cert_file, key_file
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Sovereign ARI")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID_FOR)
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    data.write_private(key_file, private.decode())
    data.write_private(cert_file, certificate.public_bytes(pem).decode())
    return cert_file, key_file
