"use strict";
// Bytes, JSON and hashes, as docs/receipts.md ("The file") says. No request leaves this page: its policy allows none.

const encoder = new TextEncoder();
const utf8 = (text) => encoder.encode(text);

function joinBytes(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const fromHex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
const isEqual = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

function fromBase64(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  return bytes;
}

async function sha256(bytes) { return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)); }

// Fields, each behind its length in 8 bytes, little-endian.
function joined(...fields) {
  return joinBytes(fields.flatMap((field) => {
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(field.length), true);
    return [length, field];
  }));
}

// A whole number, little-endian and signed, in bits / 8 + 1 bytes.
function number(value) {
  const bytes = [];
  const size = Math.floor((value === 0n ? 0 : value.toString(2).length) / 8) + 1;
  for (let at = 0; at < size; at++) { bytes.push(Number(value & 255n)); value >>= 8n; }
  return Uint8Array.from(bytes);
}

// A Merkle tree (RFC 9162, 2.1): neighbours are hashed in pairs, an odd last one rises.
async function merkleRoot(leaves) {
  if (!leaves.length) return sha256(new Uint8Array());
  let level = await Promise.all(leaves.map((leaf) => sha256(joinBytes([[0], leaf]))));
  while (level.length > 1) {
    const pairs = [];
    for (let at = 0; at < level.length; at += 2) {
      pairs.push(at + 1 < level.length ? sha256(joinBytes([[1], level[at], level[at + 1]])) : level[at]);
    }
    level = await Promise.all(pairs);
  }
  return level[0];
}

class Unreadable extends Error {}

// A number of JSON as it is written: what is signed are its digits.
class Numeral { constructor(text) { this.text = text; } }

// JSON, strictly: objects as Maps, numbers as Numerals, no name twice.
function parseJson(text) {
  let at = 0;
  const fail = (what) => { throw new Unreadable(`it isn't JSON: ${what} at character ${at}`); };
  const token = /[ \t\n\r]*(?:([{}[\]:,])|("(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)|(true|false|null))/y;
  const next = () => {
    token.lastIndex = at;
    const found = token.exec(text);
    if (!found) fail("something else");
    at = token.lastIndex;
    return found;
  };
  const value = (found, depth) => {
    if (depth > 200) fail("too deep an object");
    if (found[2] !== undefined) return JSON.parse(found[2]);
    if (found[3] !== undefined) return new Numeral(found[3]);
    if (found[4] !== undefined) return { true: true, false: false, null: null }[found[4]];
    if (found[1] !== "{" && found[1] !== "[") fail(`a ${found[1]}`);
    const isList = found[1] === "[", list = [], map = new Map();
    let each = next();
    if (each[1] === (isList ? "]" : "}")) return isList ? list : map;
    for (;;) {
      if (isList) list.push(value(each, depth + 1));
      else {
        if (each[2] === undefined || next()[1] !== ":") fail("no name");
        const name = JSON.parse(each[2]);
        if (map.has(name)) fail("a name twice in one object");
        map.set(name, value(next(), depth + 1));
      }
      const sign = next()[1];
      if (sign === (isList ? "]" : "}")) return isList ? list : map;
      if (sign !== ",") fail("no comma");
      each = next();
    }
  };
  const whole = value(next(), 0);
  if (/[^ \t\n\r]/.test(text.slice(at))) fail("more");
  return whole;
}

// The one way to write it that is signed: sorted names, no spaces, ASCII.
function canonical(value) {
  if (value instanceof Numeral) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value instanceof Map) return `{${[...value.keys()].sort().map((name) => `${canonical(name)}:${canonical(value.get(name))}`).join(",")}}`;
  return JSON.stringify(value).replace(/[^ -~]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// One object of a file: each field must be there, of its type and in its range, and nothing else may be.
class Fields {
  constructor(value, where) {
    if (!(value instanceof Map)) throw new Unreadable(`${where} is no object`);
    this.left = new Map(value);
    this.where = where;
  }
  has(name) { return this.left.has(name); }
  take(name) {
    if (!this.left.has(name)) throw new Unreadable(`${this.where} has no ${name}`);
    const value = this.left.get(name);
    this.left.delete(name);
    return value;
  }
  of(name, isRight, what) {
    const value = this.take(name);
    if (!isRight(value)) throw new Unreadable(`${this.where}.${name} must be ${what}`);
    return value;
  }
  text(name) { return this.of(name, isText, "up to 4,096 printable characters"); }
  whole(name) { return BigInt(this.of(name, isWhole, "a whole number from 0 to 2^63 - 1").text); }
  amount(name) { return this.of(name, (value) => value instanceof Numeral && Number(value.text) >= 0, "a number").text; }
  share(name) { return this.of(name, (value) => value instanceof Numeral && Number(value.text) >= 0 && Number(value.text) <= 1, "a number from 0 to 1").text; }
  flag(name) { return this.of(name, (value) => typeof value === "boolean", "true or false"); }
  items(name) { return this.of(name, Array.isArray, "a list"); }
  digest(name) { return fromHex(this.of(name, (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value), "64 small hexadecimal digits")); }
  data(name) {
    const isBase64 = (value) => typeof value === "string" && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value) && btoa(atob(value)) === value;
    return fromBase64(this.of(name, isBase64, "base64"));
  }
  counts(name) {
    return this.has(name) ? this.of(name, (value) => Array.isArray(value) && value.every((each) => isWhole(each) && each.text !== "0"), "whole numbers from 1 to 2^63 - 1").map((each) => BigInt(each.text)) : [];
  }
  end() { for (const name of this.left.keys()) throw new Unreadable(`${this.where} has an unknown field ${name}`); }
}

const isText = (value) => typeof value === "string" && [...value].length <= 4096 && /^(?: |[^\p{C}\p{Z}])*$/u.test(value);
const isWhole = (value) => value instanceof Numeral && /^(?:0|[1-9][0-9]{0,18})$/.test(value.text) && BigInt(value.text) < 2n ** 63n;
