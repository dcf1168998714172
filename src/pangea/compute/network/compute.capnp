@0xb7a1c5d2e3f40918;
# Distributed compute: the wire contract of the mission. Field names, ordinals and method ordinals
# up to the "additions" marks are fixed: a client written against the original schema must keep
# working. Additions take the next free ordinals and have safe defaults.

struct ComputeJobManifest {
    jobId @0 :Text;
    wasmModule @1 :Data;
    inputData @2 :Data;
    splitStrategy @3 :Text;
    minChunkSize @4 :UInt64;
    maxChunkSize @5 :UInt64;
    verificationMode @6 :Text;
    timeoutSecs @7 :UInt32;
    retryCount @8 :UInt32;
    priority @9 :Text;
    redundancy @10 :UInt32;
    # Additions. Left out (0, empty, null), each means its default.
    name @11 :Text;
    wasmModuleContent @12 :Content;    # in place of wasmModule
    inputContents @13 :List(Content);  # in place of inputData
    delimiter @14 :Data;
    locality @15 :Text;
    confidence @16 :Float64;
    associativeMerge @17 :Bool;
    operationType @18 :Text;
    estimatedFlops @19 :Float64;
    limits @20 :Text;                  # JSON object of model.limits.Limits
    timeoutMs @21 :UInt64;             # in place of timeoutSecs, when finer
    retryCountIsSet @22 :Bool;         # retryCount 0 means none, not the default
}

# Bytes that are here, or that the node has or was sent before (`upload`).
struct Content {
    data @0 :Data;
    sha256 @1 :Text;  # hex; empty: `data` is meant
    size @2 :UInt64;
}

struct ComputeTaskPacket {
    taskId @0 :Text;
    parentJobId @1 :Text;
    chunkIndex @2 :UInt32;
    chunkData @3 :Data;
    wasmModuleHash @4 :Text;
    delegationDepth @5 :UInt32;
    timeoutMs @6 :UInt32;
    # additions: expectedOutputHash, attempt, ancestors, budget, limits, function …
}

struct ComputeTaskResult {
    taskId @0 :Text;
    status @1 :Text;
    resultData @2 :Data;
    resultHash @3 :Text;
    merkleProof @4 :List(Text);
    executionTimeMs @5 :UInt64;
    workerId @6 :Text;
    # additions: attempt, fuelUsed, merkleRoot, signature, error code and message …
}

struct ComputeJobStatus {
    jobId @0 :Text;
    status @1 :Text;
    progress @2 :Float32;
    completedChunks @3 :UInt32;
    totalChunks @4 :UInt32;
    estimatedTimeRemaining @5 :UInt32;  # seconds; 0 while it isn't known (see timeRemainingIsKnown)

    # Additions.
    timeRemainingIsKnown @6 :Bool;
    detail @7 :Text;  # JSON of model.status.JobStatus
}

# What went wrong: codes and text, never a traceback of the node's own.
struct Failure {
    json @0 :Text;  # PangeaError.to_json; empty: nothing did
}

interface ComputeService {
    # Submit a new compute job
    submitJob @0 (manifest :ComputeJobManifest) -> (jobId :Text, success :Bool, errorMsg :Text, failure :Failure);

    # Get job status
    getJobStatus @1 (jobId :Text) -> (status :ComputeJobStatus, failure :Failure);

    # Get job result (blocks until complete or timeout)
    getJobResult @2 (jobId :Text, timeoutMs :UInt32) -> (result :Data, success :Bool, errorMsg :Text, failure :Failure);

    # Cancel a running job
    cancelJob @3 (jobId :Text) -> (success :Bool, failure :Failure);

    # Get node compute capacity
    getComputeCapacity @4 () -> (cpuCores :UInt32, ramMb :UInt64, currentLoad :Float32);

    # Delegate a task to this node (internal use)
    delegateTask @5 (task :ComputeTaskPacket) -> (accepted :Bool, estimatedTimeMs :UInt32);

    # Return task result to delegator (internal use)
    returnTaskResult @6 (result :ComputeTaskResult) -> (verified :Bool);

    # Additions.

    # Send content ahead of a job: blocks of at most 1 MiB, in order, several in flight. `isPresent`: the node has it already.
    upload @7 (sha256 :Text, size :UInt64) -> (upload :Upload, isPresent :Bool, failure :Failure);

    # How a job ended; waits up to timeoutMs. `data` is the whole result if `isInline`.
    getOutcome @8 (jobId :Text, timeoutMs :UInt32) -> (outcome :Text, data :Data, isInline :Bool, failure :Failure);

    # A block of a complete job's result: at most 1 MiB. Several may be in flight.
    readResult @9 (jobId :Text, offset :UInt64, count :UInt32) -> (data :Data, failure :Failure);

    # Have every change of a job's status pushed, at most ten times a second, the last one always. Returns when it has ended.
    watchJob @10 (jobId :Text, watcher :Watcher) -> (failure :Failure);

    # Own jobs, latest first. `prefix`: of the job id. JSON list of model.status.JobStatus.
    listJobs @11 (prefix :Text, limit :UInt32) -> (jobs :Text, failure :Failure);

    # Why a job is where it is: JSON.
    explainJob @12 (jobId :Text) -> (explanation :Text, failure :Failure);

    # Run an own job again, under a new id.
    rerunJob @13 (jobId :Text) -> (jobId :Text, failure :Failure);

    # JSON of model.status.NodeInfo.
    getNodeInfo @14 () -> (info :Text, failure :Failure);
}

interface Upload {
    write @0 (data :Data) -> (failure :Failure);
    # All blocks are sent: the node checks size and hash, and keeps the content.
    finish @1 () -> (failure :Failure);
}

interface Watcher {
    changed @0 (status :ComputeJobStatus) -> ();
}
