//! A test that reads its own memory.

use std::os::unix::fs::FileExt;

use super::SecretKey;

/// Reads where the key was through proc(5): what was freed, no reference can show.
#[test]
fn a_key_is_cleared_when_it_is_dropped() {
    let memory = std::fs::File::open("/proc/self/mem").expect("our own memory");
    let key = SecretKey::from_seed([0x5e; 32]);
    let place = std::ptr::from_ref(&*key.0) as u64;
    let now = || {
        let mut bytes = [0; size_of::<ed25519_zebra::SigningKey>()];
        memory.read_exact_at(&mut bytes, place).expect("the heap stays mapped");
        bytes
    };
    assert!(now().windows(32).any(|bytes| bytes == [0x5e; 32]), "this test sees a key");
    drop(key);
    assert!(!now().windows(12).any(|bytes| bytes == [0x5e; 12]), "the seed is still there");
}
