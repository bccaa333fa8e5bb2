//! Work on secrets leaves nothing on the stack.
//!
//! Secrets on the heap are cleared where they are dropped ([`zeroize`]). Hashes, ciphers and moved values leave copies in
//! the frames of functions that have returned, and those stay until the thread happens to go as deep again.

use zeroize::zeroize_stack;

/// The part of the stack that is cleared, in bytes: more than the deepest work on a secret uses. Threads have 2 MiB.
const STACK_WIPED_BYTES: usize = 64 << 10;

/// Does `work`, and clears the stack that it has used. Its result must keep its secrets on the heap.
pub(crate) fn wiped<T>(work: impl FnOnce() -> T) -> T {
    let result = below(work);
    zeroize_stack::<STACK_WIPED_BYTES>();
    result
}

/// Not inlined, so that the frames of `work` are where the stack is cleared afterwards.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}
