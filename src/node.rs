//! The only place that knows tokio, libp2p, redb, files, threads and clocks.
