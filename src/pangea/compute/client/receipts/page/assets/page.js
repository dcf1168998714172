// The page itself: what is shown, and what its buttons do. All text goes in as text.

const byId = (id) => document.getElementById(id);
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(2)} s`;
const grouped = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");
const MARKS = { yes: "✓", no: "✗", open: "?" };
const WORDS = { yes: "right", no: "wrong", open: "open" };

// A line of a list: a mark, a word for who doesn't see marks, text, and what is wrong beneath.
function line(list, verdict, text, wrong = []) {
  const item = document.createElement("li"), mark = document.createElement("span"), word = document.createElement("strong");
  item.dataset.verdict = verdict;
  mark.textContent = `${MARKS[verdict]} `;
  mark.setAttribute("aria-hidden", "true");
  word.textContent = `${WORDS[verdict]}: `;
  item.append(mark, word, text);
  if (wrong.length) {
    const inner = document.createElement("ul");
    for (const each of wrong.slice(0, 20)) inner.append(Object.assign(document.createElement("li"), { textContent: each }));
    if (wrong.length > 20) inner.append(Object.assign(document.createElement("li"), { textContent: `… and ${grouped(wrong.length - 20)} more` }));
    item.append(inner);
  }
  byId(list).append(item);
}

function say(id, text, verdict) {
  byId(id).textContent = text;
  if (verdict) byId(id).dataset.verdict = verdict;
}

function tell(receipt) {
  const { job } = receipt, reached = job.reached === null ? "nothing" : job.reached;
  const facts = {
    Job: job.id, Name: job.name, Owner: job.owner, "Ordered by": job.order ? job.order.client : "a client without a key: the owner has signed for it", Module: `SHA-256 ${job.module}`, Result: `${grouped(job.resultSize)} bytes, SHA-256 ${hexOf(job.resultHash)}`,
    Records: `${grouped(receipt.records.length)}, of ${grouped(new Set(receipt.records.map((each) => each.worker)).size)} workers`,
    Inputs: job.inputs.map((each) => `${grouped(each.size)} bytes, SHA-256 ${hexOf(each.sha256)}`).join("; "),
    Fuel: grouped(job.fuel), "The owner's word": `answers were checked by ${job.mode}, confidence reached ${reached}`,
  };
  for (const [name, text] of Object.entries(facts)) {
    byId("facts").append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: text }));
  }
}

async function checkAll() {
  const start = performance.now();
  try {
    const receipt = readReceipt(byId("receipt").textContent);
    tell(receipt);
    const onDone = (done, total) => say("verdict", `Checking signatures: ${grouped(done)} of ${grouped(total)} …`);
    const findings = await checkReceipt(receipt, (name, wrong) => {
      line("checks", wrong.length ? "no" : "yes", name, wrong.map(([where, what]) => `${where}: ${what}`));
    }, onDone);
    const how = hasOwnEd25519 ? "" : ", signatures by this page's own arithmetic, as this browser has no Ed25519";
    if (findings.length) say("verdict", `This receipt doesn't stand: ${grouped(findings.length)} wrong.`, "no");
    else say("verdict", `Signatures and hashes are all right. Whether the records are true, only running them again tells. (${seconds(start)}${how})`, "yes");
    return findings.length ? null : receipt;
  } catch (error) {
    line("checks", "no", `The receipt can't be read: ${error.message}`);
    say("verdict", "This receipt doesn't stand: it can't be read.", "no");
    return null;
  }
}

const NAMES = { split: "split of segments", execute: "execute of chunks", merge: "merge" };
const nameOf = (record) => record.called === "merge" ? (record.name === "merge" ? "the last merge" : `merge step ${record.name}`) : `${NAMES[record.called]} ${record.start} to ${record.start + record.count - 1n}`;
const engines = new Map();
let job = null, calls = null, isStopped = false;

