//! Wallet files against damage, against tampering, and against the real programs that must understand them.

mod crash;
mod programs;
mod session;

use std::fs;

use ed25519::KeypairBytes;
use ed25519::pkcs8::EncodePrivateKey;
use pkcs8::der::Encode;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::pem::encode_string;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Pbkdf2Params, ScryptParams};
use pkcs8::{EncryptedPrivateKeyInfo, LineEnding, pkcs5};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::error::{FileProblem, WalletError};
use super::folder::Folder;
use super::foreign::KeyFile;
use super::password::Password;
use super::pem::{CHECKSUM_PREFIX, ENCRYPTED_LABEL, FILE_BYTES_MAX, ITERATIONS, ITERATIONS_MAX, WalletFile};
use super::words::Seed;
use crate::protocol::{PublicKey, SecretKey};
use crate::random::Random;

/// Corruptions in each test.
const CORRUPTIONS: usize = 10_000;
/// As few as possible: only tests write such files, and no wallet of a folder may be one.
const FEW: u32 = 1;

fn password(text: &str) -> Password {
    Password::new(Zeroizing::new(text.as_bytes().to_vec())).expect("a usable password")
}

fn seal(seed: u8, password: Option<&Password>, iterations: u32) -> WalletFile {
    WalletFile::seal(&Seed::new([seed; 32]), password, iterations).expect("randomness")
}

fn open_few(content: &[u8], password: Option<&Password>) -> Result<Seed, FileProblem> {
    WalletFile::parse(content, FEW)?.open(password)
}

#[test]
fn what_is_written_opens() {
    let right = password("correct horse");
    for password in [None, Some(&right)] {
        let file = seal(7, password, ITERATIONS);
        assert_eq!(file.is_encrypted(), password.is_some());
        let read = WalletFile::parse(file.to_text().as_bytes(), ITERATIONS).expect("our own");
        assert_eq!(read.open(password).expect("the right password"), Seed::new([7; 32]));
        assert_eq!(read.address(), SecretKey::from_seed([7; 32]).public_key().address());
    }
    let file = seal(7, Some(&right), ITERATIONS);
    assert_eq!(file.open(Some(&password("correct horsf"))), Err(FileProblem::WrongPassword));
    assert_eq!(file.open(None), Err(FileProblem::NeedsPassword));
    assert_ne!(*file.to_text(), *seal(7, Some(&right), ITERATIONS).to_text(), "a new salt each time");
}

/// A wrong password that decrypts to something padded is told as any other.
#[test]
fn a_wrong_password_is_always_told_as_one() {
    let file = seal(7, Some(&password("right")), FEW);
    for number in 0..1000 {
        assert_eq!(file.open(Some(&password(&format!("wrong {number}")))), Err(FileProblem::WrongPassword));
    }
}

#[test]
fn our_files_have_enough_iterations_and_not_too_many() {
    let password = password("secret");
    for (iterations, is_fine) in [(FEW, false), (ITERATIONS - 1, false), (ITERATIONS, true), (ITERATIONS + 1, true)] {
        let text = seal(7, Some(&password), iterations).to_text();
        assert_eq!(WalletFile::parse(text.as_bytes(), ITERATIONS).is_ok(), is_fine, "{iterations}");
    }
}

/// The cost parameters of a file are checked before anything is computed: some of these would take hours, or all
/// memory.
#[test]
fn a_file_that_would_take_for_ever_is_refused_at_once() {
    let pbkdf2 = |iterations| Pbkdf2Params { iteration_count: iterations, ..pbkdf2_params() }.into();
    let scrypt = |cost_parameter, block_size, parallelization| {
        let salt = pbkdf2_params().salt;
        ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None }.into()
    };
    let cases: [(Kdf, bool); 13] = [
        (pbkdf2(1), true),
        (pbkdf2(ITERATIONS_MAX), true),
        (pbkdf2(0), false),
        (pbkdf2(ITERATIONS_MAX + 1), false),
        (pbkdf2(u32::MAX), false),
        (scrypt(1 << 14, 8, 1), true),
        (scrypt(1 << 17, 8, 16), true),
        (scrypt(1 << 18, 8, 1), false),
        (scrypt(1 << 14, 8, 17), false),
        (scrypt(1 << 63, u16::MAX, 1), false),
        (scrypt(0, 8, 1), false),
        (scrypt(1000, 8, 1), false),
        (scrypt(1 << 14, 0, 0), false),
    ];
    for (kdf, is_fine) in cases {
        let parameters = Parameters { kdf: kdf.clone(), encryption: EncryptionScheme::Aes256Cbc { iv: [1; 16] } };
        let info = EncryptedPrivateKeyInfo {
            encryption_algorithm: pkcs5::EncryptionScheme::Pbes2(parameters),
            encrypted_data: OctetStringRef::new(&[1; 64]).expect("short"),
        };
        let pem = encode_string(ENCRYPTED_LABEL, LineEnding::LF, &info.to_der().expect("DER")).expect("PEM");
        match KeyFile::parse(pem.as_bytes()) {
            Ok(_) => assert!(is_fine, "{kdf:?} was taken"),
            Err(FileProblem::Unsupported(_)) => assert!(!is_fine, "{kdf:?} was refused"),
            Err(problem) => panic!("{kdf:?}: {problem}"),
        }
    }
}

