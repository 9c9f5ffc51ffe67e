"""The control API under `/simulator`: what a test in another process can do; no authentication.

| call | does |
|---|---|
| GET health, GET ca | liveness; the CA's certificate as PEM |
| GET ledger?operation=&effect=&resource=&since= , DELETE ledger | entries and the mark for the next `since` |
| GET, POST clock | `{speed, advance, freeze}` |
| GET, POST, DELETE faults ; DELETE faults/{number} | rules, as in a seed file |
| GET, POST settings | `{durations, rules}`, as in a seed file |
| GET, PUT, DELETE state/{resource id} ; GET dump | the cloud, past its API |
| POST regions | `{version, region, failure}`: complete a region of a version, or let it fail |
| POST roleAssignments, locks, policies | as in a seed file |
| DELETE roleAssignments/{identity}, locks/{lock id}, policies/{name} | end them at once |
| POST unregister | `{namespace, subscription}` |
| POST tokens | `{lifetime, expire}` |
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields

from aiohttp import web

from imageferry.simulator import forms, governance_forms
from imageferry.simulator.forms import FormError
from imageferry.simulator.gateway import Services
from imageferry.simulator.ledger import Entry
from imageferry.simulator.settings import Durations, Rules
from imageferry.simulator.wire import ArmError, Json, timestamp

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """Handlers of the control API."""

    def __init__(self, services: Services, ca: bytes) -> None:
        self._services, self._ca = services, ca

    def routes(self) -> list[web.RouteDef]:
        """Give the routes below `/simulator`."""
        handlers: list[tuple[str, str, _Handler]] = [
            ("GET", "health", self._health),
            ("GET", "ca", self._certificate),
            ("GET", "ledger", self._ledger),
            ("DELETE", "ledger", self._clear_ledger),
            ("GET", "clock", self._clock),
            ("POST", "clock", self._set_clock),
            ("GET", "faults", self._faults),
            ("POST", "faults", self._add_fault),
            ("DELETE", "faults", self._clear_faults),
            ("DELETE", "faults/{number:[0-9]+}", self._remove_fault),
            ("GET", "settings", self._settings),
            ("POST", "settings", self._set_settings),
            ("GET", "state/{id:.+}", self._get_state),
            ("PUT", "state/{id:.+}", self._put_state),
            ("DELETE", "state/{id:.+}", self._remove_state),
            ("GET", "dump", self._dump),
            ("POST", "tokens", self._tokens),
            ("POST", "regions", self._region),
            ("POST", "{form:roleAssignments|locks|policies}", self._govern),
            ("DELETE", "{form:roleAssignments|locks|policies}/{name:.+}", self._end_governing),
            ("POST", "unregister", self._unregister),
        ]
        return [web.route(method, f"/simulator/{path}", _explained(handler)) for method, path, handler in handlers]

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _certificate(self, _: web.Request) -> web.Response:
        return web.Response(body=self._ca, content_type="application/x-pem-file")

    async def _ledger(self, request: web.Request) -> web.Response:
        query, ledger = request.query, self._services.ledger
        mark = ledger.mark()
        entries = ledger.entries(
            query.get("operation", "*"),
            effect=query.get("effect"),
            identity=query.get("identity"),
            resource=query.get("resource", ""),
            since=_whole(query.get("since", "0"), "since"),
        )
        return web.json_response({"mark": mark, "entries": [_entry_form(entry) for entry in entries]})

    async def _clear_ledger(self, _: web.Request) -> web.Response:
        self._services.ledger.clear()
        return web.Response(status=204)

    async def _clock(self, _: web.Request) -> web.Response:
        clock = self._services.clock
        return web.json_response({"now": timestamp(clock.now()), "speed": clock.speed, "frozen": clock.frozen})

    async def _set_clock(self, request: web.Request) -> web.Response:
        clock, body = self._services.clock, await _body(request)
        _known(body, "speed", "advance", "freeze")
        if "speed" in body:
            clock.set_speed(_number(body["speed"], "speed"))
        if "freeze" in body:
            (clock.freeze if body["freeze"] else clock.resume)()
        if "advance" in body:
            clock.advance(_number(body["advance"], "advance"))
        return await self._clock(request)

    async def _faults(self, _: web.Request) -> web.Response:
        return web.json_response([forms.fault_form(*item) for item in self._services.faults.items()])

    async def _add_fault(self, request: web.Request) -> web.Response:
        number = self._services.faults.add(forms.fault(await _body(request)))
        return web.json_response({"number": number}, status=201)

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self._services.faults.clear()
        return web.Response(status=204)

    async def _remove_fault(self, request: web.Request) -> web.Response:
        try:
            self._services.faults.remove(int(request.match_info["number"]))
        except KeyError:
            return web.json_response({"error": "there is no fault of that number"}, status=404)
        return web.Response(status=204)

    async def _settings(self, _: web.Request) -> web.Response:
        cloud = self._services.cloud
        durations = {**_plain(cloud.durations), "regions": dict(cloud.durations.regions)}
        return web.json_response({"durations": durations, "rules": _plain(cloud.rules)})

    async def _set_settings(self, request: web.Request) -> web.Response:
        cloud, body = self._services.cloud, await _body(request)
        _known(body, "durations", "rules")
        durations = forms.settings(cloud.durations, body.get("durations", {}), "durations")
        cloud.rules = forms.settings(cloud.rules, body.get("rules", {}), "rules")
        cloud.durations = durations
        return await self._settings(request)

    async def _get_state(self, request: web.Request) -> web.Response:
        found = self._services.cloud.get(_id(request))
        if found is None:
            return web.json_response({"error": "there is no such resource"}, status=404)
        return web.json_response(found)

    async def _put_state(self, request: web.Request) -> web.Response:
        self._services.cloud.put(_id(request), await _body(request))
        return await self._get_state(request)

    async def _remove_state(self, request: web.Request) -> web.Response:
        return web.json_response({"removed": self._services.cloud.remove(_id(request))})

    async def _dump(self, _: web.Request) -> web.Response:
        return web.json_response(self._services.cloud.dump())

    async def _region(self, request: web.Request) -> web.Response:
        cloud, body = self._services.cloud, await _body(request)
        _known(body, "version", "region", "failure")
        version, region = str(body.get("version", "")), str(body.get("region", ""))
        try:
            if body.get("failure"):
                cloud.fail_region(version, region, str(body["failure"]))
            else:
                cloud.complete_region(version, region)
        except KeyError as error:
            raise FormError(f"region: {region!r} is not a region of the version {version!r}") from error
        return web.json_response(cloud.get(version))

    async def _govern(self, request: web.Request) -> web.Response:
        governance_forms.apply(request.match_info["form"], await _body(request), self._services.cloud)
        return web.Response(status=204)

    async def _end_governing(self, request: web.Request) -> web.Response:
        cloud, name = self._services.cloud, request.match_info["name"]
        try:
            if request.match_info["form"] == "locks":
                cloud.remove_lock(f"/{name.lstrip('/')}")
            else:
                ends = {"roleAssignments": cloud.revoke, "policies": cloud.remove_policy}
                ends[request.match_info["form"]](name)
        except KeyError:
            return web.json_response({"error": f"there is no lock {name!r}"}, status=404)
        return web.Response(status=204)

    async def _unregister(self, request: web.Request) -> web.Response:
        body = await _body(request)
        _known(body, "namespace", "subscription")
        self._services.cloud.unregister(**{name: str(value) for name, value in body.items()})
        return web.Response(status=204)

    async def _tokens(self, request: web.Request) -> web.Response:
        tokens, body = self._services.tokens, await _body(request)
        _known(body, "lifetime", "expire")
        if "lifetime" in body:
            tokens.lifetime = _number(body["lifetime"], "lifetime")
        if body.get("expire"):
            tokens.expire()
        return web.json_response({"lifetime": tokens.lifetime, "issued": tokens.issued})


def _explained(handler: _Handler) -> _Handler:
    """Turn a mistake in the request into a 400 that names the field."""

    async def explained(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ArmError as error:
            return web.json_response({"error": error.message}, status=400)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)

    return explained


def _id(request: web.Request) -> str:
    return "/" + request.match_info["id"].lstrip("/")


async def _body(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise FormError("the body must be a JSON object")
    return body


def _known(body: Json, *names: str) -> None:
    if unknown := sorted(body.keys() - set(names)):
        raise FormError(f"{unknown[0]}: no such field; there are {', '.join(names)}")


def _number(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise FormError(f"{where}: a number is expected, found {value!r}")
    return float(value)


def _whole(value: str, where: str) -> int:
    if not value.isdigit():
        raise FormError(f"{where}: a whole number is expected, found {value!r}")
    return int(value)


def _plain(settings: Durations | Rules) -> Json:
    return {forms.camel(each.name): getattr(settings, each.name) for each in fields(settings)}


def _entry_form(entry: Entry) -> Json:
    return {forms.camel(name): value for name, value in asdict(entry).items()} | {"time": timestamp(entry.time)}
