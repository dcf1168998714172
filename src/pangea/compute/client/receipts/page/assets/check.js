// A receipt, read as strictly as `pangea verify` reads it, and all that can be checked of it without executing anything.

const NONE = new Uint8Array();
const SORTS = { custom: 1, fixed_size: 1, row_based: 1, line_based: 1, record_based: 1, npy_rows: 1, arrow_batches: 1, adaptive: 1 };
const LIMITS = ["fuel", "memory", "time", "module", "compile_time", "compile_memory", "chunk", "result", "items"];

function readOptions(value) {
  const fields = new Fields(value, "job.options");
  const limits = new Fields(fields.take("limits"), "job.options.limits");
  const found = { limits: Object.fromEntries(LIMITS.map((name) => [name, limits.amount(name)])) };
  limits.end();
  fields.of("splitStrategy", (each) => Object.hasOwn(SORTS, each), "a strategy");
  for (const name of ["minChunkSize", "maxChunkSize", "chunksPerPack"]) fields.whole(name);
  fields.flag("associativeMerge");
  fields.data("delimiter");
  fields.end();
  if (!/^[0-9]+$/.test(found.limits.fuel)) throw new Unreadable("job.options.limits.fuel must be a whole number");
  return found;
}

function readJob(value) {
  const fields = new Fields(value, "job");
  const result = new Fields(fields.take("result"), "job.result");
  const raw = new Map(value);
  const job = { canonical: "", raw };
  for (const name of ["id", "owner", "name", "runtime", "meter", "nonce"]) job[name] = fields.text(name);
  job.module = hexOf(fields.digest("module"));
  job.specSignature = fields.data("specSignature");
  job.order = fields.has("order") ? readOrder(fields.take("order")) : null;
  job.inputs = fields.items("inputs").map((each, at) => {
    const input = new Fields(each, `job.inputs[${at}]`);
    if (input.has("path")) input.text("path");
    const found = { sha256: input.digest("sha256"), size: input.whole("size") };
    input.end();
    return found;
  });
  job.options = readOptions(fields.take("options"));
  for (const name of ["segments", "chunks", "fuel"]) job[name] = fields.whole(name);
  job.resultHash = result.digest("sha256");
  job.resultSize = result.whole("size");
  result.end();
  readChecking(fields.take("verification"), job);
  fields.end();
  raw.set("inputs", raw.get("inputs").map((each) => { const bare = new Map(each); bare.delete("path"); return bare; }));
  job.canonical = canonical(raw);
  return job;
}

function readOrder(value) {
  const fields = new Fields(value, "job's order");
  const order = { client: fields.text("client"), id: fields.text("jobId"), isEarly: fields.flag("associative"), signature: fields.data("signature") };
  fields.end();
  return order;
}

function readChecking(value, job) {
  const fields = new Fields(value, "job.verification");
  job.mode = fields.text("mode");
  job.target = fields.share("target");
  job.reached = fields.left.get("reached") === null ? fields.take("reached") : fields.share("reached");
  fields.whole("executions");
  fields.whole("audits");
  fields.end();
}

async function hashOfInputs(job) {
  return hexOf(await sha256(joined(utf8("pangea inputs 1"), ...job.inputs.flatMap((each) => [each.sha256, number(each.size)]))));
}

// What the owner has signed before the job ran.
async function specOf(job) {
  const names = ["id", "owner", "nonce", "module", "runtime", "meter", "options", ...(job.order ? ["order"] : [])];
  const record = new Map(names.map((name) => [name, job.raw.get(name)]));
  return joined(utf8("pangea job spec 1"), utf8(canonical(record.set("inputs", await hashOfInputs(job)))));
}

// What the client has signed before that: the owner may only take back that results may be merged early.
async function isOrdered(job) {
  const { order } = job, options = job.raw.get("options");
  if (options.get("associativeMerge") && !order.isEarly) return false;
  const said = new Map(options).set("associativeMerge", order.isEarly);
  const record = new Map(Object.entries({
    client: order.client, job: order.id, node: job.owner, module: job.module, inputs: await hashOfInputs(job), options: said,
  }));
  return isSignedBy(order.client, joined(utf8("pangea order 1"), utf8(canonical(record))), order.signature);
}

