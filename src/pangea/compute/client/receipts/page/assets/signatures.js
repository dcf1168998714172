// Ed25519 (RFC 8032). The browser's own check where there is one; else, and for the keys themselves, whole numbers of any size.

const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const modulo = (value) => { const rest = value % P; return rest < 0n ? rest + P : rest; };

function power(base, exponent) {
  let result = 1n;
  for (base = modulo(base); exponent; exponent >>= 1n) {
    if (exponent & 1n) result = modulo(result * base);
    base = modulo(base * base);
  }
  return result;
}

const D = modulo(-121665n * power(121666n, P - 2n));
const ROOT = power(2n, (P - 1n) / 4n);
const ZERO = [0n, 1n, 1n, 0n];  // X, Y, Z, T
const littleEndian = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = modulo((y1 - x1) * (y2 - x2)), b = modulo((y1 + x1) * (y2 + x2)), c = modulo(2n * t1 * D * t2), d = modulo(2n * z1 * z2);
  const e = b - a, f = d - c, g = d + c, h = b + a;
  return [modulo(e * f), modulo(g * h), modulo(f * g), modulo(e * h)];
}

function times(scalar, point) {
  let sum = ZERO;
  for (; scalar; scalar >>= 1n) {
    if (scalar & 1n) sum = add(sum, point);
    point = add(point, point);
  }
  return sum;
}

const isZero = ([x, y, z]) => x === 0n && y === z;

// The point that 32 bytes name, in the one way that is right; null if none.
function pointOf(bytes) {
  const sign = bytes[31] >> 7, y = littleEndian(bytes) & (2n ** 255n - 1n);
  if (y >= P) return null;
  const u = modulo(y * y - 1n), v = modulo(D * y * y + 1n);
  let x = modulo(u * power(v, 3n) * power(u * power(v, 7n), (P - 5n) / 8n));
  if (modulo(v * x * x) !== u) x = modulo(x * ROOT);
  if (modulo(v * x * x) !== u || (x === 0n && sign)) return null;
  if (Number(x & 1n) !== sign) x = P - x;
  return [x, y, 1n, modulo(x * y)];
}

function bytesOf([x, y, z]) {
  const inverse = power(z, P - 2n), bytes = new Uint8Array(32);
  let value = modulo(y * inverse);
  for (let at = 0; at < 32; at++) { bytes[at] = Number(value & 255n); value >>= 8n; }
  bytes[31] |= Number(modulo(x * inverse) & 1n) << 7;
  return bytes;
}

const BASE = pointOf(fromHex("58" + "66".repeat(31)));

async function isSignedSlowly(key, statement, signature) {
  const s = littleEndian(signature.slice(32));
  if (s >= ORDER) return false;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-512", joinBytes([signature.slice(0, 32), key.raw, statement])));
  const [x, y, z, t] = times(littleEndian(hash) % ORDER, key.point);
  return isEqual(bytesOf(add(times(s, BASE), [modulo(-x), y, z, modulo(-t)])), signature.slice(0, 32));
}

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

// The key in a peer id `12D3KooW…`: base58 of 00 24 08 01 12 20 and 32 bytes, none of a small order.
function rawKeyOf(peer) {
  if (peer.length > 64) return null;
  let value = 0n;
  for (const sign of peer) {
    if (!ALPHABET.includes(sign)) return null;
    value = value * 58n + BigInt(ALPHABET.indexOf(sign));
  }
  const digits = value.toString(16).padStart(74, "0");
  if (!/^1[^1]/.test(peer) || digits.length !== 74 || !digits.startsWith("2408011220")) return null;
  const raw = fromHex(digits.slice(10)), point = pointOf(raw);
  if (!point || isZero(times(8n, point)) || !isZero(times(ORDER, point))) return null;
  return { raw, point };
}

const keys = new Map();
let hasOwnEd25519 = true;

async function keyOf(peer) {
  const key = rawKeyOf(peer);
  if (key && hasOwnEd25519) {
    try {
      key.own = await crypto.subtle.importKey("raw", key.raw, { name: "Ed25519" }, false, ["verify"]);
    } catch { hasOwnEd25519 = false; }
  }
  return key;
}

// Whether a peer signed this. Any input gets an answer.
async function isSignedBy(peer, statement, signature) {
  if (!keys.has(peer)) keys.set(peer, keyOf(peer));
  const key = await keys.get(peer);
  if (!key || signature.length !== 64) return false;
  return key.own ? crypto.subtle.verify({ name: "Ed25519" }, key.own, signature, statement) : isSignedSlowly(key, statement, signature);
}
