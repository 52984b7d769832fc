"""The API's description of each route, and its page: plain HTML that loads nothing."""

from __future__ import annotations

import html
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.server.metrics import METRICS_TYPE

_RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}


def _describe_refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    about = {
        400: "not a bundle, damaged, or without its digest",
        401: "no valid API key",
        403: "sent by a browser for a web page",
        404: "no such session, file or layout",
        408: "the body came too slowly",
        409: "the manifest is no longer served: read it again",
        411: "no Content-Length",
        413: "too large",
        421: "called by a name that is not one of the server's",
        422: "not what the parameters of the manifest make, or not a query of this route",
        429: "over a quota or the limit of leakage: Retry-After",
        500: "the server failed",
        503: "busy, without a model, space or database: Retry-After",
    }
    return {
        status: {
            "model": wire.Refusal,
            "description": about[status],
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in sorted({400, 403, 421, 500, *statuses})
    }


_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_REPLY_DIGEST = {
    wire.REPLY_DIGEST: {
        "description": "SHA-256 of the request's digest, a newline and the body",
        "required": True,
        "schema": {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
    }
}
_DIGEST = {
    "name": wire.REQUEST_DIGEST,
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"},
}
_SECURITY = {"security": [{"apiKey": []}]}
_UPLOAD = {"requestBody": {"required": True, "content": _BINARY}, "parameters": [_DIGEST], **_SECURITY}
_BODY = (401, 404, 408, 409, 411, 413, 422, 429, 503)
_SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "lxv_ID_SECRET",
        "description": "An API key; on the server's machine without API keys, the local token.",
    }
}
# Patterns that the description states and no route checks: what does not match is simply not found.
SESSION_SCHEMA = {"pattern": "^[A-Za-z0-9_-]{16,128}$"}
FILE_SCHEMA = {"enum": list(wire.EXTRACTOR_FILES)}

# By route. The summaries and operation ids are part of the API's description.
DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "healthz": {
        "summary": "The process answers",
        "operation_id": "checkHealth",
        "responses": _describe_refusals(),
    },
    "readyz": {
        "summary": "A model, a worker and space for keys are there",
        "operation_id": "checkReadiness",
        "responses": {
            **_describe_refusals(),
            503: {
                "description": "they are not",
                "content": {"application/json": {"schema": {"type": "object"}}},
                "headers": _RETRY_AFTER,
            },
        },
    },
    "metrics": {
        "summary": "Prometheus metrics, for the local token and for the tenant `operator`",
        "operation_id": "readMetrics",
        "response_class": Response,
        "responses": {
            200: {"description": "metrics", "content": {METRICS_TYPE: {"schema": {"type": "string"}}}},
            **_describe_refusals(401),
        },
        "openapi_extra": _SECURITY,
    },
    "manifest": {
        "summary": "What is served: labels, parameters, limits, what is hidden and what not; signed",
        "operation_id": "getManifest",
        "response_model": wire.SignedManifest,
        "responses": _describe_refusals(401, 429, 503),
        "openapi_extra": _SECURITY,
    },
    "extractor": {
        "summary": "A file of the extractor, which the manifest names with its digest",
        "operation_id": "getExtractorFile",
        "response_class": Response,
        "responses": {
            200: {"description": "the file", "content": _BINARY},
            **_describe_refusals(401, 404, 409, 422, 429, 503),
        },
        "openapi_extra": _SECURITY,
    },
    "open": {
        "summary": "Upload evaluation keys, once: a bundle of one blob",
        "operation_id": "openSession",
        "status_code": 201,
        "response_model": wire.SessionOpened,
        "responses": {
            201: {"description": "the session", "headers": _REPLY_DIGEST},
            **_describe_refusals(*_BODY),
        },
        "openapi_extra": _UPLOAD,
    },
    "classify": {
        "summary": "Encrypted features in, encrypted logits out: bundles in the same order",
        "operation_id": "classify",
        "response_class": Response,
        "responses": {
            200: {"description": "a bundle", "content": _BINARY, "headers": _REPLY_DIGEST},
            **_describe_refusals(*_BODY),
        },
        "openapi_extra": _UPLOAD,
    },
    "close": {
        "summary": "Forget a session and its keys",
        "operation_id": "closeSession",
        "status_code": 204,
        "responses": _describe_refusals(401, 404, 422, 429, 503),
        "openapi_extra": _SECURITY,
    },
}


def describe_app(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of an application with these routes, with its security scheme."""
    about: dict[str, Any] = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": "/", "description": "the server that sent this description"}],
    )
    about["components"]["securitySchemes"] = _SECURITY_SCHEMES
    return about


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
