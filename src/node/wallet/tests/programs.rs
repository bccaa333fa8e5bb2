//! The real openssl and the real libsodium, both ways.
//!
//! Where a program is missing a test says so and ends; with QUIPU_TEST_TOOLS=1 that is a failure.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{password, seal};
use crate::node::wallet::error::FileProblem;
use crate::node::wallet::foreign::KeyFile;
use crate::node::wallet::pem::{ITERATIONS, WalletFile};
use crate::node::wallet::words::Seed;
use crate::protocol::{PublicKey, SecretKey, Signature};

const PASSWORD: &str = "correct horse, batterie für Zürich";

/// Derives the public half with libsodium, and verifies what was signed: prints the public half, then `True` or `False`
/// for the signature and for the same under another message. Status 77: there is no libsodium.
const SODIUM: &str = r#"
import ctypes, sys
seed, signature, message = (bytes.fromhex(text) for text in sys.argv[1:])
try:
    sodium = ctypes.CDLL("libsodium.so.23")
except OSError:
    sys.exit(77)
assert sodium.sodium_init() >= 0
public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
assert sodium.crypto_sign_seed_keypair(public, secret, seed) == 0
verify = lambda text: sodium.crypto_sign_verify_detached(signature, text, ctypes.c_ulonglong(len(text)), public) == 0
print(public.raw.hex(), verify(message), verify(message + b"!"))
"#;

/// Whether to go on without a tool.
fn skip(tool: &str) {
    assert!(std::env::var_os("QUIPU_TEST_TOOLS").is_none_or(|value| value != "1"), "there is no {tool} here");
    eprintln!("skipped: there is no {tool} on this machine");
}

fn has_openssl() -> bool {
    let is_there = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        skip("openssl");
    }
    is_there
}

/// Runs openssl in a folder, with the arguments between blanks.
fn run(folder: &Path, arguments: &str) -> Output {
    Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().expect("it was there")
}

fn openssl(folder: &Path, arguments: &str) -> Vec<u8> {
    let output = run(folder, arguments);
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("password"), PASSWORD).expect("written");
    folder
}

fn public_bytes(seed: &Seed) -> [u8; 32] {
    let PublicKey::Ed25519(public) = SecretKey::from_seed(**seed).public_key();
    public
}

#[test]
fn openssl_opens_our_files_and_verifies_our_signatures() {
    if !has_openssl() {
        return;
    }
    let folder = folder();
    let folder = folder.path();
    let seed = Seed::new([7; 32]);
    let secret = password(PASSWORD);
    let files = [None, Some(&secret)].map(|password| seal(7, password, ITERATIONS));
    for file in &files {
        for text in [file.to_text(), file.private_pem()] {
            fs::write(folder.join("ours.pem"), text.as_bytes()).expect("written");
            let shown = openssl(folder, "pkey -in ours.pem -passin file:password -pubout -outform DER");
            assert!(shown.ends_with(&public_bytes(&seed)), "{}", *text);
        }
    }
    fs::write(folder.join("ours.pem"), files[1].to_text().as_bytes()).expect("written");
    assert!(!run(folder, "pkey -in ours.pem -passin pass:wrong").status.success());

    fs::write(folder.join("public.pem"), files[0].public_pem().as_bytes()).expect("written");
    let shown = openssl(folder, "pkey -pubin -in public.pem -pubout -outform DER");
    assert!(shown.ends_with(&public_bytes(&seed)));

    let message = b"a knot in a cord";
    let Signature::Ed25519(signature) = SecretKey::from_seed(*seed).sign(message);
    fs::write(folder.join("message"), message).expect("written");
    fs::write(folder.join("signature"), signature).expect("written");
    let verify = "pkeyutl -verify -pubin -inkey public.pem -rawin -in message -sigfile signature";
    openssl(folder, verify);
    fs::write(folder.join("message"), b"a knot in a card").expect("written");
    assert!(!run(folder, verify).status.success(), "another message");
}

#[test]
fn we_open_what_openssl_makes() {
    if !has_openssl() {
        return;
    }
    let folder = folder();
    let folder = folder.path();
    let secret = password(PASSWORD);
    let genpkey = "genpkey -algorithm ed25519 -out key.pem";
    openssl(folder, &genpkey.replace("key.pem", "plain.pem"));
    let convert = "pkcs8 -topk8 -in plain.pem -out key.pem -passout file:password";
    let cases = [
        (genpkey.to_owned(), false),
        ("pkey -in plain.pem -outform DER -out key.pem".to_owned(), false),
        (format!("{convert} -v2 aes-256-cbc -outform DER"), true),
        (format!("{genpkey} -aes-256-cbc -pass file:password"), true),
        (format!("{genpkey} -aes-128-cbc -pass file:password"), true),
        (format!("{convert} -v2 aes-256-cbc -v2prf hmacWithSHA1"), true),
        (format!("{convert} -v2 aes-192-cbc -v2prf hmacWithSHA256 -iter 100000"), true),
        (format!("{convert} -v2 aes-256-cbc -v2prf hmacWithSHA512 -iter 1"), true),
        (format!("{convert} -scrypt"), true),
        (format!("{convert} -scrypt_N 1024 -scrypt_r 4 -scrypt_p 2"), true),
    ];
    for (made_by, is_encrypted) in cases {
        openssl(folder, &made_by);
        let content = fs::read(folder.join("key.pem")).expect("written");
        let key = KeyFile::parse(&content).unwrap_or_else(|problem| panic!("{made_by}: {problem}"));
        assert_eq!(key.is_encrypted(), is_encrypted, "{made_by}");
        let seed = key.open(Some(&secret)).unwrap_or_else(|problem| panic!("{made_by}: {problem}"));
        let shown = openssl(folder, "pkey -in key.pem -passin file:password -pubout -outform DER");
        assert!(shown.ends_with(&public_bytes(&seed)), "{made_by}");
        if is_encrypted {
            assert_eq!(key.open(Some(&password("wrong"))), Err(FileProblem::WrongPassword), "{made_by}");
            assert_eq!(key.open(None), Err(FileProblem::NeedsPassword), "{made_by}");
        }
        assert!(WalletFile::parse(&content, 1).is_err(), "a wallet's file has more: {made_by}");
    }
}

