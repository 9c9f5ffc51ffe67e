"""Everything that can be found before the first write, with what it means and the cure: data, for code and docs."""

from dataclasses import dataclass

from imageferry.api.status import Severity


@dataclass(frozen=True, slots=True)
class Kind:
    """One reason; `around` says that it comes from the surroundings, which are looked at once."""

    reason: str
    severity: Severity
    when: str
    cure: str
    around: bool = False


_B, _W, _N = Severity.BLOCKS, Severity.WARNS, Severity.NOTES

KINDS: tuple[Kind, ...] = (
    # the image
    Kind("SourceMissing", _B, "there is no such managed image", "correct the id, or create it"),
    Kind("SourceFailed", _B, "the image is Failed", "create it anew"),
    Kind("SourceNotSettled", _B, "the image is not settled; outside of plans it is waited for", "wait"),
    Kind("SourceIncomplete", _B, "the image has no OS type", "create it anew"),
    Kind("SourceNotGeneralized", _B, "the image is not generalized", "generalize the machine and capture it again"),
    Kind("SourceTooLarge", _B, "a disk has more than 2048 GB, and the mode is Full",
         "capture a smaller image, or use replicationMode Shallow in a new ImageMigration"),
    Kind("SourceLarge", _W, "a disk has more than 1023 GB, the limit of older documents", "expect a long build"),
    Kind("SizeUnknown", _W, "Azure tells no size of a disk", "look it up: at most 2048 GB"),
    Kind("EncryptedSourceElsewhere", _B, "the image is encrypted, and the gallery is in another subscription",
         "use a gallery in the image's subscription"),
    Kind("SourceInAnotherSubscription", _N, "image and gallery are in two subscriptions",
         "the identity needs rights in both; both have to be in one tenant"),
    Kind("SourceBusy", _W, "the image feeds another version of the same definition; outside of plans it is waited for",
         "wait", around=True),
    Kind("SourceLocked", _W, "a lock on the image, its group or subscription will stop its deletion",
         "remove the lock before the end", around=True),
    # the definition
    Kind("DefinitionContradictsSource", _B, "spec.definition says something else than the image",
         "correct the field, or leave it out"),
    Kind("DefinitionMismatch", _B, "the definition exists and does not fit, field by field",
         "name another definition in a new ImageMigration, or delete that one"),
    Kind("DefinitionFailed", _B, "the definition is Failed", "delete it; it is created again"),
    Kind("PurchasePlanContradictsSource", _B, "spec.definition.purchasePlan is not the plan of the captured machine",
         "correct the field, or leave it out: it is read from the machine", around=True),
    Kind("PurchasePlanMismatch", _B, "the definition exists without the plan of the captured machine, or with another",
         "name another definition in a new ImageMigration, or delete that one", around=True),
    Kind("PurchasePlanRead", _N, "the plan was read from the captured machine and goes into the definition", "none",
         around=True),
    Kind("PurchasePlanUnknown", _N, "the captured machine is gone or cannot be read, and no plan is given",
         "give spec.definition.purchasePlan if the machine came from the Marketplace", around=True),
    # the version
    Kind("VersionConflict", _B, "the version exists and was built from another source",
         "name another version in a new ImageMigration, or delete that one"),
    Kind("VersionOwnedElsewhere", _B, "a region is to be added to a version that another cluster's operator owns",
         "add it there, or take it out"),
    Kind("VersionSoftDeleted", _B, "a version of this number was deleted and is kept: old bits would come back",
         "purge it, or use another number in a new ImageMigration", around=True),
    Kind("SoftDeletedUnknown", _B, "the gallery keeps deleted versions, and they cannot be listed",
         "give the operator's identity the right to read them", around=True),
    Kind("EndOfLifePassed", _B, "an end of life lies in the past", "give a later date"),
    Kind("ShallowNotAlone", _B, "a Shallow version would have a second region or a second copy",
         "use one region and one copy, or replicationMode Full in a new ImageMigration"),
    Kind("ManyReplicas", _W, "more than 50 copies in a region, which one of Azure's documents has as the limit",
         "use fewer, unless you need them"),
    Kind("EncryptionIncomplete", _B, "disk encryption sets do not cover every region and just the image's disks",
         "complete them, or take them out everywhere"),
    Kind("EncryptionOfShallow", _B, "a Shallow version would have disk encryption sets",
         "take them out, or use replicationMode Full in a new ImageMigration"),
    Kind("EncryptionSetElsewhere", _B, "a disk encryption set is in another region or subscription than its copies",
         "use one that is in both"),
    Kind("EncryptionSetMissing", _B, "there is no such disk encryption set", "create it", around=True),
    Kind("EncryptionSetMisplaced", _B, "a disk encryption set is in another region than its copies",
         "use one in that region", around=True),
    # places
    Kind("GalleryMissing", _B, "there is no such gallery", "create it, or let it be created by spec.gallery.create"),
    Kind("GalleryLocked", _B, "a ReadOnly lock on the gallery, its group or subscription stops every write",
         "remove the lock", around=True),
    Kind("RegionNotEnabled", _B, "the subscription has no such region", "correct the name, or have the region enabled",
         around=True),
    Kind("RegionNotOffered", _B, "Azure has no gallery images in that region", "use another region", around=True),
    Kind("ZonesMissing", _B, "Standard_ZRS is wanted in a region without availability zones", "use Standard_LRS there",
         around=True),
    Kind("QuotaUsedUp", _B, "galleries, definitions or versions of the subscription in the region are used up",
         "delete some, or ask Azure for more", around=True),
    Kind("NotLookedAt", _N, "something could not be looked at, mostly for want of a right, which is named",
         "give the operator's identity the right, or live with a later error", around=True),
    # others
    Kind("WaitsForVersion", _N, "another migration works on the same version and comes first", "none needed"),
    Kind("WaitsForSource", _N, "another migration builds from the same image and comes first", "none needed"),
)  # fmt: skip

AROUND = frozenset(kind.reason for kind in KINDS if kind.around)
"""Reasons of what is looked at once and stays in the status from then on."""


def to_markdown() -> str:
    """Return the findings as a page of the docs."""
    order = {severity: number for number, severity in enumerate(Severity)}
    rows = [
        f"| `{kind.reason}` | {kind.severity} | {kind.when} | {kind.cure} |"
        for kind in sorted(KINDS, key=lambda kind: (order[kind.severity], kind.reason))
    ]
    return "\n".join([_HEAD, *rows, ""])


_HEAD = """<!-- Generated from operator/imageferry/migration/findings.py by `make generate`; never edited by hand. -->
# What is found before the first write

Before an image migration changes anything in Azure, everything that can be known is looked at, and what is found stands
in `status.findings` and in the condition `PreflightPassed`; mode `Plan` shows the same.

| severity | means |
|---|---|
| `Blocks` | Nothing is sent: `Stalled` with this reason, looked at again, and gone on with once the cure is there. |
| `Warns` | It goes on; look at it. |
| `Notes` | Good to know. |

What lies around image, gallery and definition (regions, quotas, locks, keys, the captured machine, deleted versions) is
looked at once, before the first write. Answers about a subscription or a resource group serve all its migrations for 30
seconds. What may not be read for want of a right becomes `NotLookedAt`, which names the right; the rights are in
[azure.md](azure.md). One exception: `SoftDeletedUnknown` blocks, because a build that silently brings old bits back
could cost the image.

| reason | severity | when | cure |
|---|---|---|---|"""
