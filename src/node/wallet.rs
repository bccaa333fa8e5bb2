//! Keys that are safe in files: wallets of the data folder, and the one that the node signs with.
