//! What a record says: text, a file's fingerprint, JSON, and tags. A convention of users, not a rule of the chain.
