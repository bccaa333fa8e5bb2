//! Parses the arguments and runs the node.

fn main() {}
