"""What tests put into the cloud past its API is all that there is."""

from imageferry.simulator import Cloud, SimClock


def test_a_version_put_again_is_built_from_its_new_source_alone() -> None:
    """An image is not held up by a version that was once built from it; found by walks, as a KeyError."""
    cloud = Cloud(SimClock().now)
    first, second = (cloud.put_image(name, group="legacy") for name in ("first", "second"))
    definition = cloud.put_definition("web", gallery=cloud.put_gallery("prod", group="gallery"))
    cloud.put_version("1.0.0", definition=definition, source=first)
    version = cloud.put_version("1.0.0", definition=definition, source=second)
    cloud.remove(version)

    store = cloud._store  # noqa: SLF001 - what the provider asks before it builds
    assert store.built_from(first.casefold()) == []
