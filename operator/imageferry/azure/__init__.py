"""Azure through its own SDK: reads that become facts, the few writes, credentials, errors."""

from imageferry.azure.cloud import Azure, CloudConfig
from imageferry.azure.credentials import CredentialConfig, CredentialKind, DeletionIdentity

__all__ = ["Azure", "CloudConfig", "CredentialConfig", "CredentialKind", "DeletionIdentity"]
