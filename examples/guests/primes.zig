//! How many of the numbers, one a line, are primes.
//!
//!     pangea build examples/guests/primes.zig -o primes.wasm
//!     seq 1000000 1010000 | pangea run primes.wasm --input - --split-strategy row_based

const std = @import("std");
const pangea = @import("pangea_guest");

fn isPrime(number: u64) bool {
    if (number < 2) return false;
    var factor: u64 = 2;
    while (factor * factor <= number) : (factor += 1) {
        if (number % factor == 0) return false;
    }
    return true;
}

fn execute(chunk: []const u8, result: *pangea.Buffer) !void {
    var count: u32 = 0;
    var lines = std.mem.tokenizeScalar(u8, chunk, '\n');
    while (lines.next()) |line| {
        if (isPrime(try std.fmt.parseInt(u64, line, 10))) count += 1;
    }
    try result.print("{d}", .{count});
}

fn merge(results: []const u8, result: *pangea.Buffer) !void {
    var sum: u64 = 0;
    var items = pangea.Items.of(results);
    while (items.next()) |each| sum += try std.fmt.parseInt(u64, each, 10);
    try result.print("{d}", .{sum});
}

comptime {
    pangea.exportJob(.{ .execute = execute, .merge = merge });
}