#[test]
fn other_kinds_of_keys_and_old_encryptions_are_named() {
    if !has_openssl() {
        return;
    }
    let folder = folder();
    let folder = folder.path();
    openssl(folder, "genpkey -algorithm ed25519 -out plain.pem");
    let convert = "pkcs8 -topk8 -in plain.pem -out key.pem -passout file:password";
    let encrypted = "-aes-256-cbc -pass file:password";
    let cases = [
        ("genpkey -algorithm X25519 -out key.pem".to_owned(), "an X25519 key"),
        (format!("genpkey -algorithm X25519 -out key.pem {encrypted}"), "an X25519 key"),
        ("genpkey -algorithm ed448 -out key.pem".to_owned(), "an Ed448 key"),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem".to_owned(), "an RSA key"),
        ("genrsa -traditional -out key.pem 2048".to_owned(), "an RSA key"),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem".to_owned(), "an EC key"),
        ("ecparam -name prime256v1 -genkey -out key.pem".to_owned(), "an EC key"),
        ("pkey -in plain.pem -pubout -out key.pem".to_owned(), "not a key file"),
        (format!("{convert} -v2 des3"), "encrypted in a way that is not supported"),
        (format!("{convert} -v1 PBE-SHA1-3DES"), "encrypted in a way that is not supported"),
        (format!("{convert} -v2 aes-256-cbc -iter 10000001"), "too much time"),
    ];
    let secret = password(PASSWORD);
    for (made_by, want) in cases {
        openssl(folder, &made_by);
        let content = fs::read(folder.join("key.pem")).expect("written");
        let problem = KeyFile::parse(&content).and_then(|key| key.open(Some(&secret))).expect_err(&made_by);
        assert!(problem.to_string().contains(want), "{made_by}: {problem}");
    }
}

#[test]
fn keys_of_ssh_keygen_are_taken_or_named() {
    let folder = folder();
    let folder = folder.path();
    let ssh_keygen = |line: &str| {
        let arguments = line.split(' ').map(|word| if word == "''" { "" } else { word });
        let output = Command::new("ssh-keygen").arg("-q").args(arguments).current_dir(folder).output().ok()?;
        assert!(output.status.success(), "ssh-keygen {line}: {}", String::from_utf8_lossy(&output.stderr));
        Some(output.stdout)
    };
    if ssh_keygen("-t ed25519 -C comment -N '' -f plain").is_none() {
        return skip("ssh-keygen");
    }
    let read = |name: &str| fs::read(folder.join(name)).expect("written");
    let seed = KeyFile::parse(&read("plain")).and_then(|key| key.open(None)).expect("an Ed25519 key");
    let public = fs::read_to_string(folder.join("plain.pub")).expect("written");
    let blob = public.split(' ').nth(1).expect("three words");
    let pem = format!("-----BEGIN X-----\n{}\n{}\n-----END X-----\n", &blob[..64], &blob[64..]);
    let (_, blob) = pkcs8::der::pem::decode_vec(pem.as_bytes()).expect("Base64");
    assert!(blob.ends_with(&public_bytes(&seed)), "{public}");
    let crlf = String::from_utf8(read("plain")).expect("ASCII").replace('\n', "\r\n");
    assert_eq!(KeyFile::parse(crlf.as_bytes()).and_then(|key| key.open(None)), Ok(seed));

    ssh_keygen("-t ed25519 -N secret -f closed");
    ssh_keygen("-t rsa -b 2048 -N '' -f rsa");
    ssh_keygen("-t ecdsa -N '' -f ec");
    for (name, word) in
        [("closed", "ssh-keygen -p -N ''"), ("rsa", "an RSA key"), ("ec", "an EC key"), ("plain.pub", "public")]
    {
        let problem = KeyFile::parse(&read(name)).expect_err(name);
        assert!(problem.to_string().contains(word), "{name}: {problem}");
    }
    // As the message says.
    ssh_keygen("-p -P secret -N '' -f closed");
    assert!(KeyFile::parse(&read("closed")).is_ok());
    let text = String::from_utf8(read("plain")).expect("ASCII");
    let lines: Vec<&str> = text.lines().collect();
    let short = [&lines[..3], &lines[lines.len() - 1..]].concat().join("\n");
    assert_eq!(KeyFile::parse(short.as_bytes()).err(), Some(FileProblem::Tampered));
}

#[test]
fn libsodium_has_the_same_keys_and_verifies_our_signatures() {
    for number in 0..8 {
        let seed = Seed::new([number; 32]);
        let message = vec![number; usize::from(number) * 100];
        let Signature::Ed25519(signature) = SecretKey::from_seed(*seed).sign(&message);
        let arguments = [hex::encode(*seed), hex::encode(signature), hex::encode(&message)];
        let Ok(output) = Command::new("python3").args(["-c", SODIUM]).args(arguments).output() else {
            return skip("python3");
        };
        if output.status.code() == Some(77) {
            return skip("libsodium");
        }
        let want = format!("{} True False", hex::encode(public_bytes(&seed)));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), want, "{}", String::from_utf8_lossy(&output.stderr));
    }
}