class Reader {
  constructor(job, workers) {
    if (!workers.every(isText)) throw new Unreadable("workers must be peer ids");
    Object.assign(this, { job, workers, used: new Set() });
  }
  node(value, where, depth) {
    if (depth > 32) throw new Unreadable("its tree has more than 32 levels");
    const fields = new Fields(value, where);
    if (!fields.has("children")) return { record: this.record(fields, "execute"), children: [] };
    const children = fields.items("children").map((each, at) => this.node(each, `${where}.children[${at}]`, depth + 1));
    if (depth === 0 && !fields.has("task")) { fields.end(); return { record: null, children }; }
    return { record: this.record(fields, "merge"), children };
  }
  record(fields, called) {
    const { job } = this, worker = fields.whole("worker");
    if (worker >= BigInt(this.workers.length)) throw new Unreadable(`a record is of worker ${worker}, and there are ${this.workers.length}`);
    this.used.add(worker);
    const name = fields.text("task");
    const record = {
      name, task: `${job.id}:${name}`, called, start: fields.whole("start"), count: fields.whole("count"),
      packs: fields.counts("packs"), input: fields.digest("input"), output: fields.digest("output"), fuel: fields.whole("fuel"),
      worker: this.workers[Number(worker)], signature: fields.data("signature"),
    };
    fields.end();
    return record;
  }
  end() {
    if (this.used.size !== this.workers.length || new Set(this.workers).size !== this.workers.length) {
      throw new Unreadable("its list of workers has one twice, or one without a record");
    }
  }
}

function* walk(node) {
  for (const child of node.children) yield* walk(child);
  yield node;
}

function readReceipt(text) {
  const fields = new Fields(parseJson(text), "it");
  if (!fields.has("pangeaReceipt") || fields.whole("pangeaReceipt") !== 2n) throw new Unreadable("it has another format than 2");
  const job = readJob(fields.take("job"));
  const reader = new Reader(job, fields.items("workers"));
  const receipt = {
    job,
    splits: fields.items("splits").map((each, at) => reader.record(new Fields(each, `splits[${at}]`), "split")),
    tree: reader.node(fields.take("tree"), "tree", 0),
    root: fields.digest("root"),
    signature: fields.data("signature"),
    module: fields.has("module") ? fields.data("module") : null,
  };
  fields.end();
  reader.end();
  receipt.nodes = [...walk(receipt.tree)].filter((node) => node.record);
  receipt.records = [...receipt.splits, ...receipt.nodes.map((node) => node.record)];
  receipt.executes = receipt.nodes.map((node) => node.record).filter((record) => record.called === "execute");
  return receipt;
}

async function statementOf(record, job, spec) {
  return joined(
    utf8("pangea record 3"), utf8(job.id), utf8(job.owner), utf8(record.task), utf8(record.called), utf8(job.module), utf8(job.runtime),
    spec, number(record.start), number(record.count), joined(...record.packs.map(number)), record.input, record.output,
    number(record.fuel), utf8(record.worker), NONE);
}

async function nodeHash(node) {
  const below = await merkleRoot(await Promise.all(node.children.map(nodeHash)));
  return sha256(joined(utf8("pangea node 1"), node.record ? node.record.hash : NONE, below));
}

