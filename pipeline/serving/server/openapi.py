"""The API's description of each route, and its page: plain HTML that loads nothing."""

from __future__ import annotations

import html
from typing import Any

from lexveil.pipeline.serving import wire


def _describe_refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    about = {
        400: "not a bundle, damaged, or without its digest",
        401: "no valid API key",
        404: "no such session, file or layout",
        409: "the manifest is no longer served: read it again",
        408: "the body came too slowly",
        411: "no Content-Length",
        413: "too large",
        422: "not what the parameters of the manifest make",
        429: "over a quota: Retry-After",
        503: "busy: Retry-After",
    }
    return {status: {"model": wire.Refusal, "description": about[status]} for status in statuses}


_BUNDLE = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_DIGEST = {
    "name": wire.REQUEST_DIGEST,
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
}
_UPLOAD = {"requestBody": {"required": True, **_BUNDLE}, "parameters": [_DIGEST]}
_BODY = (400, 401, 404, 408, 409, 411, 413, 422, 429, 503)

# By route. The summaries are part of the API's description.
DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "healthz": {"summary": "The process answers"},
    "readyz": {
        "summary": "A model and a worker are ready",
        "responses": {503: {"description": "they are not"}},
    },
    "metrics": {
        "summary": "Prometheus metrics, for this machine and for the tenant `operator`",
        "responses": _describe_refusals(401),
    },
    "manifest": {
        "summary": "What is served: labels, parameters, limits, what is hidden and what not; signed",
        "response_model": wire.SignedManifest,
        "responses": _describe_refusals(401, 503),
    },
    "extractor": {
        "summary": "A file of the extractor, which the manifest names with its digest",
        "responses": _describe_refusals(401, 404, 409, 503),
    },
    "open": {
        "summary": "Upload evaluation keys, once: a bundle of one blob",
        "status_code": 201,
        "response_model": wire.SessionOpened,
        "responses": _describe_refusals(*_BODY),
        "openapi_extra": _UPLOAD,
    },
    "classify": {
        "summary": "Encrypted features in, encrypted logits out: bundles in the same order",
        "responses": {200: {"description": "a bundle", **_BUNDLE}, **_describe_refusals(*_BODY)},
        "openapi_extra": _UPLOAD,
    },
    "close": {
        "summary": "Forget a session and its keys",
        "status_code": 204,
        "responses": _describe_refusals(401, 404),
    },
}


def render_page(description: dict[str, Any]) -> str:
    """Render the routes of an OpenAPI description as HTML."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {html.escape(path)}</code><td>{html.escape(route['summary'])}"
        f"<td>{_list_responses(route['responses'])}"
        for path, routes in description["paths"].items()
        for method, route in routes.items()
    )
    title = html.escape(description["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:16px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
        "td{vertical-align:top;padding:.4em;border-top:1px solid #ccc}</style>"
        f"<h1>{title}</h1><p>{html.escape(description['info']['description'])} "
        'The full description: <a href="openapi.json">openapi.json</a>. '
        f"<table><tr><th>Route<th>What it does<th>Answers{rows}</table></html>"
    )


def _list_responses(responses: dict[str, dict[str, Any]]) -> str:
    return "<br>".join(
        f"{status} {html.escape(response['description'])}" for status, response in responses.items()
    )
