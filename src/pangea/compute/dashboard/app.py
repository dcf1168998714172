"""Pages and fragments over a node's answers: a thin Starlette application."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pangea.compute.dashboard.assets import asset
from pangea.compute.dashboard.donating import donating
from pangea.compute.dashboard.drawings import Drawings, rates_of
from pangea.compute.dashboard.guard import Guard
from pangea.compute.dashboard.jobs import job_row, job_view
from pangea.compute.dashboard.neighbourhood import neighbourhood
from pangea.compute.dashboard.overview import FEW, counters, overview
from pangea.compute.dashboard.paging import ROWS_MAX, Page, offset_in
from pangea.compute.dashboard.source import Source
from pangea.compute.dashboard.stream import Ticker
from pangea.compute.dashboard.tasks import done_tasks, explained_span, lines_of, open_tasks, span_at
from pangea.compute.model.errors import NotDoneError, PangeaError, PeerError, UnavailableError, UnknownJobError, UnknownTaskError
from pangea.compute.model.plain_text import plain
from pangea.compute.model.progress import JobState

#: By who asks: a browser for a whole page, htmx for regions, a notebook's widget.
_LAYOUTS: Final = {"true": "bare.html", "widget": "widget.html"}
_STATES: Final = tuple(state.value for state in JobState)
_STATUS: Final = ((UnknownJobError, 404), (UnknownTaskError, 404), (NotDoneError, 404), (UnavailableError, 503))


def application(source: Source, *, token: str = "", ticker: Ticker | None = None) -> Guard:
    """The pages of a node, as an ASGI application.

    Args:
        source: the node.
        token: what viewers must know; "": nothing, if they are on this machine.
        ticker: asks for counters; by default one that asks `source` twice a second.
    """
    pages = Pages(source, ticker or Ticker(lambda: _counters(source)))
    routes = [
        Route("/", pages.first),
        Route("/jobs", pages.jobs),
        Route("/jobs/{job_id}", pages.job),
        Route("/jobs/{job_id}/tasks", pages.tasks),
        Route("/jobs/{job_id}/task", pages.task),
        Route("/jobs/{job_id}/drawn/{what}", pages.drawing),
        Route("/jobs/{job_id}/rates", pages.rates),
        Route("/jobs/{job_id}/result", pages.result),
        Route("/jobs/{job_id}/result.png", pages.result_png),
        Route("/peers", pages.peers),
        Route("/others", pages.others),
        Route("/stream", pages.stream),
        Route("/assets/{name}", _asset),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(GZipMiddleware, minimum_size=2_000)],
        exception_handlers={PangeaError: pages.failed, 404: pages.missing},
    )
    return Guard(app, token=token)


async def _counters(source: Source) -> dict[str, Any]:
    return counters(await source.info())


class Pages:
    """One method for each address."""

    def __init__(self, source: Source, ticker: Ticker) -> None:
        """Pages of `source`."""
        self._source = source
        self._ticker = ticker
        self._drawings = Drawings(source)
        self._templates = Environment(
            loader=PackageLoader(__package__, "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def first(self, request: Request) -> Response:
        """Jobs by state, failures with their cause, what runs."""
        info = await self._source.info()
        failed = await self._source.jobs(state="failed", limit=FEW)
        running = await self._source.jobs(state="running", limit=FEW)
        return self._page(request, "overview.html", title="Overview", view=overview(info, failed, running, time.time()))

    async def jobs(self, request: Request) -> Response:
        """A list of jobs, in one state or in all."""
        state = request.query_params.get("state", "")
        state = state if state in _STATES else ""
        offset = offset_in(request.query_params.get("offset", ""))
        found = await self._source.jobs(state=state, offset=offset, limit=ROWS_MAX)
        page = Page(offset, len(found.jobs), found.total, f"{state} jobs".strip())
        rows = [job_row(status, time.time()) for status in found.jobs]
        title = f"{state.capitalize()} jobs" if state else "Jobs"
        return self._page(
            request, "jobs.html", title=title, rows=rows, page=page, state=state, states=_STATES, gone=found.forgotten
        )

    async def job(self, request: Request) -> Response:
        """One job."""
        job_id = request.path_params["job_id"]
        status = await self._source.status(job_id)
        facts = await self._source.facts(job_id)
        explained: Mapping[str, Any] = {} if status.state.is_final else await self._source.explain(job_id, limit=1)
        prints = await self._prints(job_id) if facts.report is None else ""
        counts = explained.get("counts") or {}
        view = job_view(facts, status, counts, await self._banned(), time.time(), prints=prints)
        has_drawings = bool(facts.trace.spans)
        return self._page(request, "job.html", title=f"Job {view.row.name}", view=view, has_drawings=has_drawings)

    async def tasks(self, request: Request) -> Response:
        """The tasks of a job: those that are done, or those that aren't."""
        job_id = request.path_params["job_id"]
        offset = offset_in(request.query_params.get("offset", ""))
        kind = "unfinished" if request.query_params.get("kind") == "unfinished" else "done"
        row = job_row(await self._source.status(job_id), time.time())
        if kind == "done":
            facts = await self._source.facts(job_id)
            rows, page = done_tasks(facts.trace, offset)
            context: dict[str, Any] = {"rows": rows, "page": page, "owner": facts.owner}
        else:
            opened, page = open_tasks(await self._source.explain(job_id, offset=offset, limit=ROWS_MAX), offset)
            context = {"rows": opened, "page": page, "owner": ""}
        return self._page(request, "tasks.html", title=f"Tasks of {row.name}", row=row, kind=kind, **context)

    async def task(self, request: Request) -> Response:
        """Why a task is where it is; of one that is done, what it did."""
        job_id, asked = request.path_params["job_id"], request.query_params
        row = job_row(await self._source.status(job_id), time.time())
        function, start = asked.get("function", ""), offset_in(asked.get("start", ""))
        name = asked.get("id", "")
        lines: tuple[str, ...] = ()
        if name:
            lines = lines_of(await self._source.explain(job_id, task=name[:200]))
        elif (span := span_at((facts := await self._source.facts(job_id)).trace, function, start)) is not None:
            lines = explained_span(span, facts.owner)
        title = name or f"{function} {start:,}"
        return self._page(request, "task.html", title=f"Task {title}"[:120], row=row, name=title, lines=lines)

    async def drawing(self, request: Request) -> Response:
        """A drawing of a job, as a fragment."""
        sheet = await self._drawings.sheet(request.path_params["job_id"], request.path_params["what"])
        return self._page(request, "drawing.html", title=sheet.alt, svg=_safe(sheet.svg(is_alone=False)))

    async def rates(self, request: Request) -> Response:
        """Chunks a second over a job's time, for its curve."""
        return JSONResponse(rates_of(await self._source.facts(request.path_params["job_id"])))

    async def result(self, request: Request) -> Response:
        """The result of a job: its picture, or why there is none; as a fragment."""
        job_id = request.path_params["job_id"]
        return self._page(request, "result.html", title="Result", job_id=job_id, shown=await self._drawings.of(job_id))

    async def result_png(self, request: Request) -> Response:
        """The picture itself."""
        shown = await self._drawings.of(request.path_params["job_id"])
        return Response(shown.png, media_type="image/png") if shown.png else PlainTextResponse(f"{shown.text}\n", 404)

    async def peers(self, request: Request) -> Response:
        """Who works for whom, what is thought of workers, who is shut out."""
        asked = {name: offset_in(request.query_params.get(name, "")) for name in ("offset", "trusted_offset", "bans_offset")}
        view = neighbourhood(await self._source.peers(), **asked)
        return self._page(request, "peers.html", title="Peers", view=view, asked=asked)

    async def others(self, request: Request) -> Response:
        """Whether the machine works for others, and what it has done for whom."""
        offset, lends = offset_in(request.query_params.get("offset", "")), (await self._source.info()).lends
        view = donating(await self._source.peers(), lends, offset)
        return self._page(request, "donating.html", title="For others", view=view)

    async def stream(self, request: Request) -> Response:
        """Counters as server-sent events."""
        after = offset_in(request.headers.get("last-event-id", "") or request.query_params.get("after", ""))
        return StreamingResponse(self._ticker.watch(after), media_type="text/event-stream")

    async def failed(self, request: Request, error: Exception) -> Response:
        """Why there is no page."""
        assert isinstance(error, PangeaError), "registered for those"
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 400)
        return self._page(request, "failed.html", status, title="Not shown", message=error.message, hint=error.hint or "")

    async def missing(self, request: Request, _error: Exception) -> Response:
        """There is no such address."""
        return self._page(request, "failed.html", 404, title="No such page", message="there is no such page", hint="")

    async def _prints(self, job_id: str) -> str:
        """What a job has printed so far; nothing, if its node is of a version that tells of that at the end only."""
        try:
            return await self._source.prints(job_id)
        except PangeaError:
            return ""

    async def _banned(self) -> list[Mapping[str, Any]]:
        """Who is shut out; nobody, if the node tells that to users of its own machine alone."""
        try:
            banned = (await self._source.peers()).get("banned")
        except PeerError:
            return []
        return banned if isinstance(banned, list) else []

    def _page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        layout = _LAYOUTS.get(request.headers.get("hx-request", ""), "layout.html")
        html = self._templates.get_template(template).render(layout=layout, path=request.url.path, **context)
        return HTMLResponse(html, status)


async def _asset(request: Request) -> Response:
    found = asset(request.path_params["name"])
    if found is None:
        return PlainTextResponse("there is no such file\n", 404)
    headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.data, media_type=found.kind, headers=headers)


def _safe(svg: str) -> Markup:
    """A drawing of ours: it escapes the text of others itself, but for what would turn letters around."""
    return Markup(plain(svg))  # noqa: S704


def _shown(value: Any) -> Any:
    """Others' text without control characters; `Markup` is ours."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
