"""The image in one subscription, the gallery in another: each call goes where it belongs, and has a budget there."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from imageferry.simulator import Rules
from tests import manifests
from tests.cluster.world import World

IMAGES, GALLERIES = "00000000-0000-0000-0000-00000000aaaa", "00000000-0000-0000-0000-00000000bbbb"
SLOWER = 60.0
LIMIT = 2
NAMES = [f"far-{number}" for number in range(4)]
READS = {"images.get": IMAGES, "galleries.get": GALLERIES, "galleryImages.get": GALLERIES}
WRITES = {
    "galleryImages.createOrUpdate": GALLERIES,
    "galleryImageVersions.createOrUpdate": GALLERIES,
    "images.delete": IMAGES,
}


def prepare(world: World, folder: Path) -> None:
    """Have two subscriptions and, slower than in other tests, an operator."""
    cloud = world.azure.cloud
    for subscription in (IMAGES, GALLERIES):
        cloud.put_subscription(subscription)
    cloud.put_group("legacy", subscription=IMAGES)
    cloud.put_group("gallery", subscription=GALLERIES)
    cloud.put_gallery("prod", group="gallery", subscription=GALLERIES)
    cloud.durations = replace(cloud.durations, version_create=30, home_region=10)
    world.azure.clock.set_speed(SLOWER)
    world.operator = world.make_operator(folder / "slower.log", speed=SLOWER)
    world.operator.start()


def apply(world: World, name: str, *, gallery: str = GALLERIES) -> None:
    """Apply a migration of an image in the one subscription into a gallery in another."""
    image = world.azure.cloud.put_image(name, group="legacy", subscription=IMAGES)
    world.apply(manifests.migration(name, image=image, gallery={"id": manifests.gallery_id(subscription=gallery)}))


def test_an_image_moves_to_another_subscription(world: World, tmp_path: Path) -> None:
    """From apply to the deleted image: reads and writes of the image in its own, all else in the gallery's."""
    prepare(world, tmp_path)
    apply(world, "far")
    world.until_phase("far", "AwaitingVerification")
    world.verify("far")
    world.until_phase("far", "Completed", within=90)
    called = {(entry.operation, entry.resource_id.split("/")[2]) for entry in world.azure.ledger.entries()}
    assert called >= set(READS.items()) | set(WRITES.items())
    assert {place for _, place in called} == {IMAGES, GALLERIES}
    changed = Counter((e.operation, e.resource_id.split("/")[2]) for e in world.azure.ledger.mutations())
    assert changed == dict.fromkeys(WRITES.items(), 1)


def test_a_subscription_without_room_holds_up_no_other(world: World, tmp_path: Path) -> None:
    """Four wait in turns for the limit of their gallery's subscription; a fifth, in another one, does not."""
    prepare(world, tmp_path)
    cloud = world.azure.cloud
    cloud.rules = Rules(throttling=True, limits={"CreateUpdateGalleryImage3Min": LIMIT})
    cloud.put_group("gallery", subscription=IMAGES)
    cloud.put_gallery("prod", group="gallery", subscription=IMAGES)
    for name in NAMES:
        apply(world, name)
    world.wait(lambda: world.operator.entries("postponed"), what="one that waits for room")
    apply(world, "near", gallery=IMAGES)
    world.wait(lambda: _defined(world, GALLERIES) == len(NAMES), what="all definitions")
    world.until_phase(NAMES[-1], "AwaitingVerification")
    defined = [entry.resource_id for entry in world.azure.ledger.entries("galleryImages.createOrUpdate")]
    assert next(n for n, resource in enumerate(defined) if IMAGES in resource) <= LIMIT, (
        "before the third of the others"
    )
    assert [entry for entry in world.azure.ledger.entries() if entry.status == 429] == []


def _defined(world: World, subscription: str) -> int:
    entries = world.azure.ledger.entries("galleryImages.createOrUpdate")
    return sum(subscription in entry.resource_id for entry in entries)
