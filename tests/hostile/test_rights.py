"""A hash is a name, not a right: to whom content or a job doesn't belong, it doesn't exist, whichever method is asked."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.serving.server import serve_unix
from pangea.compute.node.config import NodeConfig
from tests.desk import SECONDS, Desk, desk, job, named, send
from tests.examples import spread
from tests.guests import SHIFT, module

SECRET = os.urandom(300_000)
MODULE = module(SHIFT)  # content of another's, too; its result is content that nobody has sent
Ask = Callable[[Any, str, str, int], Awaitable[Any]]


def submit(service: Any, job_id: str, *, module: tuple[str, int] | None = None, content: tuple[str, int] | None = None) -> Any:
    """A job whose module or input is only named."""
    request = service.submitJob_request()
    manifest = request.manifest
    manifest.jobId = job_id
    if module is None:
        manifest.wasmModule = MODULE
    else:
        manifest.wasmModuleContent.sha256, manifest.wasmModuleContent.size = module
    if content is not None:
        manifest.init("inputContents", 1)[0].sha256, manifest.inputContents[0].size = content
    return request.send()


class Deaf(rpc.SCHEMA.Watcher.Server):  # type: ignore[misc]  # made at run time, from the schema
    async def changed(self, **_: Any) -> None:
        raise AssertionError("a stranger is pushed news")


#: How a stranger may ask each method for what is named: a job's id, or content's SHA-256 and size.
ASKS: dict[str, list[Ask]] = {
    "submitJob": [
        lambda service, _job, name, size: submit(service, str(uuid.uuid4()), content=(name, size)),
        lambda service, _job, name, size: submit(service, str(uuid.uuid4()), module=(name, size)),
    ],
    "getJobStatus": [lambda service, job, _name, _size: service.getJobStatus(job)],
    "getJobResult": [lambda service, job, _name, _size: service.getJobResult(job, 10)],
    "cancelJob": [lambda service, job, _name, _size: service.cancelJob(job)],
    "delegateTask": [lambda service, _job, _name, _size: service.delegateTask_request().send()],
    "returnTaskResult": [lambda service, _job, _name, _size: service.returnTaskResult_request().send()],
    "upload": [lambda service, _job, name, size: service.upload(name, size)],
    "getOutcome": [lambda service, job, _name, _size: service.getOutcome(job, 10)],
    "readResult": [lambda service, job, _name, _size: service.readResult(job, 0, 100)],
    "readPrints": [lambda service, job, _name, _size: service.readPrints(job, 0, 10)],
    "watchJob": [lambda service, job, _name, _size: service.watchJob(job, Deaf())],
    "listJobs": [lambda service, job, _name, _size: service.listJobs(job[:8], 10)],
    "explainJob": [lambda service, job, _name, _size: service.explainJob(job)],
    "rerunJob": [lambda service, job, _name, _size: service.rerunJob(job)],
    "tellPeer": [lambda service, job, _name, _size: service.tellPeer(json.dumps({"kind": "lease", "jobs": [job]}))],
    "fetchContent": [lambda service, _job, name, _size: service.fetchContent(bytes.fromhex(name), 0, 100)],
    "readReceipt": [lambda service, job, _name, _size: service.readReceipt(job, 0, 100)],
    "getJobTree": [lambda service, job, _name, _size: service.getJobTree(job)],
}
#: These name neither a job nor content.
OTHERS = {
    "getComputeCapacity",
    "getNodeInfo",
    "attachPeer",
    "listPeers",
    "banPeer",
    "unbanPeer",
    "pauseLending",
    "resumeLending",
    "cosignLog",
}


@asynccontextmanager
async def strangers(folder: Path, engine: Engine) -> AsyncIterator[tuple[Desk, Any]]:
    """A node with one owner's job, and what a stranger who may submit jobs calls over the wire."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(rpc.event_loop())
        config = NodeConfig(data_dir=folder, stop_seconds=0.0)
        on = await stack.enter_async_context(desk(folder, engine, config))
        path = folder / "other.sock"
        troubles: list[BaseException] = []
        await stack.enter_async_context(serve_unix(path, lambda _caller: on.caller("uid:2"), WireLimits(), troubles.append))
        stream = await rpc.connect_unix(str(path), message_bytes_max=8 << 20)
        stack.callback(stream.close)
        yield on, stream.service
        assert not troubles


