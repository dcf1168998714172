"""A client that knows the original schema only. In a process of its own: two schemas with one id don't live in one process.

Usage: original_client.py SCHEMA SOCKET JOB_ID: prints one JSON object a step.
       original_client.py SCHEMA SOCKET JOB_ID BYTES: submits so many and fetches the result; prints its size.
"""

import asyncio
import json
import sys
from typing import Any

import capnp


async def main(schema: str, socket: str, job_id: str) -> None:
    original: Any = capnp.load(schema)
    stream = await capnp.AsyncIoStream.create_unix_connection(socket)
    service = capnp.TwoPartyClient(stream).bootstrap().cast_as(original.ComputeService)
    request = service.submitJob_request()
    request.manifest.wasmModule, request.manifest.inputData, request.manifest.jobId = b"\0asm", b"data", job_id
    request.manifest.splitStrategy, request.manifest.timeoutSecs = "row_based", 7
    answer = await request.send()
    say(success=answer.success, jobId=str(answer.jobId))
    status = (await service.getJobStatus(job_id)).status
    say(status=str(status.status), progress=status.progress, total=status.totalChunks, left=status.estimatedTimeRemaining)
    late = await service.getJobResult(job_id, 50)
    say(success=late.success, errorMsg=str(late.errorMsg))
    done = await service.getJobResult(job_id, 20_000)
    say(success=done.success, result=bytes(done.result).decode())
    say(success=(await service.cancelJob(job_id)).success)
    capacity = await service.getComputeCapacity()
    accepted = (await service.delegateTask(original.ComputeTaskPacket.new_message())).accepted
    verified = (await service.returnTaskResult(original.ComputeTaskResult.new_message())).verified
    say(cores=capacity.cpuCores, accepted=accepted, verified=verified)
    unknown = await service.getJobResult("nothing", 0)
    say(success=unknown.success, errorMsg=str(unknown.errorMsg))
    stream.close()


async def large(schema: str, socket: str, job_id: str, size: str) -> None:
    original: Any = capnp.load(schema)
    stream = await capnp.AsyncIoStream.create_unix_connection(socket)
    service = capnp.TwoPartyClient(stream).bootstrap().cast_as(original.ComputeService)
    request = service.submitJob_request()
    request.manifest.wasmModule, request.manifest.inputData, request.manifest.jobId = b"\0asm", bytes(int(size)), job_id
    answer = await request.send()
    say(success=answer.success, errorMsg=str(answer.errorMsg))
    done = await service.getJobResult(job_id, 20_000)
    say(success=done.success, errorMsg=str(done.errorMsg), size=len(done.result))
    stream.close()


def say(**values: object) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    asyncio.run(capnp.run(main(*sys.argv[1:]) if len(sys.argv) == 4 else large(*sys.argv[1:])))
