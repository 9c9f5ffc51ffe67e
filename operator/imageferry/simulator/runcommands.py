"""Scripts in a machine: the action `runCommand` and the managed `runCommands` (fact sheet, section 3.6).

The simulated shell knows `echo` (to standard output, or with `>&2` to standard error) and `exit`; every other line
does nothing and succeeds. So a probe that prints a marker sees it, and one that exits with a code sees that.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageferry.simulator.paths import ArmPath
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Json, invalid, timestamp
from imageferry.simulator.world import World, check_location, outer, section

KIND = "virtualMachines/runCommands"


@dataclass(frozen=True, slots=True)
class Run:
    """What a script did."""

    output: str
    error: str
    exit_code: int


def run(lines: Sequence[str]) -> Run:
    """Carry out a script."""
    output, error, code = "", "", 0
    for line in lines:
        words = _words(line)
        if words[:1] == ["echo"]:
            to_error = words[-1] == ">&2"
            text = " ".join(words[1 : -1 if to_error else None]) + "\n"
            output, error = (output, error + text) if to_error else (output + text, error)
        if words[:1] == ["exit"]:
            code = int(words[1]) if words[1:] and words[1].isdigit() else 0
            break
    return Run(output, error, code)


def action_result(machine: Resource, body: Mapping[str, Any]) -> Json:
    """Give what the action `runCommand` answers at its end: one text on Linux, two on Windows."""
    wanted = body.get("commandId")
    if wanted not in ("RunShellScript", "RunPowerShellScript"):
        raise invalid("commandId", f"The value '{wanted}' of parameter commandId is not a command that is known here.")
    done = run([str(line) for line in body.get("script") or []])
    if wanted == "RunPowerShellScript":
        parts = (("StdOut", done.output), ("StdErr", done.error))
        return {"value": [_status(f"ComponentStatus/{name}/succeeded", text) for name, text in parts]}
    del machine
    text = f"Enable succeeded: \n[stdout]\n{done.output}\n[stderr]\n{done.error}"
    return {"value": [_status("ProvisioningState/succeeded", text)]}


def create(world: World, path: ArmPath, body: Json) -> Json:
    """Check a managed run command and give what is stored."""
    del world
    check_location(body, path.kind)
    sent = section(body, "properties")
    if not section(sent, "source"):
        raise invalid("runCommand.properties.source", "The source of the run command is missing.")
    return outer(body, {name: value for name, value in sent.items() if name != "provisioningState"})


def render(world: World, resource: Resource) -> Json:
    """Give the properties as the caller sees them; secrets are not shown."""
    del world
    return {name: value for name, value in resource.properties.items() if name != "protectedParameters"}


def instance_view(world: World, resource: Resource) -> Json:
    """Give how the script went: running until the operation ends, then its exit code and output."""
    operation = resource.operation
    if operation is None:
        return {"executionState": "Unknown", "exitCode": 0, "output": "", "error": "", "statuses": []}
    began = {"startTime": timestamp(operation.started)}
    if operation.running(world.now):
        return {"executionState": "Running", "exitCode": 0, "output": "", "error": "", **began, "statuses": []}
    done = run(str(section(resource.properties, "source").get("script", "")).splitlines())
    state = "Failed" if operation.failure or done.exit_code else "Succeeded"
    return {
        "executionState": state,
        "exitCode": done.exit_code,
        "output": done.output,
        "error": operation.failure.message if operation.failure else done.error,
        **began,
        "endTime": timestamp(operation.ends),
        "statuses": [],
    }


def _status(code: str, message: str) -> Json:
    return {"code": code, "level": "Info", "displayStatus": "Provisioning succeeded", "message": message}


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []
