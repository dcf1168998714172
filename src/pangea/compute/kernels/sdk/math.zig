//! The functions of libm that kernels call, for the module and, under names of their own, for the native code that it is compared with:
//! one libm for both, as each system's own rounds the last bit its own way. `pow` is musl's, in C.
const std = @import("std");

const is_native = @import("builtin").cpu.arch != .wasm32;
const prefix = if (is_native) "pangea_" else "";

/// In a module the compiler's own runtime has these.
const builtins = struct {
    fn sin(x: anytype) @TypeOf(x) {
        return @sin(x);
    }
    fn cos(x: anytype) @TypeOf(x) {
        return @cos(x);
    }
    fn tan(x: anytype) @TypeOf(x) {
        return @tan(x);
    }
    fn exp(x: anytype) @TypeOf(x) {
        return @exp(x);
    }
    fn exp2(x: anytype) @TypeOf(x) {
        return @exp2(x);
    }
    fn log(x: anytype) @TypeOf(x) {
        return @log(x);
    }
    fn log2(x: anytype) @TypeOf(x) {
        return @log2(x);
    }
    fn log10(x: anytype) @TypeOf(x) {
        return @log10(x);
    }
};

fn one(comptime T: type, comptime f: anytype) type {
    return struct {
        fn call(x: T) callconv(.c) T {
            return f(x);
        }
    };
}

fn two(comptime T: type, comptime f: anytype) type {
    return struct {
        fn call(x: T, y: T) callconv(.c) T {
            return f(x, y);
        }
    };
}

comptime {
    for (.{ f64, f32 }, .{ "", "f" }) |T, suffix| {
        if (is_native) {
            for (.{ "sin", "cos", "tan", "exp", "exp2", "log", "log2", "log10" }) |name|
                @export(&one(T, @field(builtins, name)).call, .{ .name = prefix ++ name ++ suffix });
        }
        for (.{ "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "expm1", "log1p", "cbrt" }) |name|
            @export(&one(T, @field(std.math, name)).call, .{ .name = prefix ++ name ++ suffix });
        for (.{ "atan2", "hypot" }) |name|
            @export(&two(T, @field(std.math, name)).call, .{ .name = prefix ++ name ++ suffix });
    }
}
