// Count words, as examples/word_count.py does. Guest ABI 1 (docs/modules.md) is what is exported below.
//
//	pangea build examples/guests/word_count.go -o wc.wasm
//	pangea run wc.wasm --input FILE --split-strategy row_based
package main

import (
	"encoding/binary"
	"strconv"
	"unsafe"
)

func isSpace(letter byte) bool { return letter == ' ' || '\t' <= letter && letter <= '\r' }

func execute(chunk []byte) ([]byte, error) {
	words, inside := 0, false
	for _, each := range chunk {
		space := isSpace(each)
		if !space && !inside {
			words++
		}
		inside = !space
	}
	return strconv.AppendInt(nil, int64(words), 10), nil
}

func merge(results [][]byte) ([]byte, error) {
	var sum int64
	for _, each := range results {
		count, err := strconv.ParseInt(string(each), 10, 64)
		if err != nil {
			return nil, err
		}
		sum += count
	}
	return strconv.AppendInt(nil, sum, 10), nil
}

// What the host was given room for, so that it isn't collected before the call that takes it.
var given = map[int32][]byte{}

// The last result, or error: valid until the next call.
var last []byte

func packed(data []byte) int64 {
	if len(data) == 0 {
		return 0
	}
	return int64(uintptr(unsafe.Pointer(&data[0])))<<32 | int64(len(data))
}

func taken(at, size int32) []byte {
	room := given[at]
	delete(given, at)
	return room[:size]
}

func answer(result []byte, err error) int64 {
	if err != nil {
		last = []byte(err.Error())
		return -1
	}
	last = result
	return packed(last)
}

//go:wasmexport alloc
func alloc(size int32) int32 {
	room := make([]byte, max(size, 1))
	at := int32(uintptr(unsafe.Pointer(&room[0])))
	given[at] = room
	return at
}

//go:wasmexport last_error
func lastError() int64 { return packed(last) }

//go:wasmexport execute
func executeOne(at, size int32) int64 { return answer(execute(taken(at, size))) }

//go:wasmexport merge
func mergeFramed(at, size int32) int64 {
	frame := taken(at, size)
	results := make([][]byte, binary.LittleEndian.Uint32(frame))
	frame = frame[4:]
	for number := range results {
		length := binary.LittleEndian.Uint32(frame)
		results[number], frame = frame[4:4+length], frame[4+length:]
	}
	return answer(merge(results))
}

func main() {}
