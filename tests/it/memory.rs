//! Secrets that a locked wallet must not leave in the memory of its node. Linux alone shows the memory of a process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufRead;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::Decode;
use pkcs8::der::pem::decode_vec;
use pkcs8::pkcs5::{self, pbes2};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use crate::harness::{Node, NodeOptions, quipu, text};

/// The password of all wallets here, too long to occur by chance.
const PASSWORD: &str = "correct-horse-battery-staple";

/// What must be nowhere, by its name.
type Secrets = BTreeMap<String, Vec<u8>>;

/// Whatever happened before: once the wallet is locked, neither its key nor a password nor a phrase can be found.
pub(crate) fn a_locked_wallet_leaves_no_secret() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = Place { data: folder.path().join("data"), password_file: folder.path().join("password") };
    fs::write(&place.password_file, PASSWORD).expect("our own folder");
    let words = text(&place.wallet("wallet new lab"), "words");
    let mut secrets = place.secrets_of("lab", &words);
    secrets.insert("password".to_owned(), PASSWORD.into());

    let mut node = place.start(&["--password-file", &place.password_file.display().to_string()]);
    let found = found_in(&node, &secrets);
    assert!(found.contains(&"lab: seed"), "an unlocked wallet has its key in memory, so this test sees it: {found:?}");
    node.run("mine 1");
    node.run("record signed");
    node.run("wallet lock");
    assert_eq!(found_in(&node, &secrets), [""; 0], "after a signature");
    node.run("wallet unlock");
    for round in ["first", "second"] {
        let made = node.run(&format!("wallet new {round}"));
        secrets.extend(place.secrets_of(round, &text(&made, "words")));
        node.run("wallet lock");
        assert_eq!(found_in(&node, &secrets), [""; 0], "after a new wallet, {round}");
        node.run("wallet unlock");
        node.run(&format!("record {round}"));
    }
    node.run("wallet use first");
    node.run("wallet unlock");
    node.run("wallet lock");
    assert_eq!(found_in(&node, &secrets), [""; 0], "after a change of the wallet");
    node.stop();
    drop(node);

    let node = place.start(&[]);
    assert_eq!(node.try_run("record x").expect_err("it is locked").code, "wallet_locked");
    assert_eq!(found_in(&node, &secrets), [""; 0], "after a start without a password");
}

struct Place {
    data: PathBuf,
    password_file: PathBuf,
}

impl Place {
    fn start(&self, arguments: &[&str]) -> Node {
        let arguments = ["--wallet", "lab"].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        Node::start_in(&self.data, NodeOptions { arguments, ..NodeOptions::default() })
    }

    /// The result of a command of the command line.
    fn wallet(&self, line: &str) -> Value {
        let mut command = quipu(None);
        command.arg("--json").arg("--data-dir").arg(&self.data).args(line.split(' '));
        let output = command.arg("--password-file").arg(&self.password_file).output().expect("it runs");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("one answer")["result"].take()
    }

    /// The key that the password gives (PBKDF2), the seed of a wallet, both halves of its expansion (RFC 8032, section 5.1.5), either of which signs or helps to,
    /// and the phrase.
    fn secrets_of(&self, name: &str, words: &str) -> Secrets {
        let pem = text(&self.wallet(&format!("wallet export {name} --no-password")), "pem");
        let (_, der) = decode_vec(pem.as_bytes()).expect("PEM");
        let seed = &der[der.len() - 32..];
        let expanded = Sha512::digest(seed);
        let beginning = words.split(' ').take(4).collect::<Vec<_>>().join(" ");
        let file = fs::read_to_string(self.data.join(format!("wallets/{name}.pem"))).expect("our own folder");
        let secrets = [
            ("key of the file", file_key(&file)),
            ("seed", seed.to_vec()),
            // The outer bits of the scalar are set or cleared.
            ("scalar", expanded[1..31].to_vec()),
            ("prefix", expanded[32..].to_vec()),
            ("phrase", beginning.into_bytes()),
        ];
        secrets.map(|(kind, bytes)| (format!("{name}: {kind}"), bytes)).into()
    }
}

/// The key of a wallet's file, derived from the password (RFC 8018, section 5.2).
fn file_key(pem: &str) -> Vec<u8> {
    let (_, der) =
        decode_vec(pem.split_inclusive("-----END ENCRYPTED PRIVATE KEY-----\n").next().expect("a block").as_bytes())
            .expect("PEM");
    let info = EncryptedPrivateKeyInfoRef::from_der(&der).expect("our own file");
    let pkcs5::EncryptionScheme::Pbes2(scheme) = info.encryption_algorithm else { panic!("another scheme") };
    let pbes2::Kdf::Pbkdf2(parameters) = scheme.kdf else { panic!("another function") };
    let keyed = Hmac::<Sha256>::new_from_slice(PASSWORD.as_bytes()).expect("a key of any length");
    let mut last = keyed
        .clone()
        .chain_update(parameters.salt.as_bytes())
        .chain_update(1_u32.to_be_bytes())
        .finalize()
        .into_bytes();
    let mut key = last;
    for _ in 1..parameters.iteration_count {
        last = keyed.clone().chain_update(last).finalize().into_bytes();
        key.iter_mut().zip(last).for_each(|(byte, more)| *byte ^= more);
    }
    key.to_vec()
}

/// The names of those secrets that are somewhere in the memory of a node.
fn found_in<'a>(node: &Node, secrets: &'a Secrets) -> Vec<&'a str> {
    let regions = readable_memory(&node.process_folder());
    assert!(regions.iter().map(Vec::len).sum::<usize>() > 1 << 20, "no process is that small");
    let is_somewhere = |secret: &[u8]| regions.iter().any(|region| contains(region, secret));
    secrets.iter().filter(|(_, secret)| is_somewhere(secret)).map(|(name, _)| name.as_str()).collect()
}

/// All memory of a process that it could read itself, but what the kernel keeps for itself.
fn readable_memory(process: &Path) -> Vec<Vec<u8>> {
    let maps = fs::read_to_string(process.join("maps")).expect("our own child");
    let memory = File::open(process.join("mem")).expect("our own child");
    let regions = maps.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let is_readable = fields.next()?.starts_with('r');
        let is_kernels = fields.nth(3).is_some_and(|name| name.starts_with("[v"));
        let address = |hex| u64::from_str_radix(hex, 16).expect("an address");
        let mut bytes = vec![0; (address(to) - address(from)) as usize];
        // A region may be gone by now.
        (is_readable && !is_kernels && memory.read_exact_at(&mut bytes, address(from)).is_ok()).then_some(bytes)
    });
    regions.collect()
}

/// Jumps from one first byte to the next by the standard library's search, which is optimised in every build.
fn contains(mut region: &[u8], secret: &[u8]) -> bool {
    let (first, rest) = secret.split_first().expect("a secret has bytes");
    while region.skip_until(*first).expect("memory can be read") > 0 {
        if region.starts_with(rest) {
            return true;
        }
    }
    false
}
