"""Keys of one control plane: its authority, its serving certificate, its token key, its admin.

Made anew for each start and kept in its folder, so that a client that verifies TLS can
reach no other control plane by mistake, and nothing secret outlives the folder.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass(frozen=True, slots=True)
class Credentials:
    """Paths of the files that kube-apiserver reads, and the admin's token."""

    ca_file: Path
    serving_certificate: Path
    serving_key: Path
    service_account_key: Path
    tokens: Path
    admin_token: str


def create(folder: Path) -> Credentials:
    """Write all keys into the folder."""
    made = Credentials(
        ca_file=folder / "ca.crt",
        serving_certificate=folder / "apiserver.crt",
        serving_key=folder / "apiserver.key",
        service_account_key=folder / "service-account.key",
        tokens=folder / "tokens.csv",
        admin_token=secrets.token_urlsafe(32),
    )
    authority = trustme.CA(organization_name="imageferry control plane")
    serving = authority.issue_cert("127.0.0.1", "localhost", common_name="kube-apiserver")
    authority.cert_pem.write_to_path(str(made.ca_file))
    serving.private_key_pem.write_to_path(str(made.serving_key))
    serving.cert_chain_pems[0].write_to_path(str(made.serving_certificate))
    made.service_account_key.write_bytes(_signing_key())
    made.tokens.write_text(f'{made.admin_token},admin,admin,"system:masters"\n')
    return made


def _signing_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
