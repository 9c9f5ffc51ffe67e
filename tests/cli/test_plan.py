"""`kubectl imageferry plan`: the stored plan of a migration in mode Plan, and nothing changed by it."""

import json
from concurrent.futures import ThreadPoolExecutor

from tests.cli.conftest import Plugin, Put, write
from tests.controlplane import Kubectl
from tests.manifests import Json

GALLERY = "/subscriptions/0/resourceGroups/images/providers/Microsoft.Compute/galleries/prod"
PLANNED: Json = {
    "phase": "Planned",
    "plan": [
        {
            "action": "CreateDefinition",
            "resource": f"{GALLERY}/images/web",
            "changes": [{"field": "osType", "to": "Linux"}, {"field": "hyperVGeneration", "to": "V2"}],
        },
        {
            "action": "UpdateVersion",
            "resource": f"{GALLERY}/images/web/versions/1.0.0",
            "changes": [{"field": "targetRegions", "from": "westeurope", "to": "westeurope, northeurope"}],
        },
        {"action": "DeleteImage", "resource": "web", "when": "once verified", "changes": []},
    ],
    "findings": [{"severity": "Warns", "reason": "SourceLarge", "message": "the OS disk has 1500 GB"}],
}


def test_calls_are_shown_field_by_field(put: Put, plugin: Plugin) -> None:
    """What is created, changed and deleted, with fields from and to, and the findings."""
    put("web", PLANNED, mode="Plan")
    lines = [line.strip() for line in plugin("plan", "web").stdout.splitlines()]
    for part in (
        "+ CreateDefinition",
        "galleries/prod/images/web in images",
        "osType            Linux",
        "~ UpdateVersion",
        "targetRegions  westeurope → westeurope, northeurope",
        "- DeleteImage  once verified",
        "! Warns  SourceLarge  the OS disk has 1500 GB",
        "Plan: 3 changes in Azure. Nothing was changed yet; to start:",
    ):
        assert part in lines


def test_what_blocks_is_the_verdict(put: Put, plugin: Plugin) -> None:
    """A plan that cannot work does not say how to start it."""
    findings = [{"severity": "Blocks", "reason": "SourceNotGeneralized", "message": "generalize it"}]
    put("web", {"phase": "Stalled", "plan": [], "findings": findings}, mode="Plan")
    shown = plugin("plan", "web").stdout
    assert "✘ Blocks  SourceNotGeneralized  generalize it" in shown
    assert "Plan: 1 finding blocks the migration." in shown
    assert "kubectl patch" not in shown


def test_an_empty_plan_says_that_nothing_is_to_do(put: Put, plugin: Plugin) -> None:
    """Azure is as the spec wants it."""
    put("web", {"phase": "Planned", "plan": []}, mode="Plan")
    assert "nothing to do" in plugin("plan", "web").stdout


def test_another_mode_is_an_error_that_says_how_to_switch(put: Put, plugin: Plugin, kubectl: Kubectl) -> None:
    """Nothing is changed by asking; the command in the message does it."""
    before = put("web", {"phase": "Pending"})
    done = plugin("plan", "web")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "spec.mode is Migrate" in done.stderr
    assert """--type=merge -p '{"spec":{"mode":"Plan"}}'""" in done.stderr
    assert json.loads(kubectl("get", "imig", "web", "--output=json").stdout) == before


def test_a_plan_of_an_older_spec_is_never_shown(put: Put, plugin: Plugin) -> None:
    """It waits until the operator has seen the latest spec, and not for ever."""
    put("web", PLANNED | {"observedGeneration": 0}, mode="Plan")
    done = plugin("plan", "web", "--timeout", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the operator has not seen generation 1 in time" in done.stderr


def test_it_waits_for_the_plan(put: Put, plugin: Plugin, kubectl: Kubectl) -> None:
    """While the operator still checks there is no plan to show."""
    put("web", {"phase": "Pending"}, mode="Plan")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(plugin, "plan", "web", "--timeout", "60", "-o", "json")
        write(kubectl, "web", PLANNED)
        done = waiting.result()
    assert done.returncode == 0
    assert json.loads(done.stdout)["plan"] == PLANNED["plan"]
    assert json.loads(done.stdout)["findings"] == PLANNED["findings"]
