//! Limits that errors mention.

/// The longest name of a wallet, in bytes.
pub const NAME_BYTES_MAX: usize = 32;
/// The most wallets in one data folder. Listing them reads each file.
pub const WALLETS_MAX: usize = 1000;
/// The longest password, in bytes. OpenSSL takes no longer ones.
pub const PASSWORD_BYTES_MAX: usize = 1023;
