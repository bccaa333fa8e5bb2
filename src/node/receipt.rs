//! Makes receipts from the stored chain.
