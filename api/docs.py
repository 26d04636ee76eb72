"""`/docs`: the API reference, drawn from the OpenAPI document by a viewer that we serve."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent / "reference"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
HEADERS = {
    # The viewer sets styles of its own and draws its arrows from data: URLs.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
SERVED = {
    "/docs": "index.html",
    "/docs/reference.js": "reference.js",
    "/docs/reference.css": "reference.css",
    "/docs/vendor/swagger-ui-bundle.js": "vendor/swagger-ui-bundle.js",
    "/docs/vendor/swagger-ui.css": "vendor/swagger-ui.css",
}
"""Path to file: what is not named here is not served."""


async def _file(request: web.Request) -> web.FileResponse:
    path = FOLDER / SERVED[request.path.rstrip("/")]
    kind = {"Content-Type": f"{TYPES[path.suffix]}; charset=utf-8", "Cache-Control": "no-cache"}
    return web.FileResponse(path, headers={**HEADERS, **kind})


async def _to_docs(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/docs"})


ROUTES = [web.get(path, _file) for path in SERVED] + [web.get("/docs/", _to_docs)]
