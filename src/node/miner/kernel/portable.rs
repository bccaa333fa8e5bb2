//! One value after the other with `sha2`, on any processor. It uses the SHA instructions of x86 and of ARM where they
//! are.

use sha2::block_api::compress256;

use super::VARYING_WORD;

/// See [`Kernel::scan`](super::Kernel::scan).
pub(super) fn scan(midstate: &[u32; 8], block: &[u8; 64], first: u32, count: u32, bound: u32) -> Option<u32> {
    let mut block = *block;
    (0..count).find(|done| {
        block[4 * VARYING_WORD..][..4].copy_from_slice(&first.wrapping_add(*done).to_le_bytes());
        let mut state = *midstate;
        compress256(&mut state, std::slice::from_ref(&block));
        state[0] <= bound
    })
}
