"""What a replay does around a request: the cloud before it, its pace, and the comparison of its answer."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from imageferry.simulator import Cloud
from tests.simulator.conftest import Reply
from tests.simulator.deviations import GUID, Difference
from tests.simulator.recordings import Row

URLS = ("azure-asyncoperation", "location")
_ID = re.compile(r".*/providers/Microsoft\.Compute/(images|galleries)/[^/]+(/images/[^/]+(/versions/[^/]+)?)?")


def prepare(cloud: Cloud, rows: Sequence[Row]) -> None:
    """Put in what the recorded requests refer to and none of them made."""
    made = {row.path.casefold() for row in rows if row.method == "PUT"}
    for row in sorted(rows, key=lambda row: "/galleries/" in row.path):  # images show more of a machine than versions
        parts = row.path.split("/")
        if len(parts) > 4 and parts[3].casefold() == "resourcegroups":
            cloud.put_group(parts[4], subscription=parts[2], location="westus")
        for source in _references(row.sent):
            if source.casefold() not in made:
                made.add(source.casefold())
                cloud.put(source, _source(source, row, rows))
    for row in _found(rows):
        cloud.put(row.path, row.body)


def _found(rows: Sequence[Row]) -> Iterator[Row]:
    """Give the answers about resources that no recorded request had made: those of another recorder's session."""
    made: set[str] = set()
    for row in rows:
        if row.method == "GET" and row.path.casefold() not in made and _ID.fullmatch(row.path):
            yield row
        if row.method in ("GET", "PUT"):
            made.add(row.path.casefold())


def _references(sent: Any) -> Iterator[str]:
    """Give the ids of resources that a request builds from."""
    if isinstance(sent, list):
        for each in sent:
            yield from _references(each)
    if isinstance(sent, dict):
        for name, each in sent.items():
            if (
                name in ("id", "virtualMachineId", "diskEncryptionSetId")
                and isinstance(each, str)
                and "/Microsoft.Compute/" in each
            ):
                yield each
            yield from _references(each)


def _source(source: str, row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    """Give a source with the disks that the last recorded answer about what was built from it shows."""
    shown = [each.body for each in rows if each.path == row.path and each.method in ("GET", "PUT") and each.body]
    profile = shown[-1]["properties"].get("storageProfile", {})
    body: dict[str, Any] = {"location": row.sent["location"], "properties": {}}
    system = profile.get("osDisk") or profile.get("osDiskImage") or {}
    disks = [system, *(profile.get("dataDisks") or profile.get("dataDiskImages") or [])]
    if "/virtualMachines/" in source:
        storage = {"osDisk": _disk(system), "dataDisks": [_disk(disk) for disk in disks[1:]]}
        body["properties"] = {"storageProfile": storage}
        return body
    for disk in disks:
        named = {_folded(disk.get(name, {}).get("id")) for name in ("managedDisk", "snapshot", "source")}
        if source.casefold() in named:
            body["properties"] = {"diskSizeGB": disk.get("diskSizeGB") or disk.get("sizeInGB")}
            body["sku"] = {"name": disk.get("storageAccountType", "Standard_LRS")}
    return body


def _disk(shown: dict[str, Any]) -> dict[str, Any]:
    """Give a machine's disk from what an image or a version shows of it."""
    size = {"diskSizeGB": shown.get("diskSizeGB") or shown.get("sizeInGB")}
    caching = {"caching": shown.get("caching") or shown.get("hostCaching", "None")}
    managed = {"managedDisk": {**shown.get("managedDisk", {}), "storageAccountType": shown.get("storageAccountType")}}
    where = {"vhd": {"uri": shown["blobUri"]}} if "blobUri" in shown else managed
    return {**{name: shown[name] for name in ("lun", "osType", "osState") if name in shown}, **size, **caching, **where}


def _folded(value: object) -> str:
    return str(value or "").casefold()


def set_pace(cloud: Cloud, row: Row, later: Sequence[Row]) -> None:
    """Let the operation that the request starts last as long as the recorded one did."""
    polls = [each.body for each in later if row.operation and each.path.endswith(row.operation) and each.text]
    ended = next((poll for poll in polls if "endTime" in poll), None)
    if row.method == "GET" or ended is None:
        return
    began, over = (datetime.fromisoformat(_six(ended[name])) for name in ("startTime", "endTime"))
    seen = next(each.when for each in later if each.path.endswith(row.operation) and "endTime" in each.text)
    seconds = min(max(0.01, (over - began).total_seconds()), max(0.01, (seen - row.when).total_seconds()))
    for name in ("gallery", "definition", "image", "version"):
        for what in ("write", "create", "update", "delete", "share", "restore"):
            if hasattr(cloud.durations, f"{name}_{what}"):
                cloud.durations = replace(cloud.durations, **{f"{name}_{what}": seconds})  # type: ignore[arg-type]


def _six(instant: str) -> str:
    return re.sub(r"\.(\d{6})\d*", r".\1", instant)


def differences(row: Row, reply: Reply) -> Iterator[Difference]:
    """Name everything in which the answer differs from the recorded one."""
    if reply.status != row.status:
        yield Difference("status", row.status, f"{reply.status} {reply.text[:300]}")
        return
    headers = {name.lower(): value for name, value in reply.headers.items()}
    for name in URLS:
        wanted, found = row.headers.get(name), headers.get(name)
        if (wanted and url_shape(wanted)) != (found and url_shape(found)):
            yield Difference(f"headers.{name}", wanted and url_shape(wanted), found and url_shape(found))
    if row.text and row.headers.get("content-type") != headers.get("content-type"):
        yield Difference("headers.content-type", row.headers.get("content-type"), headers.get("content-type"))
    for name, value in row.headers.items():
        if "ratelimit" in name and policies(value) != policies(headers.get(name, "")):
            yield Difference(f"headers.{name}", policies(value), policies(headers.get(name, "")))
    if not row.text or not reply.text:
        if row.text != reply.text:
            yield Difference("body", row.text, reply.text)
        return
    yield from _body("body", row.body, reply.body)
    if ("\r\n  " in row.text) != ("\r\n  " in reply.text):
        yield Difference("layout", row.text[:20], reply.text[:20])


def _body(where: str, recorded: Any, found: Any) -> Iterator[Difference]:
    if isinstance(recorded, dict) and isinstance(found, dict):
        if list(recorded) != list(found):
            yield Difference(f"{where}.(keys)", list(recorded), list(found))
        for name in recorded.keys() & found.keys():
            yield from _body(f"{where}.{name}", recorded[name], found[name])
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for number, pair in enumerate(zip(recorded, found, strict=True)):
            yield from _body(f"{where}.{number}", *pair)
    elif recorded != found:
        yield Difference(where, recorded, found)


def url_shape(url: str) -> str:
    """Give what stays the same of an operation URL: path without guids, and the names of its parameters."""
    path, _, query = url.partition("://")[2].partition("/")[2].partition("?")
    names = ",".join(re.findall(r"(?:^|&)([\w-]+)=", query))
    return f"{GUID.sub('*', path.partition('/subscriptions/')[2] or path)}?{names}"


def policies(header: str) -> list[str]:
    """Give the names of the rate limits; of a plain count, that there is one."""
    return ["count" if part.isdigit() else part.partition(";")[0] for part in header.split(",")]
