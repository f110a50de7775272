//! The inputs that fuzzing has found interesting are decoded again.

use std::path::Path;

use crate::hostile_bytes::decode_in_all_ways;

#[test]
fn the_inputs_of_the_fuzzer_cause_no_panic() {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut count = 0;
    for folder in folders.read_dir().expect("there is a corpus").flatten() {
        for file in folder.path().read_dir().expect("it is a folder").flatten() {
            decode_in_all_ways(&std::fs::read(file.path()).expect("the file can be read"));
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}