fn pbkdf2_params() -> Pbkdf2Params {
    Pbkdf2Params::hmac_sha256(1, &[1; 16]).expect("few and short")
}

fn index(random: &mut Random, end: usize) -> usize {
    random.below(end as u64) as usize
}

fn range(random: &mut Random, length: usize) -> std::ops::Range<usize> {
    let (one, other) = (index(random, length + 1), index(random, length + 1));
    one.min(other)..one.max(other)
}

/// Something else than `content`, made of it and of `other`.
fn corrupt(random: &mut Random, content: &[u8], other: &[u8]) -> Vec<u8> {
    loop {
        let mut bytes = content.to_vec();
        for _ in 0..1 + random.below(3) {
            let at = index(random, bytes.len().max(1));
            match random.below(9) {
                _ if bytes.is_empty() => bytes.push(random.bits() as u8),
                0 | 1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes[at] = random.bits() as u8,
                // Still PEM, so that it gets further in.
                3 | 4 => bytes[at] = b"ABCXYZabcxyz0189+/=\n- "[index(random, 22)],
                5 => bytes.truncate(at),
                6 => bytes.insert(at, random.bits() as u8),
                7 => drop(bytes.drain(range(random, content.len().min(bytes.len())))),
                _ => {
                    let taken = range(random, other.len());
                    let end = (at + taken.len()).min(bytes.len());
                    bytes.splice(at..end, other[taken].iter().copied());
                }
            }
        }
        if bytes != content && bytes != other {
            return bytes;
        }
    }
}

#[test]
fn ten_thousand_corruptions_are_refused_and_the_file_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (wallets, name) = (Folder::new(folder.path()), "team".parse().expect("a name"));
    let secret = password("secret");
    let files = [Some(&secret), None].map(|password| seal(7, password, ITERATIONS));
    let others = [Some(&secret), None].map(|password| seal(8, password, ITERATIONS).to_text());
    wallets.add(&name, &files[0]).expect("a new wallet");
    let mut random = Random::new(1);
    let mut told = [0; 3];
    for round in 0..CORRUPTIONS {
        let bytes = corrupt(&mut random, files[round % 2].to_text().as_bytes(), others[round / 2 % 2].as_bytes());
        // Some file systems wait for the disk when a file is shortened and written again.
        fs::remove_file(wallets.file(&name)).expect("there");
        fs::write(wallets.file(&name), &bytes).expect("written");
        let error = wallets.read(&name).expect_err("not what was written");
        let WalletError::File { problem, .. } = &error else { panic!("{error}") };
        match problem {
            FileProblem::Tampered => told[0] += 1,
            FileProblem::CutOff => told[1] += 1,
            FileProblem::NotAKey => told[2] += 1,
            // Blanks alone, or something that another program could have written.
            FileProblem::Reformatted | FileProblem::ForeignKey(_) | FileProblem::Unsupported(_) => {}
            other => panic!("{other:?} for {}", String::from_utf8_lossy(&bytes)),
        }
        assert_eq!(fs::read(wallets.file(&name)).expect("there"), bytes, "left alone");
        assert_eq!(fs::read_dir(folder.path().join("wallets")).expect("a folder").count(), 1);
    }
    assert!(told.iter().all(|count| *count > 100), "each kind of damage happened: {told:?}");
}

