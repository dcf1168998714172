// Count words, as examples/word_count.py does. Guest ABI 1 (docs/modules.md) is what is exported.
//
//     pangea build examples/guests/word_count.ts -o wc.wasm
//     pangea run wc.wasm --input FILE --split-strategy row_based

let failure: ArrayBuffer = new ArrayBuffer(0);
let result: ArrayBuffer = new ArrayBuffer(0);

function packed(bytes: ArrayBuffer): i64 {
  return ((changetype<usize>(bytes) as i64) << 32) | (bytes.byteLength as i64);
}

function answer(text: string): i64 {
  result = String.UTF8.encode(text);
  return packed(result);
}

function isSpace(byte: u8): bool {
  return byte == 32 || (byte >= 9 && byte <= 13);
}

export function alloc(size: u32): usize {
  return heap.alloc(size);
}

export function last_error(): i64 {
  return packed(failure);
}

export function execute(pointer: usize, size: u32): i64 {
  let words = 0;
  let was = true;
  for (let at: u32 = 0; at < size; at++) {
    const now = isSpace(load<u8>(pointer + at));
    if (was && !now) words++;
    was = now;
  }
  heap.free(pointer);
  return answer(words.toString());
}

export function merge(pointer: usize, size: u32): i64 {
  let sum: u64 = 0;
  let at = pointer + 4;
  for (let left = load<u32>(pointer); left > 0; left--) {
    const length = load<u32>(at);
    let value: u64 = 0;
    for (let end = at + 4 + length, digit = at + 4; digit < end; digit++) {
      const byte = load<u8>(digit);
      if (byte < 48 || byte > 57) {
        failure = String.UTF8.encode("a result is no number");
        return -1;
      }
      value = value * 10 + (byte - 48);
    }
    sum += value;
    at += 4 + length;
  }
  heap.free(pointer);
  return answer(sum.toString());
}
