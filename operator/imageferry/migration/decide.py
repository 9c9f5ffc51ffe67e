"""Which look or action comes next for a migration.

Pure: no I/O, no clock, no randomness. Given the same facts it answers the same, so a
crash between any two steps loses nothing: the next pass looks again. The version is
looked at first, because while it replicates nothing else is needed.

Of the status it reads only what the announcement protocol and the binding of a
verification need: `operation`, the attempt counter, the Verified condition with
`verification` and the stored `proof`, what was `applied` before, so that only an edit of
the spec is sent, and `deletion.receipt`, which only ever stops action. What heals also
asks `repairs` and `deletion.requestedAt`, which only ever forbid it (ADR 7). That a definition
or a version was seen before (`outcome`, `provisioningState`) puts its creation off at a 404 (ADR 8).
"""

from imageferry.api.resource import ImageMigration
from imageferry.api.spec import Mode
from imageferry.api.status import ActionName, Phase
from imageferry.migration import built, ending, final, guards, plan, unbuilt
from imageferry.migration.facts import UNSEEN, Facts, Found, What
from imageferry.migration.report import FALSE, PREFLIGHT, Says, Standing, Summary, compose
from imageferry.migration.stall import stalled
from imageferry.migration.steps import Act, Case, Context, Look, Pace, Step, Wait


def decide(migration: ImageMigration, facts: Facts, context: Context) -> Step:
    """Return the next step; every Look asks for a fact that `facts` does not have yet."""
    case = Case(migration, facts, context)
    if migration.metadata.deletion_timestamp:
        return Wait(migration.status, Pace.NEVER)
    receipt = migration.status.receipt
    if migration.spec.suspend:
        return final.decide(case, receipt, may_act=False) if receipt else _suspended(case)
    if refusal := context.scopes.refusal(migration):
        return _out_of_scope(case, refusal)
    return _in_scope(case)


def _in_scope(case: Case) -> Step:
    migration, receipt = case.migration, case.migration.status.receipt
    if migration.spec.mode is Mode.PLAN:
        return plan.decide(case)
    if receipt:
        return final.decide(case, receipt, may_act=True)
    if case.facts.version is UNSEEN:
        return Look(What.VERSION)
    return _open_deletion(case) or _by_version(case)


def _by_version(case: Case) -> Step:
    if isinstance(case.facts.version, Found):
        return built.decide(case, case.facts.version.value)
    return unbuilt.decide(case)


def _open_deletion(case: Case) -> Step | None:
    """Resolve an announced deletion before anything else; None when there is none, or it had no effect."""
    operation = case.migration.status.operation
    if operation is None or operation.action is not ActionName.DELETE_IMAGE:
        return None
    if case.facts.image is UNSEEN:
        return Look(What.IMAGE)
    if not isinstance(case.facts.image, Found):
        return final.source_gone(case)
    if case.announced(ActionName.DELETE_IMAGE) or case.facts.image.value.provisioning_state == "Deleting":
        return ending.await_deletion(case)
    return None


def _out_of_scope(case: Case, refusal: str) -> Step:
    """Stop before anything is sent or even looked at; what is complete is only stopped when it would send something."""
    status = case.migration.status
    if status.receipt and not isinstance(step := final.decide(case, status.receipt, may_act=True), Act):
        return step
    return stalled(
        case,
        "ScopeNotAllowed",
        refusal,
        says={PREFLIGHT: Says(FALSE, "ScopeNotAllowed", refusal)},
        operation=status.operation,
        deletion=guards.restated(status.deletion, "ScopeAllowed", guards.blocks(refusal)),
    )


def _suspended(case: Case) -> Wait:
    summary = Summary(Phase.SUSPENDED, "Suspended", "spec.suspend is true", Standing.RESTING)
    return Wait(compose(case.migration, summary, now=case.now), Pace.NEVER)