/// Anyone who can write the file can write its last line too. What does not open with the owner's password, or is
/// another key than the public half says, is refused all the same.
#[test]
fn ten_thousand_corruptions_with_a_right_checksum_are_refused() {
    let secret = password("secret");
    let files = [Some(&secret), None].map(|password| seal(7, password, FEW).to_text());
    let others = [Some(&secret), None].map(|password| seal(8, password, FEW).to_text());
    let body = |text: &str| text.as_bytes()[..text.rfind(CHECKSUM_PREFIX).expect("our own")].to_vec();
    let with_checksum = |mut bytes: Vec<u8>| {
        let digest = hex::encode(Sha256::digest(&bytes));
        bytes.extend_from_slice(format!("{CHECKSUM_PREFIX}{digest}\n").as_bytes());
        bytes
    };
    let mut random = Random::new(2);
    let mut decrypted = 0;
    for round in 0..CORRUPTIONS {
        let (own, other) = (body(&files[round % 2]), body(&others[round / 2 % 2]));
        let content = with_checksum(corrupt(&mut random, &own, &other));
        let result = WalletFile::parse(&content, FEW);
        decrypted += usize::from(result.is_ok());
        let opened = result.and_then(|file| file.open(Some(&secret)));
        assert!(opened.is_err(), "{}", String::from_utf8_lossy(&content));
    }
    assert!(decrypted > 100, "the form alone refused all but {decrypted}");
    assert!(open_few(&with_checksum(body(&files[0])), Some(&secret)).is_ok(), "the checksum is made as it should be");

    // The private half of one and the public half of another.
    for (own, other) in [(0, 0), (1, 1), (0, 1), (1, 0)] {
        let halves = |text: &str| text.find("-----BEGIN PUBLIC").expect("our own");
        let (own, other) = (body(&files[own]), body(&others[other]));
        let split = |bytes: &[u8]| halves(std::str::from_utf8(bytes).expect("ASCII"));
        let mixed = [&own[..split(&own)], &other[split(&other)..]].concat();
        assert_eq!(open_few(&with_checksum(mixed), Some(&secret)), Err(FileProblem::Tampered));
    }
}

#[test]
fn each_way_of_being_wrong_has_its_own_words() {
    let text = seal(7, None, ITERATIONS).to_text();
    let (own, bytes) = (text.as_str(), text.as_bytes());
    let own_cases = [
        (vec![], FileProblem::CutOff),
        (bytes[..bytes.len() - 1].to_vec(), FileProblem::CutOff),
        (bytes[..own.find(CHECKSUM_PREFIX).expect("our own")].to_vec(), FileProblem::CutOff),
        (bytes[..40].to_vec(), FileProblem::CutOff),
        (b"hello\n".to_vec(), FileProblem::NotAKey),
        (vec![b'x'; FILE_BYTES_MAX + 1], FileProblem::TooLong),
        (own.replace("BEGIN PRIVATE", "BEGIN PIRATE").into_bytes(), FileProblem::Tampered),
    ];
    for (content, want) in own_cases {
        assert_eq!(WalletFile::parse(&content, ITERATIONS).err(), Some(want), "{}", String::from_utf8_lossy(&content));
    }
    let block = seal(7, None, ITERATIONS).private_pem();
    let foreign_cases = [
        (vec![], FileProblem::CutOff),
        (b"-----BEG".to_vec(), FileProblem::CutOff),
        (block.as_bytes()[..60].to_vec(), FileProblem::CutOff),
        (block.replace("MC4C", "MC4D").into_bytes(), FileProblem::Tampered),
        (own.replace("MC4C", "MC4D").into_bytes(), FileProblem::Tampered),
        (b"hello".to_vec(), FileProblem::NotAKey),
        (b"\xff\xfe".to_vec(), FileProblem::NotAKey),
        (seal(7, None, ITERATIONS).public_pem().as_bytes().to_vec(), FileProblem::PublicKey),
        (vec![b'x'; FILE_BYTES_MAX + 1], FileProblem::TooLong),
    ];
    for (content, want) in foreign_cases {
        assert_eq!(KeyFile::parse(&content).err(), Some(want), "{}", String::from_utf8_lossy(&content));
    }
}

/// Each form that a whole key may have come to: what openssl reads is imported, and what stands in the folder of the
/// wallets says that it can be.
#[test]
fn a_whole_key_in_any_form_is_imported() {
    let (folder, name) = (tempfile::tempdir().expect("a temporary folder"), "team".parse().expect("a name"));
    let wallets = Folder::new(folder.path());
    let secret = password("secret");
    for password in [None, Some(&secret)] {
        let file = seal(7, password, ITERATIONS);
        let own = file.to_text();
        let halves = [file.private_pem(), file.public_pem()];
        let forms = [
            own.replace('\n', "\r\n"),
            own.replace('\n', "\r"),
            own.replace('\n', " \n"),
            own.trim_end().to_owned(),
            format!("\n{}\n", *own),
            format!("> {}", own.replace('\n', "\n> ")).replace("> ", "  "),
        ];
        for form in &forms {
            let key = KeyFile::parse(form.as_bytes()).unwrap_or_else(|problem| panic!("{form:?}: {problem}"));
            assert_eq!(key.open(Some(&secret)).expect("whole"), Seed::new([7; 32]), "{form:?}");
            let _ = fs::remove_file(wallets.file(&name));
            if password.is_none() && form == &forms[0] {
                wallets.add(&name, &file).expect("a new wallet");
            }
            fs::write(wallets.file(&name), form).expect("written");
            let error = wallets.read(&name).expect_err("not as it was written");
            assert_eq!(error.code(), "wallet_reformatted", "{form:?}: {error}");
        }
        let foreign = [
            halves[0].to_string(),
            [halves[0].as_str(), &halves[1]].concat(),
            [halves[1].as_str(), &halves[0]].concat(),
            ["words\n", halves[1].as_str(), "\r\n\r\n", &halves[0], &seal(8, None, FEW).private_pem()].concat(),
        ];
        for form in foreign {
            let key = KeyFile::parse(form.as_bytes()).unwrap_or_else(|problem| panic!("{form:?}: {problem}"));
            assert_eq!(key.open(Some(&secret)).expect("whole"), Seed::new([7; 32]), "{form:?}");
        }
    }
}

