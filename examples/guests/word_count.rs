//! Count words, as examples/word_count.py does. Guest ABI 1 (docs/modules.md) is what the last lines export.
//!
//!     pangea build examples/guests/word_count.rs -o wc.wasm
//!     pangea run wc.wasm --input FILE --split-strategy row_based

fn execute(chunk: &[u8]) -> Result<Vec<u8>, String> {
    let is_space = |byte: &u8| *byte == b' ' || (b'\t'..=b'\r').contains(byte);
    Ok(chunk.split(is_space).filter(|word| !word.is_empty()).count().to_string().into_bytes())
}

fn merge(results: &[&[u8]]) -> Result<Vec<u8>, String> {
    let mut sum = 0u64;
    for each in results {
        let text = std::str::from_utf8(each).map_err(|error| error.to_string())?;
        sum += text.parse::<u64>().map_err(|error| error.to_string())?;
    }
    Ok(sum.to_string().into_bytes())
}

static mut RESULT: Vec<u8> = Vec::new();
static mut ERROR: String = String::new();

fn packed(bytes: &[u8]) -> i64 {
    ((bytes.as_ptr() as u64) << 32 | bytes.len() as u64) as i64
}

/// A call is alone in its instance: nothing else touches what is static.
unsafe fn answer(outcome: Result<Vec<u8>, String>) -> i64 {
    match outcome {
        Ok(bytes) => {
            RESULT = bytes;
            packed(&*std::ptr::addr_of!(RESULT))
        }
        Err(text) => {
            ERROR = text;
            -1
        }
    }
}

#[no_mangle]
pub extern "C" fn alloc(size: u32) -> *mut u8 {
    Vec::with_capacity(size.max(1) as usize).leak().as_mut_ptr()
}

#[no_mangle]
pub unsafe extern "C" fn last_error() -> i64 {
    packed((*std::ptr::addr_of!(ERROR)).as_bytes())
}

#[export_name = "execute"]
pub unsafe extern "C" fn execute_one(pointer: *mut u8, size: u32) -> i64 {
    let chunk = Vec::from_raw_parts(pointer, size as usize, size.max(1) as usize);
    answer(execute(&chunk))
}

#[export_name = "merge"]
pub unsafe extern "C" fn merge_framed(pointer: *mut u8, size: u32) -> i64 {
    let frame = Vec::from_raw_parts(pointer, size as usize, size.max(1) as usize);
    let number = |at: usize| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]) as usize;
    let (mut results, mut at) = (Vec::new(), 4);
    for _ in 0..number(0) {
        results.push(&frame[at + 4..at + 4 + number(at)]);
        at += 4 + number(at);
    }
    answer(merge(&results))
}
