//! Guest ABI 1 for Zig (docs/modules.md). In the job's file:
//!
//!     const pangea = @import("pangea_guest");
//!     fn execute(chunk: []const u8, result: *pangea.Buffer) !void { try result.print("{d}", .{chunk.len}); }
//!     comptime { pangea.exportJob(.{ .execute = execute }); }

const std = @import("std");

pub const allocator = std.heap.wasm_allocator;

/// Grows as it is written to.
pub const Buffer = struct {
    bytes: std.ArrayList(u8) = .empty,

    pub fn put(self: *Buffer, data: []const u8) !void {
        try self.bytes.appendSlice(allocator, data);
    }

    pub fn print(self: *Buffer, comptime format: []const u8, arguments: anytype) !void {
        try self.bytes.print(allocator, format, arguments);
    }

    /// One more chunk of a split.
    pub fn item(self: *Buffer, data: []const u8) !void {
        if (self.bytes.items.len == 0) try self.put(&[4]u8{ 0, 0, 0, 0 });
        const count = std.mem.readInt(u32, self.bytes.items[0..4], .little);
        std.mem.writeInt(u32, self.bytes.items[0..4], count + 1, .little);
        var size: [4]u8 = undefined;
        std.mem.writeInt(u32, &size, @intCast(data.len), .little);
        try self.put(&size);
        try self.put(data);
    }
};

/// Walks the results that `merge` is given.
pub const Items = struct {
    rest: []const u8,

    pub fn of(frame: []const u8) Items {
        return .{ .rest = frame[4..] };
    }

    pub fn next(self: *Items) ?[]const u8 {
        if (self.rest.len == 0) return null;
        const size = std.mem.readInt(u32, self.rest[0..4], .little);
        defer self.rest = self.rest[4 + size ..];
        return self.rest[4 .. 4 + size];
    }
};

var result: Buffer = .{};
var message: []const u8 = "";

fn pack(bytes: []const u8) i64 {
    return @bitCast(@as(u64, @intFromPtr(bytes.ptr)) << 32 | bytes.len);
}

fn alloc(size: u32) callconv(.c) u32 {
    const bytes = allocator.alloc(u8, @max(size, 1)) catch return 0;
    return @intFromPtr(bytes.ptr);
}

fn lastError() callconv(.c) i64 {
    return pack(message);
}

fn Call(comptime function: anytype, comptime is_list: bool) type {
    return struct {
        fn call(data: [*]u8, size: u32) callconv(.c) i64 {
            defer allocator.free(data[0..@max(size, 1)]);
            result.bytes.clearRetainingCapacity();
            message = "";
            function(data[0..size], &result) catch |failure| {
                message = @errorName(failure);
                return -1;
            };
            if (is_list and result.bytes.items.len == 0) result.put(&[4]u8{ 0, 0, 0, 0 }) catch return -1;
            return pack(result.bytes.items);
        }
    };
}

/// Export a job's functions: `execute`, and `split` and `merge` where there are any.
pub fn exportJob(comptime functions: anytype) void {
    @export(&alloc, .{ .name = "alloc" });
    @export(&lastError, .{ .name = "last_error" });
    inline for (comptime std.meta.fieldNames(@TypeOf(functions))) |name| {
        const is_list = comptime std.mem.eql(u8, name, "split");
        @export(&Call(@field(functions, name), is_list).call, .{ .name = name });
    }
}
