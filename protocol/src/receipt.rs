//! A proof that a transaction is on a chain, for whoever runs no node.
