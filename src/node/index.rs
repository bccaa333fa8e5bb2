//! Where things are on the best chain: transactions, accounts' histories, records. Derived data, in a file of its own.