async function engineFor(receipt, record, onWait) {
  onWait("unpacking the module");
  job ||= await jobOf(receipt);
  const kind = record.called === "execute" && job.hasOwnExecute ? "execute" : "other";
  if (!engines.has(kind)) {
    const start = performance.now(), guest = await guestOf(receipt, job, record.called, onWait);
    const engine = new Engine(guest, receipt.job.options.limits);
    onWait("compiling");
    await engine.ask({ module: guest.module, memory: Number(receipt.job.options.limits.memory) });
    engines.set(kind, engine);
    say("ready", `Module unpacked, its hash checked, and compiled in ${seconds(start)}.`);
  }
  return engines.get(kind);
}

// Run one call again and say what came out.
async function runOne(receipt, record, place, which) {
  const onWait = (what) => say("progress", `${nameOf(record)}: ${what} …`);
  try {
    const engine = await engineFor(receipt, record, onWait);
    calls ||= await partOf("calls");
    const found = await rerun(receipt, record, which, { engine, place, calls }, (at, of) => onWait(`running pack ${at + 1} of ${of}`));
    const what = `${nameOf(record)}, ${found.packs === found.of ? (found.of === 1 ? "its one pack" : `all ${found.of} packs`) : `pack ${which + 1} of ${found.of}`}`;
    const isPadded = found.fuel !== null && found.fuel !== record.fuel && found.verdict === "equal";
    const fuel = found.fuel === null ? "fuel not compared" : `fuel ${grouped(found.fuel)}${isPadded ? `, signed were ${grouped(record.fuel)}` : ""}`;
    const text = {
      equal: "gave the bytes that were signed", nan: "gave the bytes that were signed, but for the sign of NaNs, which WebAssembly leaves to the engine",
      differs: "gave other bytes than were signed",
    }[found.verdict];
    line("runs", found.verdict === "differs" || isPadded ? "no" : "yes", `${what} ${text} (${grouped(found.bytes)} bytes, ${found.seconds.toFixed(2)} s, ${fuel}); signed by ${record.worker}`);
  } catch (error) {
    if (!isStopped) line("runs", error instanceof Undecided ? "open" : "no", `${nameOf(record)}: ${error.message}`);
  }
}

function stop() {
  isStopped = true;
  for (const engine of engines.values()) engine.worker.terminate();
  engines.clear();
  say("progress", "Stopped.");
  busy(false);
}

function busy(isBusy) {
  for (const id of ["run", "run-call", "run-all"]) byId(id).disabled = isBusy;
  byId("stop").disabled = !isBusy;
}

function offer(receipt) {
  const { calls: places, missing } = about();
  const records = receipt === null ? [] : receipt.records.filter((record) => Object.hasOwn(places, record.name));
  if (!records.length) {
    say("offer", receipt === null ? "Nothing of a receipt that doesn't stand is run." : `Nothing can be run from this page: ${missing}.`);
    return;
  }
  say("offer", `${grouped(records.length)} of ${grouped(receipt.records.length)} calls can be run from this page${missing ? `: ${missing}` : ""}.`);
  const fill = (select, names) => select.replaceChildren(...names.map((name, at) => new Option(name, at)));
  const packs = () => {
    const record = records[byId("call").value], count = packsOf(record).length, hasLeaves = Boolean(places[record.name].leaves);
    const numbers = count === 1 || hasLeaves ? [...Array(count).keys()] : [];
    fill(byId("pack"), numbers.length ? numbers.map((at) => `${at + 1} of ${count}`) : ["all together"]);
  };
  fill(byId("call"), records.map(nameOf));
  byId("call").onchange = packs;
  packs();
  const start = async (some, which) => {
    isStopped = false;
    busy(true);
    for (const record of some) if (!isStopped) await runOne(receipt, record, places[record.name], which);
    if (!isStopped) { say("progress", "Done."); busy(false); }
  };
  byId("run").onclick = () => start([records[byId("call").value]], Number(byId("pack").value));
  byId("run-call").onclick = () => start([records[byId("call").value]], null);
  byId("run-all").onclick = () => start(records, null);
  byId("stop").onclick = stop;
  byId("again").hidden = false;
  busy(false);
}

async function start() {
  if (!globalThis.crypto || !crypto.subtle) {
    say("verdict", "Nothing is checked: the browser gives this page no cryptography. Open it as a file, or over https.", "open");
    return;
  }
  offer(await checkAll());
  document.body.dataset.state = "checked";
}

if (typeof document === "undefined") serve();
else start();
