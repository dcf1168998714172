@0xc0ffee1234567890;
# Parameters with the layout of ours, whose lists are of structs without a field.

struct Nothing {}

struct Hollow {
    first @0 :AnyPointer;
    more @1 :List(Nothing);
}

struct Shared {
    lists @0 :List(List(Data));
}
