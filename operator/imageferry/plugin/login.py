"""How `discover` finds Azure and logs in: the operator's settings, but as the person who calls it."""

import typer
from pydantic import ValidationError

from imageferry.azure import CloudConfig, CredentialKind
from imageferry.plugin.output import FailedError
from imageferry.settings import Settings


def config(credential: str | None) -> CloudConfig:
    """Return the configuration of the environment; the option wins over it, and azure-cli is the default."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise FailedError(f"IMAGEFERRY_{name}: {first['msg']}; found {first['input']!r}") from error
    if credential or "credential" not in settings.model_fields_set:
        settings = settings.model_copy(update={"credential": _kind(credential)})
    return settings.azure


def _kind(credential: str | None) -> CredentialKind:
    try:
        return CredentialKind(credential or CredentialKind.AZURE_CLI)
    except ValueError as error:
        raise typer.BadParameter(f"--credential: must be one of {', '.join(CredentialKind)}") from error
