"""What people say beforehand about the deletion of a managed image: how it is verified, and which guards are waived.

They stand apart from `spec`, so that who may set them can be read in one go.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from imageferry.api import rules
from imageferry.api.base import ApiModel

Digest = Annotated[str, AfterValidator(rules.DIGEST.check)]
Reason = Annotated[str, AfterValidator(rules.REASON.check)]


class VerificationTerms(ApiModel):
    """How the version is verified, and for how long that counts."""

    approved_digest: Digest | None = Field(
        None,
        max_length=80,
        description="Verifies the proof that has this digest, as status.proof.digest tells it: approval by pull "
        "request. It does not expire, and a Verified condition that is False outranks it. Default: none.",
        json_schema_extra=rules.validations(rules.DIGEST.rule()),
    )
    valid_for_seconds: int | None = Field(
        None,
        ge=1,
        le=31_536_000,
        description="Seconds that a Verified condition counts from when it was first seen. Default: no end.",
    )


class WaivableGuard(StrEnum):
    """Guards that a person may take on themselves."""

    NO_CONSUMERS = "NoConsumers"
    SETTLED = "Settled"


class Waiver(ApiModel):
    """One guard that does not hold the deletion back, and why."""

    guard: WaivableGuard = Field(description="NoConsumers or Settled.")
    reason: Reason = Field(
        max_length=512,
        description='Why, such as "scale set retired in CHG-1234"; it is kept in the status.',
        json_schema_extra=rules.validations(rules.REASON.rule()),
    )
