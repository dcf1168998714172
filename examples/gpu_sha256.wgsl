// Search for numbers whose SHA-256, behind eight given words, begins with so many zero bits (FIPS 180-4).
//
// The input is the eight words, the first number of the chunk, and how many bits.

const TRIES = 16u;
const NOTHING = 0xffffffffu;
const K = array<u32, 64>(
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
);

fn big_sigma_0(x: u32) -> u32 { return ((x >> 2u) | (x << 30u)) ^ ((x >> 13u) | (x << 19u)) ^ ((x >> 22u) | (x << 10u)); }
fn big_sigma_1(x: u32) -> u32 { return ((x >> 6u) | (x << 26u)) ^ ((x >> 11u) | (x << 21u)) ^ ((x >> 25u) | (x << 7u)); }
fn small_sigma_0(x: u32) -> u32 { return ((x >> 7u) | (x << 25u)) ^ ((x >> 18u) | (x << 14u)) ^ (x >> 3u); }
fn small_sigma_1(x: u32) -> u32 { return ((x >> 17u) | (x << 15u)) ^ ((x >> 19u) | (x << 13u)) ^ (x >> 10u); }

// The first word of the hash of the eight words and `number`: 36 bytes, which one block holds.
fn first_word(number: u32) -> u32 {
    var w = array<u32, 16>();
    for (var at = 0u; at < 8u; at++) { w[at] = input(at); }
    w[8] = number;
    w[9] = 0x80000000u;
    w[15] = 288u;
    var a = 0x6a09e667u;
    var b = 0xbb67ae85u;
    var c = 0x3c6ef372u;
    var d = 0xa54ff53au;
    var e = 0x510e527fu;
    var f = 0x9b05688cu;
    var g = 0x1f83d9abu;
    var h = 0x5be0cd19u;
    for (var turn = 0u; turn < 64u; turn++) {
        let at = turn & 15u;
        if turn >= 16u {
            w[at] += small_sigma_0(w[(at + 1u) & 15u]) + w[(at + 9u) & 15u] + small_sigma_1(w[(at + 14u) & 15u]);
        }
        let one = h + big_sigma_1(e) + ((e & f) ^ (~e & g)) + K[turn] + w[at];
        let two = big_sigma_0(a) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + one;
        d = c;
        c = b;
        b = a;
        a = one + two;
    }
    return a + 0x6a09e667u;
}

// The first of a row's numbers that is one, or none.
fn search(index: u32) -> u32 {
    let first = input(8u) + index * TRIES;
    for (var each = 0u; each < TRIES; each++) {
        if countLeadingZeros(first_word(first + each)) >= input(9u) { return first + each; }
    }
    return NOTHING;
}
