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
    receipt @23 :Bool;                 # keep a receipt: a signed record of each call
    chunksPerPack @24 :UInt32;         # chunks executed one after the other in one sandbox instance; 1: each has its own
    clientId @25 :Text;                # peer id of whoever wants the job and has signed the order; empty: the node signs for it
    orderSignature @26 :Data;          # the client's (verification.ordering)
    traceParent @27 :Text;             # W3C traceparent of the client's span; empty: it has none
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
    # Additions.
    attempt @7 :UInt64;             # the delegator's number for this try: the answer quotes it
    count @8 :UInt32;               # chunks from chunkIndex on
    sizeBytes @9 :UInt64;
    function @10 :Text;             # "execute" or "merge"
    inputs @11 :List(Data);         # of a merge: digests of what is merged
    avoid @12 :List(Text);          # peer ids whose answer would not count
    commitFirst @13 :Bool;          # answer with a commitment, reveal when asked
    runs @14 :UInt32;               # leaves of the answer
    inputHash @15 :Data;            # SHA-256 of the framed list of chunks (chunkData, or to be fetched)
    inputBytes @16 :UInt64;
    expectedOutputHash @17 :Text;   # hex; empty: not known
    jobSpecHash @18 :Data;          # of the job's spec, as its owner signed it
    packs @19 :List(UInt32);        # chunks of each pack: a fresh sandbox instance each, a leaf of the answer each; empty: one
    only @20 :Text;                 # the peer id of the one worker that is asked once more; empty: anybody may execute it
}

# What is said once for all tasks of one delegateTask.
struct Delegation {
    spec @0 :Text;                  # JSON of model.packet.JobSpec
    name @1 :Text;
    limits @2 :Text;                # not used: limits are in the signed spec
    moduleBytes @3 :UInt64;         # the module is fetched by its hash, once per node
    depth @4 :UInt32;               # hops left
    fanOut @5 :UInt32;              # children that one node may use
    seconds @6 :Float64;            # until the job's deadline
    ancestors @7 :List(Text);       # peer ids from the owner down to the delegator
    signedSpec @8 :Data;            # canonical JSON of verification.signed_spec.SignedSpec; empty: this link has carried it
    specSignature @9 :Data;         # the owner's
    traceParent @10 :Text;          # W3C traceparent of the span, of the job, of the nearest node above that has one; empty: none has
}

struct ComputeTaskResult {
    taskId @0 :Text;
    status @1 :Text;
    resultData @2 :Data;
    resultHash @3 :Text;
    merkleProof @4 :List(Text);
    executionTimeMs @5 :UInt64;
    workerId @6 :Text;
    # Additions. `resultHash` is the SHA-256 of the framed list of results (resultData, or to be fetched), `merkleProof` the
    # hashes of the leaves, in hex.
    attempt @7 :UInt64;
    fuelUsed @8 :UInt64;
    merkleRoot @9 :Data;            # over the leaves: what is compared
    commitment @10 :Data;
    network @11 :Text;
    failure @12 :Text;              # a FailureKind; empty: none
    message @13 :Text;
    signature @14 :Data;            # the worker's
    resultBytes @15 :UInt64;
    seconds @16 :Float64;           # in the sandbox
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
    getComputeCapacity @4 () -> (cpuCores :UInt32, ramMb :UInt64, currentLoad :Float32, adapter :Text, adapterBytes :UInt64);

    # Delegate a task to this node (internal use)
    delegateTask @5 (task :ComputeTaskPacket, more :List(ComputeTaskPacket), delegation :Delegation)
        -> (accepted :Bool, estimatedTimeMs :UInt32, failure :Failure);

    # Return task result to delegator (internal use)
    returnTaskResult @6 (result :ComputeTaskResult, more :List(ComputeTaskResult)) -> (verified :Bool, failure :Failure);

    # Additions.

    # Send content ahead of a job: blocks of at most 1 MiB, in order, several in flight. `isPresent`: the node has it already.
    upload @7 (sha256 :Text, size :UInt64) -> (upload :Upload, isPresent :Bool, failure :Failure);

    # How a job ended; waits up to timeoutMs. `data` is the whole result if `isInline`. With `isNamed` a result that the node keeps
    # under its hash isn't sent: the outcome names it, and the next job may.
    getOutcome @8 (jobId :Text, timeoutMs :UInt32, isNamed :Bool) -> (outcome :Text, data :Data, isInline :Bool, failure :Failure);