async def said(ask: Ask, service: Any, job_id: str, name: str, size: int) -> str:
    """The whole answer, with what was asked for replaced: so answers to different questions can be compared."""
    answer = (await asyncio.wait_for(_awaited(ask(service, job_id, name, size)), SECONDS)).to_dict()
    capability = answer.pop("upload", None)
    if capability is not None:
        answer["upload"] = "given"
    text = repr(answer)
    for what, which in ((job_id, "JOB"), (job_id[:8], "PREFIX"), (name, "NAME"), (f"{size:,}", "SIZE")):
        text = text.replace(what, which)
    return text


async def _awaited(promise: Any) -> Any:
    return await promise


def test_every_method_of_the_schema_is_either_asked_here_or_names_nothing() -> None:
    assert ASKS.keys() | OTHERS == set(rpc.SCHEMA.ComputeService.schema.methods)
    assert not ASKS.keys() & OTHERS


@pytest.mark.parametrize("method", spread(6, ASKS))
def test_what_is_another_s_is_as_if_it_weren_t_there(tmp_path: Path, engine: Engine, method: str) -> None:
    """The right job id, the right hashes of an input, a module and a result: each answer is that to what doesn't exist."""

    async def scene() -> None:
        async with strangers(tmp_path, engine) as (on, service):
            assert await send(on.me, MODULE)
            assert await send(on.me, SECRET)
            manifest = named(SECRET)
            content = type(manifest.module)(sha256=sha256(MODULE).hexdigest(), size=len(MODULE))
            mine = await on.me.submit(type(manifest)(module=content, inputs=manifest.inputs, options=manifest.options))
            assert (await on.done(mine)).size == len(SECRET) - 1
            for what in (SECRET, SECRET[1:], MODULE):
                name, size = sha256(what).hexdigest(), len(what)
                assert on.node.blobs.has(name) or size < 65_537, "it is on the node's disk"
                for ask in ASKS[method]:
                    right = await said(ask, service, mine, name, size)
                    nothing = await said(ask, service, str(uuid.uuid4()), os.urandom(32).hex(), size)
                    assert right == nothing

    asyncio.run(scene())


def test_who_sends_what_is_there_already_sends_all_of_it_and_has_it_then(tmp_path: Path, engine: Engine) -> None:
    async def scene() -> None:
        async with strangers(tmp_path, engine) as (on, _service):
            assert await send(on.me, SECRET)
            free = on.node.blobs.total_bytes
            assert await send(on.other, SECRET)  # every byte, and it counts as if nobody had it
            assert on.node.admission.quotas.bytes_of("uid:2") == len(SECRET)
            assert on.node.blobs.total_bytes == free
            ended = await on.other.outcome(await on.other.submit(named(SECRET)), SECONDS)
            assert ended.data == SECRET
            assert not await send(on.me, SECRET)  # it is the first one's still

    asyncio.run(scene())


def test_an_owner_s_content_stays_its_own_as_long_as_a_job_of_it_is_kept(tmp_path: Path, engine: Engine) -> None:
    async def scene() -> None:
        async with strangers(tmp_path, engine) as (on, _service):
            assert await send(on.me, SECRET)
            first = await on.me.submit(named(SECRET))
            await on.done(first)
            assert not await send(on.me, SECRET)
            on.node.admission.shelf.expire(float("inf"))
            again = await on.me.submit(named(SECRET))
            await on.done(again)
            for each in (first, again):
                known = on.node.book.get(each)
                assert known is not None
                on.node.book.remove(known)
            assert not on.node.admission.may_name("uid:1", sha256(SECRET).hexdigest())
            assert await send(on.me, SECRET)

    asyncio.run(scene())


def test_bringing_it_along_is_no_naming(tmp_path: Path, engine: Engine) -> None:
    """The same bytes inside a job of one's own: nothing tells whether the node had them."""

    async def scene() -> None:
        async with strangers(tmp_path, engine) as (on, _service):
            assert await send(on.me, SECRET)
            ended = await on.other.outcome(await on.other.submit(job(SECRET)), SECONDS)
            assert ended.data == SECRET

    asyncio.run(scene())
