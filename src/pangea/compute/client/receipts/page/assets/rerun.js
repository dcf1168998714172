// What this page has beside the receipt: the module, and what calls were given; and how these are compared with what was signed.

const about = () => JSON.parse(document.getElementById("about").textContent);

// A part of the page: base64 of gzip.
async function partOf(id) {
  const packed = new Blob([fromBase64(document.getElementById(id).textContent)]);
  const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A file of a zip archive, by the archive's directory at its end; null if there is none.
async function unzipped(archive, name) {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.length);
  let end = archive.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error("the job's archive has no directory");
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left; left--) {
    const [kind, size, length] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true), view.getUint16(at + 28, true)];
    const file = view.getUint32(at + 42, true);
    if (new TextDecoder().decode(archive.subarray(at + 46, at + 46 + length)) === name) {
      const start = file + 30 + view.getUint16(file + 26, true) + view.getUint16(file + 28, true);
      const bytes = archive.slice(start, start + size);
      if (kind === 0) return bytes;
      return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer());
    }
    at += 46 + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return null;
}

// The job's module, its hash checked, and what it says of itself if it is a Python job's archive.
async function jobOf({ job }) {
  const module = await partOf("module");
  if (hexOf(await sha256(module)) !== job.module) throw new Error("this page's module isn't the job's");
  const described = module[0] === 0x50 ? JSON.parse(new TextDecoder().decode(await unzipped(module, "job.json"))) : null;
  return { module, described, hasOwnExecute: Boolean(described && (described.kernels || described.gpu)) };
}

// What a call of a function is instantiated from. Each hash is checked on the way from the receipt to the module.
async function guestOf({ job }, { module, described, hasOwnExecute }, called, onWait) {
  if (!described) return { module, code: NONE, hasMeter: false };
  if (called === "execute" && described.gpu) throw new Undecided("execute is a shader, which this page doesn't run");
  if (called === "execute" && hasOwnExecute) {
    const kernel = await unzipped(module, "execute.wasm");
    if (hexOf(await sha256(kernel)) !== described.kernels.execute) throw new Error("the kernel isn't the one that the archive names");
    return { module: kernel, code: NONE, hasMeter: false };
  }
  if (described.runtime !== job.runtime) throw new Error("the job's archive names another Python than the receipt");
  onWait("unpacking Python");
  const python = await partOf("runtime");
  if (hexOf(await sha256(python)) !== job.runtime) throw new Error("this page's Python isn't the receipt's");
  return { module: python, code: module, hasMeter: true };
}

// A worker that has a function's module, compiled.
class Engine {
  constructor(guest, limits) {
    this.options = { code: guest.code, hasMeter: guest.hasMeter, fuel: BigInt(limits.fuel) };
    const code = document.getElementById("code").textContent;
    this.worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  }
  ask(message) {
    return new Promise((resolve, reject) => {
      this.worker.onerror = (event) => reject(new Undecided(event.message || "the browser's worker failed"));
      this.worker.onmessage = ({ data }) => {
        if (data.error === undefined) resolve(data);
        else reject(data.isUndecided ? new Undecided(data.error) : new Error(data.error));
      };
      this.worker.postMessage(message);
    });
  }
  run(called, body) { return this.ask({ options: this.options, called, body }); }
}

// WebAssembly leaves the sign and the payload of a NaN to the engine; Wasmtime makes all of them positive. As it would:
function withPositiveNans(body, size) {
  const changed = body.slice(), last = size - 1;
  for (let at = last; at < changed.length; at++) {
    const isNan = size === 8 ? changed[at - 1] === 0xf8 : changed[at - 1] === 0xc0;
    if (changed[at] === 0xff && isNan && changed.subarray(at - last, at - 1).every((byte) => byte === 0)) changed[at] = 0x7f;
  }
  return changed;
}

const leafOf = async (start, body) => sha256(joined(utf8("pangea leaf 1"), number(start), NONE, await sha256(body)));

// What the record of a call must name, were these the bodies of its packs.
async function outputOf(receipt, record, bodies) {
  if (record.called === "split") return sha256(joinBytes([frameHeader(Number(record.count)), ...bodies]));
  if (record === receipt.tree.record) return sha256(bodies[0].subarray(4));
  return merkleRoot(await Promise.all(packsOf(record).map(([first], at) => leafOf(record.start + first, bodies[at]))));
}

// First item (of the call) and count of each pack.
function packsOf(record) {
  const counts = record.called === "split" ? Array(Number(record.count)).fill(1n) : record.packs.length ? record.packs : [record.count];
  let first = 0n;
  return counts.map((count) => { first += count; return [first - count, count]; });
}

// The bodies that packs of a call are given, once their hash is the one that the worker signed.
async function inputsOf(record, place, calls) {
  const frame = calls.subarray(place.start, place.start + place.size);
  if (!isEqual(await sha256(frame), record.input)) throw new Error("what this page says the call was given isn't what its worker signed");
  const entries = entriesOf(frame.subarray(4));
  if (record.called === "merge") return [frame.subarray(4)];
  if (BigInt(entries.length) !== record.count) throw new Error(`it was given ${entries.length} items, not ${record.count}`);
  return packsOf(record).map(([first, count]) => joinBytes(entries.slice(Number(first), Number(first + count))));
}

// Whether bytes are what was signed: "equal", "nan" (but for the sign of NaNs) or "differs". `isRight` compares.
async function compared(bodies, isRight) {
  if (await isRight(bodies)) return "equal";
  for (const size of [8, 4]) if (await isRight(bodies.map((body) => withPositiveNans(body, size)))) return "nan";
  return "differs";
}

// Execute one pack of a call again, or all of them, each in a fresh instance.
async function rerun(receipt, record, which, { engine, place, calls }, onPack) {
  const bodies = await inputsOf(record, place, calls), leaves = place.leaves ? place.leaves.map(fromHex) : null;
  if (leaves && !isEqual(await merkleRoot(leaves), record.output)) throw new Error("this page's paths to the packs don't lead to the root that the worker signed");
  const found = [], isAll = which === null || (!leaves && bodies.length > 1);
  for (const [at, body] of bodies.entries()) {
    if (!isAll && at !== which) continue;
    onPack(at, bodies.length);
    found.push(await engine.run(record.called, body));
  }
  const first = record.start + packsOf(record)[isAll ? 0 : which][0];
  const isRight = async (given) => isAll || !leaves
    ? isEqual(await outputOf(receipt, record, given), record.output)
    : isEqual(await leafOf(first, given[0]), leaves[which]);
  const fuel = isAll || bodies.length === 1 ? found.reduce((sum, each) => sum + each.fuel, 0n) : null;
  return {
    verdict: await compared(found.map((each) => each.body), isRight), packs: found.length, of: bodies.length,
    seconds: found.reduce((sum, each) => sum + each.seconds, 0), fuel: engine.options.hasMeter ? fuel : null,
    bytes: found.reduce((sum, each) => sum + each.body.length, 0),
  };
}
