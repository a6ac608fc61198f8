"""Handles the requests that parent.js makes for a frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.host.frame import fresh_auth, may_use
from sandbox.host.visit import Layout, Visit
from sandbox.wire import php
from sandbox.wire.http import Response, json_response
from sandbox.world.installing import finish_installation


def respond(visit: Visit, sid: str, action: str) -> Response:
    """Returns JSON for the page; 404 for another person's frame or a forgotten one, 400 for an
    option whose value is not JSON."""
    layout = visit.memory.layouts.get(sid)
    if layout is None or layout.user_id != visit.user.id or action not in _ACTIONS:
        return json_response({}, 404)
    if visit.request.method != "POST":
        return json_response({}, 405)
    try:
        answer = _ACTIONS[action](visit, layout)
    except ValueError:
        return json_response({}, 400)
    return json_response(answer)


def _refresh(visit: Visit, layout: Layout) -> dict[str, Any]:
    """Issues new tokens; returns {} if the person may no longer use the application."""
    installation = layout.installation
    if installation.removed or not may_use(visit, installation):
        return {}
    world = visit.sandbox.world
    layout.token = world.issue(installation.client_id, visit.portal.member_id, visit.user.id)
    return fresh_auth(layout.token)


def _launched(visit: Visit, layout: Layout) -> dict[str, Any]:
    person = _person(visit, layout)
    if visit.request.form.get("install") == "1":
        visit.memory.launched.add(person)
    else:
        visit.memory.launched.discard(person)
    return {}


def _installed(visit: Visit, layout: Layout) -> dict[str, Any]:
    """Finishes the installation; only an administrator may."""
    if not visit.user.is_admin or layout.installation.removed:
        return {"result": False}
    if visit.request.form.get("value") == "N":
        layout.installation.finished = False
    else:
        finish_installation(
            visit.sandbox.world,
            visit.portal,
            layout.installation.client_id,
            user_id=visit.user.id,
        )
    return {"result": True}


def _user_option(visit: Visit, layout: Layout) -> dict[str, Any]:
    return _set_option(visit, visit.memory.user_options.setdefault(_person(visit, layout), {}))


def _app_option(visit: Visit, layout: Layout) -> dict[str, Any]:
    key = (visit.portal.member_id, layout.installation.client_id)
    options = visit.memory.app_options.setdefault(key, {})
    return _set_option(visit, options) if visit.user.is_admin else options


def _set_option(visit: Visit, options: dict[str, Any]) -> dict[str, Any]:
    form = visit.request.form
    value = php.json_value(str(form.get("value", "null")))
    json.dumps(value, allow_nan=False)  # 1e400 is an infinity, which no answer can have
    options[str(form.get("name", ""))] = value
    return options


def _person(visit: Visit, layout: Layout) -> tuple[str, str, int]:
    return (visit.portal.member_id, layout.installation.client_id, visit.user.id)


_ACTIONS: dict[str, Callable[[Visit, Layout], dict[str, Any]]] = {
    "refresh": _refresh,
    "launched": _launched,
    "installed": _installed,
    "user-option": _user_option,
    "app-option": _app_option,
}