    # A block of a complete job's result: at most 1 MiB. Several may be in flight.
    readResult @9 (jobId :Text, offset :UInt64, count :UInt32) -> (data :Data, failure :Failure);

    # Have every change of a job's status pushed, at most ten times a second, the last one always. Returns when it has ended.
    watchJob @10 (jobId :Text, watcher :Watcher) -> (failure :Failure);

    # Own jobs, latest first. `prefix`: of the job id. JSON list of model.status.JobStatus. `offset`: so many of them are passed
    # over; `state`: only those in it. `total`: how many there are in all pages together.
    listJobs @11 (prefix :Text, limit :UInt32, offset :UInt32, state :Text) -> (jobs :Text, failure :Failure, total :UInt32);

    # Why a job is where it is: JSON. Of its unfinished tasks `limit` are told (0: as many as the node tells at once), after `offset`
    # of them; with `task`, that one alone, finished or not.
    explainJob @12 (jobId :Text, offset :UInt32, limit :UInt32, task :Text) -> (explanation :Text, failure :Failure);

    # Run an own job again, under a new id.
    rerunJob @13 (jobId :Text) -> (jobId :Text, failure :Failure);

    # JSON of model.status.NodeInfo.
    getNodeInfo @14 () -> (info :Text, failure :Failure);

    # Peers (over TLS only). The caller offers its own service and asks to be taken as a child; from then on both ends serve on this
    # connection: tasks come down as delegateTask, answers go up as returnTaskResult. `hello` and `welcome` are JSON.
    attachPeer @15 (node :ComputeService, hello :Text) -> (welcome :Text, failure :Failure);

    # What else neighbours say to each other: JSON (whole numbers only), {"kind": "beat" | "lease" | "cancel" | "recall" | "reveal" | "shun" | "path", …}.
    tellPeer @16 (message :Text) -> (failure :Failure);

    # A block, of at most 1 MiB, of content that a message between neighbours named. `isComing`: it is still on its way to the node
    # itself; ask again.
    fetchContent @17 (sha256 :Data, offset :UInt64, count :UInt32) -> (data :Data, failure :Failure, isComing :Bool);

    # The node's neighbours and whom it has banned: JSON. For users of the node's own machine.
    listPeers @18 () -> (peers :Text, failure :Failure);

    # Ban a peer (reason in words), or lift its ban. For users of the node's own machine.
    banPeer @19 (peer :Text, reason :Text) -> (failure :Failure);
    unbanPeer @20 (peer :Text) -> (isChanged :Bool, failure :Failure);

    # A block of a complete job's receipt, of at most 1 MiB; `size` is the whole.
    readReceipt @21 (jobId :Text, offset :UInt64, count :UInt32) -> (data :Data, size :UInt64, failure :Failure);

    # Who did what for an own job: JSON.
    getJobTree @22 (jobId :Text) -> (tree :Text, failure :Failure);

    # Do nothing more for parents, for so many seconds (0: until it is resumed); own jobs go on. For users of the node's own machine.
    pauseLending @23 (seconds :Float64) -> (failure :Failure);
    resumeLending @24 () -> (isChanged :Bool, failure :Failure);

    # What an own job has printed, from character `offset` on; waits up to waitMs for some. `isEnded`: there is no more to come.
    readPrints @25 (jobId :Text, offset :UInt32, waitMs :UInt32) -> (prints :Text, isEnded :Bool, failure :Failure);

    # Neighbours: sign, as a witness, what the caller's own log of receipts is now. `growth` is the body of C2SP tlog-witness's
    # add-checkpoint (4 KiB at most); `cosignature` the line of a signed note. Empty: the proof doesn't begin at the `size` entries
    # that this node has signed last. What is wrong with it is the failure.
    cosignLog @26 (growth :Text) -> (cosignature :Text, size :UInt64, failure :Failure);
}

interface Upload {
    write @0 (data :Data) -> (failure :Failure);
    # All blocks are sent: the node checks size and hash, and keeps the content.
    finish @1 () -> (failure :Failure);
}

interface Watcher {
    changed @0 (status :ComputeJobStatus) -> ();
}