/// Whatever in a file says something about its key must agree with it.
#[test]
fn a_changed_key_is_not_imported() {
    let secret = password("secret");
    let [plain, closed] = [None, Some(&secret)].map(|password| seal(7, password, FEW));
    let other = seal(8, None, FEW);
    let opened = |text: &str| KeyFile::parse(text.as_bytes()).and_then(|key| key.open(Some(&secret)));
    for file in [&plain, &closed] {
        let mixed = [file.private_pem().as_str(), &other.public_pem()].concat();
        assert_eq!(opened(&mixed), Err(FileProblem::OtherPublicKey));
        // The checksum vouches for a key whose public half is lost, and for no other.
        let own = file.to_text();
        let lost = own.replace(file.public_pem().as_str(), "");
        assert_eq!(opened(&lost), Ok(Seed::new([7; 32])));
        let another = own.replace(file.private_pem().as_str(), &other.private_pem());
        assert_eq!(opened(&another), Err(FileProblem::Tampered));
    }
    let own = closed.to_text();
    let line = own.lines().nth(2).expect("a line of the ciphertext");
    let changed = own.replace(line, &line.chars().rev().collect::<String>());
    assert_eq!(opened(&changed), Err(FileProblem::Tampered), "no password is wrong");
    let key = KeyFile::parse(own.as_bytes()).expect("our own");
    assert_eq!(key.open(Some(&password("other"))), Err(FileProblem::WrongPassword));
}

#[test]
fn forms_that_their_own_programs_can_change_say_so() {
    let block = seal(7, None, FEW).private_pem();
    let old = "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,b619a06a16b7b7a6436579f06a14f45e\n\n";
    let utf_16: Vec<u8> = [0xfeff].into_iter().chain(block.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let cases = [
        (block.replacen("-----\n", old, 1).into_bytes(), "old encryption of PEM files"),
        (utf_16, "UTF-16"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n".to_vec(), "PuTTYgen"),
        (b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here\n".to_vec(), "public half"),
    ];
    for (content, word) in cases {
        let problem = KeyFile::parse(&content).expect_err(word);
        assert!(problem.to_string().contains(word), "{problem}");
    }
}

/// PKCS#8 version 2 has the public half too, which must be the right one.
#[test]
fn version_2_with_both_halves_is_taken() {
    let PublicKey::Ed25519(public) = SecretKey::from_seed([7; 32]).public_key();
    let PublicKey::Ed25519(other) = SecretKey::from_seed([8; 32]).public_key();
    for (public, want) in [(public, Ok(Seed::new([7; 32]))), (other, Err(FileProblem::Tampered))] {
        let pair = KeypairBytes { secret_key: [7; 32], public_key: Some(ed25519::PublicKeyBytes(public)) };
        let pem = pair.to_pkcs8_pem(LineEnding::CRLF).expect("PEM");
        assert_eq!(KeyFile::parse(format!("words before\r\n{}", *pem).as_bytes()).and_then(|key| key.open(None)), want);
    }
}

/// Nothing can be said about a changed file of another program but that it does no harm.
#[test]
fn ten_thousand_corruptions_of_foreign_files_do_no_harm() {
    let secret = password("secret");
    let files = [Some(&secret), None].map(|password| seal(7, password, FEW).private_pem());
    let mut random = Random::new(3);
    let mut opened = 0;
    for round in 0..CORRUPTIONS {
        let content = corrupt(&mut random, files[round % 2].as_bytes(), files[round / 2 % 2].as_bytes());
        if let Ok(key) = KeyFile::parse(&content) {
            let _ = key.open(Some(&secret));
            opened += 1;
        }
    }
    assert!(opened > 100, "only {opened} got so far");
}
