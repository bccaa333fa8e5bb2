//! The programs in `examples/` that speak to a node.

use std::fs;
use std::process::Command;

use crate::harness::{Node, NodeOptions, quipu, text};

/// The client in Python prepares, signs, sends, waits, and has a receipt in the end.
pub(crate) fn the_client_in_python_records_a_text() {
    let arguments = ["--mine", "pending"].map(str::to_owned).to_vec();
    let node = Node::start(NodeOptions { http: true, arguments, ..NodeOptions::default() });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut client = Command::new("python3");
    client
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/record.py"))
        .args(["pallet 7 arrived", "--tag", "delivery", "--quipu", env!("CARGO_BIN_EXE_quipu")])
        .args(["--url", &text(node.ready(), "http")])
        .env("QUIPU_DATA_DIR", node.folder())
        .current_dir(&folder);
    let Ok(done) = client.output() else {
        assert!(std::env::var_os("QUIPU_TEST_TOOLS").is_none_or(|value| value != "1"), "there is no python3 here");
        return eprintln!("python3 cannot be run, so examples/record.py was not tried");
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(text(&node.run("records --tag delivery")["records"][0], "text"), "pallet 7 arrived");

    let mut made = fs::read_dir(&folder).expect("readable").map(|entry| entry.expect("readable").path());
    let receipt = made.next().expect("it writes the receipt");
    let verified = quipu(None).arg("verify").arg(receipt).output().expect("it starts");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