// The checks, by the name that the page shows: each gives [where, what] for all that is wrong.
const CHECKS = {
  "Every worker signed its records": async function* ({ records, job }, spec, onDone) {
    for (let at = 0; at < records.length; at += 256) {
      const some = records.slice(at, at + 256);
      const right = await Promise.all(some.map(async (record) => {
        const statement = await statementOf(record, job, spec);
        record.hash = await sha256(joined(utf8("pangea signed record 1"), statement, record.signature));
        return isSignedBy(record.worker, statement, record.signature);
      }));
      for (const [place, record] of some.entries()) if (!right[place]) yield [record.task, `worker ${record.worker} didn't sign this`];
      onDone(Math.min(at + 256, records.length), records.length);
    }
  },
  "The owner signed the job's spec, and its client the order": async function* ({ job }, spec, onDone, statement) {
    if (!await isSignedBy(job.owner, statement, job.specSignature)) yield ["spec", `the owner ${job.owner} didn't sign such a job spec`];
    if (job.order && !await isOrdered(job)) yield ["order", `the client ${job.order.client} didn't order such a job`];
  },
  "All records hang together under the root": async function* (receipt) {
    const splits = await merkleRoot(receipt.splits.map((record) => record.hash));
    const root = await sha256(joined(utf8("pangea tree 1"), splits, await nodeHash(receipt.tree)));
    if (!isEqual(root, receipt.root)) yield ["root", "the records are not those that the root names"];
  },
  "The owner signed the job, its result and the root": async function* (receipt) {
    const statement = joined(utf8("pangea receipt 1"), utf8(receipt.job.canonical), receipt.root);
    if (!await isSignedBy(receipt.job.owner, statement, receipt.signature)) yield ["signature", `the owner ${receipt.job.owner} didn't sign this`];
    if (receipt.module && hexOf(await sha256(receipt.module)) !== receipt.job.module) yield ["module", `the bytes in the receipt don't have the hash ${receipt.job.module}`];
  },
  "Every segment and chunk is there once, in order": async function* ({ job, splits, executes, records }) {
    const seen = new Set();
    for (const { task } of records) {
      if (seen.has(task)) yield [task, "it stands twice in the receipt"];
      seen.add(task);
    }
    if (splits.length) yield* covered(splits, `${job.id}:s`, job.segments, "segment", "split");
    else if (job.segments !== job.chunks) yield ["splits", `without split each segment is a chunk, but ${job.segments} segments gave ${job.chunks} chunks`];
    yield* covered(executes, `${job.id}:`, job.chunks, "chunk", "execute");
  },
  "Every result was merged once": async function* (receipt) {
    for (const node of receipt.nodes) yield* wrongMerge(node, receipt);
  },
  "The result is what the last call gave": async function* ({ job, tree }) {
    if (tree.record && !isEqual(tree.record.output, job.resultHash)) {
      yield [tree.record.task, `the last merge gave ${hexOf(tree.record.output)}; the result is ${hexOf(job.resultHash)}`];
    }
    if (!tree.record && !tree.children.length && (job.resultSize || !isEqual(job.resultHash, await sha256(NONE)))) {
      yield ["result", "a job without chunks and merge has an empty result"];
    }
  },
  "The bill is the sum of the fuel": async function* ({ job, records }) {
    const total = records.reduce((sum, record) => sum + record.fuel, 0n), limit = BigInt(job.options.limits.fuel);
    if (total !== job.fuel) yield ["fuel", `the records come to ${total}; the job says ${job.fuel}`];
    if (!limit) yield ["options", "limits.fuel is 0: it must be what the workers had"];
    for (const { task, fuel, count } of records) {
      if (fuel > limit * count) yield [task, `${fuel} units of fuel for ${count} calls; a call has ${limit} at most`];
    }
  },
};

function* covered(records, prefix, total, noun, called) {
  let at = 0n;
  for (const record of records) {
    if (record.count < 1n || record.task !== `${prefix}${record.start}`) yield [record.task, `a task of ${record.count} ${noun}s from ${record.start} is none of ${called}`];
    if (record.start !== at) yield [record.task, `it begins at ${noun} ${record.start}; the one before it ends at ${at}`];
    at = record.start + record.count;
  }
  if (at !== total) yield [`${called} records`, `they end at ${noun} ${at}; the job has ${total}`];
}

function* wrongMerge(node, { job, tree }) {
  const { record } = node, isLast = node === tree;
  if (record.called === "execute") {
    if (isLast) yield [record.task, "an execution has a merge or a concatenation above"];
    return;
  }
  const name = isLast ? /^merge$/ : new RegExp(`^m[0-9]{1,9}\\.${record.start}$`);
  if (record.count !== 1n || !name.test(record.name) || (isLast && record.start !== 0n)) {
    yield [record.task, `number ${record.start} of ${record.count} is none of a merge at this place`];
  }
  if (!node.children.length && !(isLast && job.chunks === 0n)) yield [record.task, "it merged nothing"];
}

// Check a receipt; tells `onCheck(name, findings)` after each check. The findings of all.
async function checkReceipt(receipt, onCheck = () => {}, onDone = () => {}) {
  const statement = await specOf(receipt.job), spec = await sha256(statement), all = [];
  for (const [name, check] of Object.entries(CHECKS)) {
    const findings = [];
    for await (const finding of check(receipt, spec, onDone, statement)) findings.push(finding);
    onCheck(name, findings);
    all.push(...findings);
  }
  return all;
}
