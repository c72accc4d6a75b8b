"""Certificates for a scheduler, its workers and its clients: who has one of them is let in."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from napari_sam3.errors import ComputeError

ROLES = ("scheduler", "worker", "client")
_YEARS = 10
_DAY = timedelta(days=1)


def make_certificates(folder: str | os.PathLike[str]) -> list[Path]:
    """Make an authority, and a certificate with its key for each role.

    The key of the authority is not kept: nobody can add a certificate later; make all anew then.

    Parameters
    ----------
    folder : path-like
        A new one, or an empty one. Its files can be read by their owner alone.

    Returns
    -------
    list of Path
        `ca.pem`; `scheduler.pem`, `worker.pem` and `client.pem`, each a certificate and its key;
        `dask.yaml`, which names them to Dask where it lies in `~/.config/dask`.

    Raises
    ------
    ComputeError
        If the folder holds something, or can't be written.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(role: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"napari-sam3 {role}")])

    def certificate(
        role: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(role))
            .issuer_name(name("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)  # clocks differ
            .not_valid_after(now + 365 * _YEARS * _DAY)
            .add_extension(x509.BasicConstraints(role == "authority", None), critical=True)
        )
        made = builder.sign(signer, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)

    home = Path(folder).expanduser()
    _make_empty(home)
    authority = ec.generate_private_key(ec.SECP256R1())
    files = {"ca.pem": certificate("authority", authority, authority)}
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files[f"{role}.pem"] = certificate(role, key, authority) + private
    files["dask.yaml"] = _configuration(home.absolute()).encode()
    paths = []
    for file_name, content in files.items():
        path = home / file_name
        try:
            path.touch(mode=0o600, exist_ok=False)
            path.write_bytes(content)
        except OSError as exc:
            raise ComputeError(f"{str(path)!r} can't be written: {exc.strerror or exc}") from exc
        paths.append(path)
    return paths


def _make_empty(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_empty = not any(home.iterdir())
    except OSError as exc:
        raise ComputeError(
            f"{str(home)!r} can't be made a folder for certificates: {exc.strerror or exc}"
        ) from exc
    if not is_empty:
        raise ComputeError(
            f"the folder {str(home)!r} holds something; name a new one, so that no certificate in "
            "use is lost"
        )


def _configuration(home: Path) -> str:
    lines = ["distributed:", "  comm:", "    require-encryption: true", "    tls:"]
    lines.append(f"      ca-file: {str(home / 'ca.pem')!r}")
    for role in ROLES:
        file = str(home / f"{role}.pem")
        lines += [f"      {role}:", f"        cert: {file!r}", f"        key: {file!r}"]
    return "\n".join(lines) + "\n"
