"""The status as kstatus, `kubectl wait` and a restart read it, over random walks through what can be seen."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageferry.api.resource import ImageMigration
from imageferry.api.spec import ReadyWhen
from imageferry.api.status import Phase, Status
from imageferry.migration import changes, siblings, verification
from imageferry.migration.facts import MISSING, Facts, GalleryVersion, RegionReplication, Sibling
from imageferry.migration.report import FALSE, REPLICATED, TRUE, Says, Standing, Summary, compose
from imageferry.migration.steps import Act, Wait
from tests.unit import build
from tests.unit.build import NOW, Json

FOREIGN: Json = {"type": "example.com/Audited", "status": "True"}
OWN = {
    "Ready",
    "Reconciling",
    "Stalled",
    "PreflightPassed",
    "DefinitionReady",
    "VersionReady",
    "Replicated",
    "SourceDeleted",
}
OVERALL = ("Ready", "Reconciling", "Stalled")


def _versions() -> st.SearchStrategy[Any]:
    def make(state: str, regions: dict[str, str], published: str, source: str, mode: str) -> GalleryVersion:
        seen = build.version(*regions, provisioning_state=state, published_date=published, source_id=source)
        replication = {name: RegionReplication(word, 50) for name, word in regions.items()}
        return replace(seen, replication=replication, replication_mode=mode)

    words = st.sampled_from(["Completed", "Completed", "Completed", "Replicating", "Failed", "Unknown"])
    return st.builds(
        make,
        st.sampled_from(["Succeeded", "Succeeded", "Succeeded", "Creating", "Updating", "Failed", "Deleting"]),
        st.fixed_dictionaries({"westeurope": words}, optional={"uksouth": words, "northeurope": words}),
        st.sampled_from([build.PUBLISHED, build.REPUBLISHED]),
        st.sampled_from([build.IMAGE_ID, build.IMAGE_ID, build.IMAGE_ID, build.OTHER_IMAGE_ID]),
        st.sampled_from(["Full", "Full", "Shallow"]),
    )


SIBLINGS = st.lists(st.builds(Sibling, st.just("a/b"), *[st.booleans()] * 4), max_size=2).map(tuple)
FACTS = st.builds(
    build.facts,
    image=st.one_of(
        st.just(build.image()),
        st.just(MISSING),
        st.builds(
            build.image,
            provisioning_state=st.sampled_from(["Succeeded", "Creating", "Deleting", "Failed"]),
            os_state=st.sampled_from(["Generalized", "Generalized", "Specialized"]),
            data_disks=st.sampled_from([(), build.image().data_disks]),
        ),
    ),
    gallery=st.sampled_from([build.gallery(), MISSING]),
    definition=st.one_of(
        st.sampled_from([build.definition(), MISSING]),
        st.builds(
            build.definition,
            os_type=st.sampled_from(["Windows", "Linux"]),
            provisioning_state=st.sampled_from(["Succeeded", "Creating"]),
        ),
    ),
    version=st.one_of(st.just(MISSING), st.just(build.version()), _versions()),
    siblings=SIBLINGS,
)
SPECS = st.builds(
    lambda when, policy, suspend, grace, regions: {
        "readyWhen": when,
        "suspend": suspend,
        "sourceDeletion": {"policy": policy, "graceSeconds": grace},
        **build.in_regions(*regions),
    },
    st.sampled_from([each.value for each in ReadyWhen]),
    st.sampled_from(["Delete", "Delete", "Retain"]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([0, 0, 3600]),
    st.sampled_from([("westeurope",), ("westeurope", "uksouth")]),
)
WORDS = st.sampled_from([None, None, "True", "False", "Unknown"])
walks = settings(max_examples=40, deadline=None)
PASSES = st.lists(st.tuples(SPECS, FACTS, WORDS, st.integers(1, 1200)), min_size=1, max_size=6)


def _said(status: Status, word: str | None) -> Json:
    """Return a status to which somebody has added a word of theirs."""
    body = status.wire()
    others = [each for each in body.get("conditions", []) if each["type"] != "Verified"]
    if word is None:
        return body
    return body | {"conditions": [*others, {"type": "Verified", "status": word}]}


def _walk(passes: list[Any]) -> list[tuple[ImageMigration, Facts, Act | Wait, datetime]]:
    """Return every pass: the migration as it was read, what was seen, the step, and the time."""
    status = Status.model_validate({"conditions": [FOREIGN]})
    now, completion, walked = NOW, None, []
    for generation, (spec, seen, word, seconds) in enumerate(passes, start=1):
        subject = build.migration(spec, _said(status, word), generation=generation)
        step, _ = build.settle(subject, seen, build.context(now, completion))
        walked.append((subject, seen, step, now))
        completion, status = step.completion, build.stored(subject, step, now=now).status
        now += timedelta(seconds=seconds)
    return walked


@walks
@given(PASSES)
def test_reconciling_and_stalled_are_never_both_true(passes: list[Any]) -> None:
    """To kstatus Stalled is failed and Reconciling is in progress: it cannot be both."""
    for _, _, step, _ in _walk(passes):
        assert not {"Reconciling", "Stalled"} <= set(build.states(step.status))


@walks
@given(PASSES)
def test_they_are_present_only_while_true(passes: list[Any]) -> None:
    """A False or Unknown Reconciling would read as neither."""
    for _, _, step, _ in _walk(passes):
        states = build.states(step.status)
        assert {states[kind] for kind in ("Reconciling", "Stalled") if kind in states} <= {"True"}


@walks
@given(PASSES)
def test_a_false_ready_comes_with_its_cause(passes: list[Any]) -> None:
    """Ready False goes with exactly one of Reconciling and Stalled, Ready True with none."""
    for _, _, step, _ in _walk(passes):
        states = build.states(step.status)
        causes = len({"Reconciling", "Stalled"} & set(states))
        assert causes == (1 if states.get("Ready") == "False" else 0)


@walks
@given(PASSES)
def test_a_transition_time_moves_only_with_its_status(passes: list[Any]) -> None:
    """`kubectl wait` and alerts measure since when a condition is what it is."""
    for subject, _, step, now in _walk(passes):
        before = {each.type: each for each in subject.status.conditions}
        for each in step.status.conditions:
            old = before.get(each.type)
            if each.type not in OWN:
                continue
            same = old is not None and old.status is each.status
            assert each.last_transition_time == (old.last_transition_time if old and same else now)


@walks
@given(PASSES)
def test_the_same_facts_give_the_same_status_again(passes: list[Any]) -> None:
    """A restart writes nothing: what was stored is composed again, byte for byte, a minute later."""
    for subject, seen, step, now in _walk(passes):
        if isinstance(step, Act):
            continue
        after = build.stored(subject, step, now=now)
        context = build.context(now + timedelta(seconds=1), step.completion)
        again, _ = build.settle(after, seen, context)
        if isinstance(again, Wait) and not _just_voided(subject, step):
            assert changes.merge_patch(after.status, again.status) == {}


def _just_voided(subject: ImageMigration, step: Wait) -> bool:
    """Whether the step takes a verification back: what follows has a test of its own."""
    before, after = verification.spoken(subject.status), verification.spoken(step.status)
    return before is not None and after is not None and before.status is not after.status


def test_a_word_that_was_taken_back_costs_one_write() -> None:
    """The pass after the one that voids it writes nothing, and the explanation stays."""
    subject = build.migration(status={"conditions": [{"type": "Verified", "status": "True"}]})
    after = build.stored(subject, build.wait(subject, build.facts()))

    assert changes.merge_patch(after.status, build.wait(after, build.facts()).status) == {}


@walks
@given(PASSES)
def test_what_is_said_is_said_of_this_generation(passes: list[Any]) -> None:
    """The status and each condition that changed speak of the generation that was acted on."""
    for subject, _, step, _ in _walk(passes):
        if subject.spec.suspend:
            continue
        generation = subject.metadata.generation
        before = {each.type: each.wire() for each in subject.status.conditions}
        assert step.status.observed_generation == generation
        for each in step.status.conditions:
            if each.type in OVERALL or (each.type in OWN and before.get(each.type) != each.wire()):
                assert each.observed_generation == generation


@walks
@given(PASSES)
def test_conditions_of_others_are_kept(passes: list[Any]) -> None:
    """What other controllers say is theirs, to the letter."""
    for _, _, step, _ in _walk(passes):
        assert [each.wire() for each in step.status.conditions if each.type == FOREIGN["type"]] == [FOREIGN]


@walks
@given(PASSES)
def test_no_type_is_there_twice(passes: list[Any]) -> None:
    """Conditions are a map by type; the API server refuses doubles."""
    for _, _, step, _ in _walk(passes):
        kinds = [each.type.casefold() for each in step.status.conditions]
        assert len(kinds) == len(set(kinds))


@walks
@given(PASSES)
def test_a_suspended_walk_never_acts(passes: list[Any]) -> None:
    """Whatever was announced before, suspension stops the next mutation (promise 6)."""
    for subject, _, step, _ in _walk(passes):
        assert not (subject.spec.suspend and isinstance(step, Act))


@walks
@given(PASSES)
def test_an_image_goes_only_behind_a_current_word(passes: list[Any]) -> None:
    """Wherever a walk leads, DeleteImage finds its digest in the status, a True condition and the policy Delete."""
    for subject, _, step, _ in _walk(passes):
        if isinstance(step, Act) and step.action.name == "DeleteImage":
            proof, bound = step.status.proof, step.status.verification
            assert proof is not None
            assert bound is not None
            assert bound.digest == proof.digest
            assert build.states(step.status)["Verified"] == "True"
            assert subject.spec.source_deletion.policy == "Delete"


@walks
@given(PASSES)
def test_every_status_fits_the_schema(passes: list[Any]) -> None:
    """What is composed can be stored and read again."""
    for _, _, step, _ in _walk(passes):
        assert Status.model_validate(step.status.wire()).wire() == step.status.wire()


WAITS = [
    pytest.param(ReadyWhen.REPLICATED, build.proven(build.version()), "True", id="replicated-awaits-nobody"),
    pytest.param(ReadyWhen.VERIFIED, build.proven(build.version()), "False", id="verified-awaits-a-person"),
    pytest.param(ReadyWhen.VERIFIED, build.verified(build.version()), "True", id="verified-and-not-deleted"),
    pytest.param(ReadyWhen.COMPLETE, build.verified(build.version()), "False", id="complete-awaits-the-deletion"),
    pytest.param(ReadyWhen.COMPLETE, build.receipt(), "True", id="complete-with-receipt"),
]


@pytest.mark.parametrize(("when", "status", "ready"), WAITS)
def test_ready_means_what_the_spec_names(when: ReadyWhen, status: Json, ready: str) -> None:
    """spec.readyWhen chooses the state that makes Ready True."""
    step = build.wait(build.migration({"readyWhen": when.value}, status), build.facts())

    assert build.states(step.status)["Ready"] == ready


def test_what_is_not_said_stays() -> None:
    """A pass that did not look at something leaves what was said of it."""
    status = {"conditions": [{"type": "DefinitionReady", "status": "True", "observedGeneration": 1}]}
    subject = build.migration(status=status)
    says = {REPLICATED: Says(FALSE, "Replicating", "waiting")}
    after = compose(subject, Summary(Phase.REPLICATING, "Replicating", "waiting"), now=NOW, says=says)

    assert [each.type for each in after.conditions] == ["DefinitionReady", "Replicated", "Ready", "Reconciling"]


def test_an_error_is_gone_with_the_next_answer() -> None:
    """A status composed of what Azure showed tells of no error."""
    status = {"error": {"code": "X", "message": "y", "kind": "BackOff"}}
    after = compose(build.migration(status=status), Summary(Phase.PENDING, "R", "m", Standing.WORKING), now=NOW)

    assert after.error is None


def test_the_word_of_others_is_replaced_only_when_given() -> None:
    """`verified` takes the place of the condition, in whatever letter case it was."""
    subject = build.migration(status={"conditions": [{"type": "verified", "status": "True"}]})
    said = verification.spoken(subject.status)
    after = compose(subject, Summary(Phase.PENDING, "R", "m"), now=NOW, verified=said, says={"X": Says(TRUE, "R", "m")})

    assert [each.type for each in after.conditions if each.type.casefold() == "verified"] == ["Verified"]


REPLICATED_BEFORE: Json = {"conditions": [{"type": "Replicated", "status": "True", "observedGeneration": 3}]}


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(build.facts(version=build.replicating(state="Failed")), id="region-failed"),
        pytest.param(build.facts(version=build.version(provisioning_state="Failed")), id="version-failed"),
        pytest.param(build.facts(version=build.version(source_id=build.OTHER_IMAGE_ID)), id="version-of-another"),
        pytest.param(build.facts(version=MISSING, image=MISSING), id="all-gone"),
        pytest.param(
            build.facts(version=MISSING, definition=build.definition(os_type="Linux")), id="cannot-be-rebuilt"
        ),
    ],
)
def test_replicated_does_not_outlive_what_azure_shows(seen: Facts) -> None:
    """A version that failed or vanished is not Replicated any more (promise 3), whatever was written before."""
    status = build.wait(build.migration(status=REPLICATED_BEFORE), seen).status

    assert build.states(status)["Replicated"] != "True"


GONE_WHILE_IT_WAITS = [
    pytest.param({"definition": MISSING}, id="definition-is-requested"),
    pytest.param({"definition": build.definition(provisioning_state="Updating")}, id="definition-is-busy"),
    pytest.param({"image": build.image(provisioning_state="Updating")}, id="image-is-busy"),
]


@pytest.mark.parametrize("change", GONE_WHILE_IT_WAITS)
def test_replicated_does_not_outlive_a_version_that_is_gone(change: Json) -> None:
    """The pass that sees the 404 says so, also when it does not stall and does not build yet (promise 3)."""
    step, _ = build.settle(build.migration(status=REPLICATED_BEFORE), build.facts(version=MISSING, **change))

    assert build.states(step.status)["Replicated"] != "True"


@pytest.mark.parametrize("change", GONE_WHILE_IT_WAITS)
def test_a_sibling_whose_version_is_gone_keeps_the_image(change: Json) -> None:
    """It has to build again from the same image, so NotShared holds the deletion back (promise 1)."""
    status = build.verified(build.version())
    status["conditions"] += REPLICATED_BEFORE["conditions"]
    named: Json = {"name": "other", "uid": "22222222-2222-2222-2222-222222222222"}
    before = build.migration(status=status, **named)
    step, _ = build.settle(before, build.facts(version=MISSING, **change))
    after = build.body(status=build.stored(before, step).status.wire(), **named)
    subject, version = build.migration(status=build.verified(build.version())), build.version()
    seen = build.facts(siblings=siblings.of(subject, [after], now=NOW))
    deleting, _ = build.settle(subject, seen, build.context(completion=build.completed(version)))

    assert isinstance(deleting, Wait)


def test_a_ready_that_outlasts_suspension_speaks_of_this_generation() -> None:
    """`kubectl wait --for=condition=Ready` ignores a condition of an older generation."""
    before = build.stored(build.migration(), build.wait(build.migration(), build.facts()))
    subject = build.migration({"suspend": True}, before.status.wire(), generation=4)
    ready = build.condition(build.wait(subject, build.facts()).status, "Ready")

    assert ready is not None
    assert ready.observed_generation == 4
