// Calls executed again, in the browser's own WebAssembly engine. This part runs in a worker, so that the page stays alive.

class Undecided extends Error {}  // this browser couldn't: nothing is said about the receipt

function leb128(bytes, at) {
  for (let value = 0, shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

function toLeb128(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}

// The same module, but its memory can't grow beyond the job's limit: an engine outside a browser is told so at run time.
function withMemoryLimit(module, pagesMax) {
  for (let at = 8; at < module.length; ) {
    const [size, body] = leb128(module, at + 1);
    if (module[at] === 5) {
      const [count, flag] = leb128(module, body), flags = module[flag];
      const [least, end] = leb128(module, flag + 1);
      const [own] = flags & 1 ? leb128(module, end) : [65536];
      if (count !== 1 || flags > 1 || least > pagesMax) throw new Undecided("its memory is of a kind that this page can't limit");
      const limited = [...toLeb128(1), 1, ...toLeb128(least), ...toLeb128(Math.min(own, pagesMax))];
      return joinBytes([module.subarray(0, at), [5, ...toLeb128(limited.length)], limited, module.subarray(body + size)]);
    }
    at = body + size;
  }
  throw new Undecided("it has no memory of its own");
}

const frameHeader = (count) => { const bytes = new Uint8Array(4); new DataView(bytes.buffer).setUint32(0, count, true); return bytes; };

// The items of a framed list's body, each with its length before it.
function entriesOf(body) {
  const items = [], view = new DataView(body.buffer, body.byteOffset, body.length);
  for (let at = 0; at < body.length; ) {
    const end = at + 4 <= body.length ? at + 4 + view.getUint32(at, true) : Infinity;
    if (end > body.length) throw new Error("a list's lengths run past its end");
    items.push(body.subarray(at, end));
    at = end;
  }
  return items;
}

const countOf = (frame) => frame.length < 4 ? -1 : new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);

// One fresh instance, as docs/modules.md says.
class Guest {
  constructor(module, { code, fuel, hasMeter }) {
    try {
      this.exports = new WebAssembly.Instance(module, {}).exports;
    } catch (error) {
      if (error instanceof RangeError) throw new Undecided(`this browser has no memory for it: ${error.message}`);
      throw error;
    }
    this.hasMeter = hasMeter;
    this.refuel(fuel);
    if (this.exports._initialize) this.invoke("_initialize");
    if (code.length) this.call("init", code);
  }
  refuel(fuel) {
    this.filled = fuel < 2n ** 63n ? fuel : 2n ** 63n - 1n;
    if (this.hasMeter) this.exports.fuel.value = this.filled;
  }
  get used() { return this.hasMeter ? this.filled - this.exports.fuel.value : 0n; }
  bytes(at, size) { return new Uint8Array(this.exports.memory.buffer).subarray(at, at + size); }
  invoke(called, ...given) {
    try {
      return this.exports[called](...given);
    } catch (error) {
      if (error instanceof RangeError) throw new Undecided(`this browser's stack or memory doesn't suffice: ${error.message}`);
      if (this.hasMeter && this.exports.fuel.value < 0n) throw new Error("it used up its fuel");
      throw error;
    }
  }
  call(called, input) {
    const at = this.invoke("alloc", input.length) >>> 0;
    if (!at && input.length) throw new Error("it has no room for its input under the memory limit");
    this.bytes(at, input.length).set(input);
    const packed = this.invoke(called, at | 0, input.length | 0);
    if (packed === -1n) throw new Error(this.lastError());
    const size = Number(packed & 0xffffffffn), result = this.bytes(Number((packed >> 32n) & 0xffffffffn), size);
    if (result.length !== size) throw new Error("its result lies outside its memory");
    return result.slice();
  }
  lastError() {
    const packed = this.exports.last_error ? this.invoke("last_error") : -1n;
    return packed === -1n ? "it failed" : new TextDecoder().decode(this.bytes(Number((packed >> 32n) & 0xffffffffn), Number(packed & 0xffffffffn)));
  }
}

// One pack of a call in a fresh instance: the entries that it gave, and the fuel.
function runPack(module, options, called, entries) {
  const guest = new Guest(module, options);
  const fuel = called === "execute" ? options.fuel * BigInt(Math.max(1, entries.length)) : options.fuel;
  guest.refuel(fuel);
  if (!guest.exports[called]) throw new Error(`the module exports no function ${called}`);
  const asEntry = (result) => joinBytes([frameHeader(result.length), result]);
  const frame = () => joinBytes([frameHeader(entries.length), ...entries]);
  let given;
  if (called === "merge") given = [asEntry(guest.call("merge", frame()))];
  else if (called === "execute" && guest.exports.execute_many) {
    const list = guest.call("execute_many", frame());
    if (countOf(list) !== entries.length) throw new Error(`${countOf(list)} results for ${entries.length} chunks`);
    given = [list.subarray(4)];
  } else given = entries.map((entry) => asEntry(guest.call(called, entry.subarray(4))));
  return { body: joinBytes(given), fuel: guest.used };
}

// The worker's own part: it is told the module once, then packs.
function serve() {
  let module = null;
  self.onmessage = async ({ data }) => {
    const start = performance.now();
    try {
      if (data.module) {
        const pages = Math.floor(data.memory / 65536);
        module = await WebAssembly.compile(withMemoryLimit(data.module, pages));
        if (WebAssembly.Module.imports(module).length) throw new Undecided("it has imports");
        self.postMessage({ seconds: (performance.now() - start) / 1000 });
        return;
      }
      const found = runPack(module, data.options, data.called, entriesOf(data.body));
      self.postMessage({ ...found, seconds: (performance.now() - start) / 1000 });
    } catch (error) {
      self.postMessage({ error: String(error.message || error), isUndecided: error instanceof Undecided || error instanceof WebAssembly.CompileError });
    }
  };
}
