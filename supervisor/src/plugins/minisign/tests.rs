//! Keys and signatures that Debian's minisign 0.11 made, attacks on signatures
//! and keys, and what becomes of them when a bit is flipped.

use super::secret::Cost;
use super::*;
use proptest::prelude::*;

/// Made by `minisign -G -W`.
const PUBLIC: &str = "RWRo3SqElYRuf4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8";
const SECRET: &str = "untrusted comment: minisign encrypted secret key\n\
    RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAaN0qhJWEbn8fmq+zDodmaE2VUTYQH8CuOKgZ\
    1bFdsnCq5jsKg/PtJ4scICSxCQId73q2ps49WgeAWGYuD8cZvPwn6kJ8qWM8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
/// Of `hello\n`, by `minisign -S -t $'tab\there'`.
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
    RURo3SqElYRuf9ZLzYXVk/C8WIRTVOha8WiOAQNI2bXVvFRVMbTrCDT5G91rijk2UbpGxD5InEW2loWhRmbps487LNE10k8lLgY=\n\
    trusted comment: tab\there\n\
    laUOhmY/OEfWqy2pyQRHKp0h5y8VUdij+AxhPsdGCpQ5vOF7U+MZklwJPeNHKQ6taQg92AYPtlVYGBLR9j57AA==\n";
/// Of the same, by `minisign -S -l`.
const LEGACY: &str = "untrusted comment: signature from minisign secret key\n\
    RWRo3SqElYRufzzAL2eSxeZBbu6HtDeJguf22QCkYOm4m/Zmu3Fms5N9G1Cqo4/Pvw8osB94pi0V56nxQH67VRZjxMDJGsXICQo=\n\
    trusted comment: timestamp:1795331307\tfile:f\n\
    qaML5YMi4RlOkTb25qR+yNXgc8hUFR26ORL93fxD6epgbjOFgnYeATzaIRBiRtzHBciStHNdc+PbdlPzkK71Cw==\n";

fn public() -> PublicKey {
    PUBLIC.parse().unwrap()
}

fn hello() -> Blake2b512Digest {
    Blake2b512Digest::of(b"hello\n")
}

fn comment(text: &str) -> TrustedComment {
    TrustedComment::new(text).unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned().into()).unwrap()
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
}

#[test]
fn what_minisign_made_is_read_and_verified() {
    let secret = SecretKey::from_file_text(SECRET, || panic!("it has no password")).unwrap();
    assert_eq!(secret.public(), public());
    assert_eq!(public().key_id_hex(), "7F6E8495842ADD68");
    assert_eq!(public().to_string(), PUBLIC);
    let signature = Signature::parse(SIGNATURE).unwrap();
    assert_eq!(signature.verify(&public(), &hello()).unwrap().as_str(), "tab\there");
    // Ed25519 has no chance in it: the same key signs the same
    let ours = Signature::sign(&secret, &hello(), comment("tab\there"));
    assert!(ours.to_text().lines().skip(1).eq(SIGNATURE.lines().skip(1)), "all but the untrusted comment");
    // which names the key in ours alone
    assert_eq!((ours.claimed_key(), signature.claimed_key()), (Some(&public()), None));
    assert_eq!(Signature::parse(&ours.to_text()).unwrap(), ours);
}

#[test]
fn lines_may_end_in_crlf_and_the_last_in_nothing() {
    for text in [SIGNATURE.replace('\n', "\r\n"), SIGNATURE.trim_end().to_owned()] {
        assert!(Signature::parse(&text).unwrap().verify(&public(), &hello()).is_ok(), "{text:?}");
    }
}

#[test]
fn e088_the_old_kind_of_signature_is_refused_with_the_way_out() {
    let error = Signature::parse(LEGACY).unwrap_err();
    assert!(matches!(error, SignatureError::Legacy));
    assert!(error.to_string().contains("midimon plugin sign"), "{error}");
    // nor does it pass as the new kind
    let relabelled = LEGACY.replace("RWRo", "RURo");
    let error = Signature::parse(&relabelled).unwrap().verify(&public(), &hello()).unwrap_err();
    assert!(matches!(error, SignatureError::Content), "{error}");
    let unknown = Signature::parse(&SIGNATURE.replace("RURo", "RVRo")).unwrap_err();
    assert!(matches!(unknown, SignatureError::Algorithm), "{unknown}");
}

#[test]
fn e088_a_signature_of_another_shape_is_refused() {
    let lines: Vec<&str> = SIGNATURE.lines().collect();
    let edited = |line: usize, text: &str| {
        let mut lines = lines.clone();
        lines[line] = text;
        lines.join("\n") + "\n"
    };
    for bad in [
        String::new(),
        "\n\n\n\n".to_owned(),
        lines[..3].join("\n"),
        format!("{SIGNATURE}\n"),
        format!("{SIGNATURE}more\n"),
        format!("\u{feff}{SIGNATURE}"),
        edited(0, "comment"),
        edited(1, ""),
        edited(1, &format!("{} ", lines[1])),
        edited(1, lines[1].trim_end_matches('=')),
        edited(1, &lines[1].replace("LgY=", "LgZ=")), // a bit beyond the last byte
        edited(1, &lines[1].replace('/', "_")),       // not the standard alphabet
        edited(2, "untrusted comment: x"),
        edited(2, "trusted comment: \u{1b}[2J"),
        edited(2, "trusted comment: a\rb"),
        edited(2, &format!("trusted comment: {}", "x".repeat(8_200))),
        edited(3, ""),
        edited(3, lines[1]),
        edited(0, &format!("untrusted comment: {}", "x".repeat(MAX_TEXT))),
    ] {
        assert_ne!(bad, SIGNATURE);
        let error = Signature::parse(&bad).expect_err(&bad);
        assert!(matches!(error, SignatureError::Format(_)), "{bad:?}: {error}");
    }
}

#[test]
fn e088_no_part_of_a_signature_can_come_from_another() {
    let secret = SecretKey::from_file_text(SECRET, || None).unwrap();
    let other = Signature::sign(&secret, &Blake2b512Digest::of(b"other"), comment("other")).to_text();
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (SIGNATURE.lines().collect(), other.lines().collect());
    let verified = |lines: &[&str]| Signature::parse(&lines.join("\n")).unwrap().verify(&public(), &hello());
    assert!(verified(&[theirs[0], ours[1], ours[2], ours[3]]).is_ok(), "the untrusted comment is nobody's");
    assert!(matches!(verified(&[ours[0], theirs[1], ours[2], ours[3]]), Err(SignatureError::Content)));
    assert!(matches!(verified(&[ours[0], ours[1], theirs[2], ours[3]]), Err(SignatureError::Comment)));
    assert!(matches!(verified(&[ours[0], ours[1], ours[2], theirs[3]]), Err(SignatureError::Comment)));
    assert!(matches!(verified(&[theirs[0], theirs[1], theirs[2], theirs[3]]), Err(SignatureError::Content)));
}

#[test]
fn e089_a_signature_by_another_key_is_refused_also_under_the_same_key_id() {
    let attacker = SecretKey::generate().unwrap();
    let error = Signature::sign(&attacker, &hello(), comment("x")).verify(&public(), &hello()).unwrap_err();
    assert!(matches!(&error, SignatureError::OtherKey { key, .. } if key == "7F6E8495842ADD68"), "{error}");
    let pretending = SecretKey::from_parts(public().key_id(), &[7; 32]).unwrap();
    let signature = Signature::sign(&pretending, &hello(), comment("x"));
    assert!(signature.verify(&pretending.public(), &hello()).is_ok());
    assert!(matches!(signature.verify(&public(), &hello()), Err(SignatureError::Content)));
}

/// Of the key whose seed is 0, 1, … 31, over the hash of `content`: R is the
/// neutral point and S = H(R, A, M)·a. Computed apart, with plain integers.
const SMALL_ORDER_R: &str = "0100000000000000000000000000000000000000000000000000000000000000\
                             1d320cb7e700cbfff9bb99077dc605c10f2b146bda10a52e1613ebf970e16e0a";
/// The order of the group, little-endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn e088_malleable_and_small_order_signatures_are_refused() {
    let secret = SecretKey::from_parts([1; 8], &std::array::from_fn(|index| index as u8)).unwrap();
    let hash = Blake2b512Digest::of(b"content");
    let with = |of_file: [u8; 64]| {
        let of_all = secret.sign(&[&of_file[..], b"x"].concat());
        let lines = [[&PREHASHED[..], &[1; 8], &of_file].concat(), of_all.to_vec()].map(encode);
        let text = format!("{UNTRUSTED}\n{}\n{TRUSTED}x\n{}\n", lines[0], lines[1]);
        Signature::parse(&text).unwrap().verify(&secret.public(), &hash)
    };
    let genuine = secret.sign(&hash.0);
    assert!(with(genuine).is_ok());

    // S + L is S in another encoding
    let (mut other, mut carry) = (genuine, 0);
    for (byte, add) in other[32..].iter_mut().zip(hex::<32>(ORDER)) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert!(matches!(with(other), Err(SignatureError::Content)));

    // what a lenient check lets pass
    let small = hex::<64>(SMALL_ORDER_R);
    let lenient = secret.public().verifying().unwrap();
    assert!(ed25519_dalek::Verifier::verify(&lenient, &hash.0, &ed25519_dalek::Signature::from_bytes(&small)).is_ok());
    assert!(matches!(with(small), Err(SignatureError::Content)));
    assert!(matches!(with([0; 64]), Err(SignatureError::Content)), "an empty one");
}

#[test]
fn e088_weak_keys_and_keys_in_a_second_encoding_are_refused() {
    for weak in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ] {
        assert!(matches!(PublicKey::new([1; 8], hex(weak)), Err(KeyError::Weak)), "{weak}");
    }
    // y = p + 3, which is a point when it is written as 3
    let second = hex("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    assert!(matches!(PublicKey::new([1; 8], second), Err(KeyError::NotAPoint)));
    let mut first = [0; 32];
    first[0] = 3;
    assert!(PublicKey::new([1; 8], first).is_ok());
    // y = 2 is on no point
    first[0] = 2;
    assert!(matches!(PublicKey::new([1; 8], first), Err(KeyError::NotAPoint)));
}

#[test]
fn a_fingerprint_is_half_a_sha_256_of_the_key_and_not_of_its_id() {
    let text = public().fingerprint().to_string();
    assert_eq!((text.len(), text.split(' ').count()), (39, 8), "{text}");
    let other_id = PublicKey::new([9; 8], public().verifying().unwrap().to_bytes()).unwrap();
    assert_eq!(other_id.fingerprint(), public().fingerprint());
    assert!(other_id == public() && other_id.key_id() != public().key_id());
    assert_eq!(std::collections::HashSet::from([public(), other_id]).len(), 1);
    assert!(other_id.cmp(&public()).is_eq());
}

#[test]
fn a_public_key_survives_its_file_and_serde() {
    let key = public();
    assert_eq!(PublicKey::from_file_text(&key.to_file_text("a\nb")).unwrap(), key, "a comment stays one line");
    let json = serde_json::to_string(&key).unwrap();
    assert_eq!((json.as_str(), serde_json::from_str::<PublicKey>(&json).unwrap()), (&*format!("\"{PUBLIC}\""), key));
    for bad in [format!("{PUBLIC}\n"), format!("x\n{PUBLIC}\n"), key.to_file_text("x") + "\n"] {
        assert!(PublicKey::from_file_text(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_secret_key_survives_its_file_with_and_without_a_password() {
    let secret = SecretKey::generate().unwrap();
    let text = secret.to_text_at_cost(Some(&password("correct horse")), "c", Cost::LEAST).unwrap();
    assert!(SecretKey::needs_password(&text).unwrap());
    let opened = SecretKey::from_file_text(&text, || Some(password("correct horse"))).unwrap();
    assert_eq!(opened.sign(b"x"), secret.sign(b"x"));
    let wrong = SecretKey::from_file_text(&text, || Some(password("correct horsf"))).unwrap_err();
    assert!(matches!(wrong, SecretKeyError::WrongPassword), "{wrong}");
    assert!(matches!(SecretKey::from_file_text(&text, || None), Err(SecretKeyError::NeedsPassword)));
    let open = secret.to_file_text(None, "c").unwrap();
    assert!(!SecretKey::needs_password(&open).unwrap());
    assert_eq!(SecretKey::from_file_text(&open, || panic!("none is needed")).unwrap().sign(b"x"), secret.sign(b"x"));
}

#[test]
fn a_secret_key_whose_halves_do_not_belong_together_is_refused() {
    let bytes = |text: &str| BASE64_STANDARD.decode(text.lines().nth(1).unwrap()).unwrap();
    let text = |bytes: &[u8]| format!("{UNTRUSTED}x\n{}\n", BASE64_STANDARD.encode(bytes));
    let mut swapped = bytes(SECRET);
    // another key's public half, and no checksum that would tell
    let other = SecretKey::generate().unwrap().public().verifying().unwrap().to_bytes();
    swapped[94..126].copy_from_slice(&other);
    let error = SecretKey::from_file_text(&text(&swapped), || None).unwrap_err();
    assert!(matches!(error, SecretKeyError::Mismatch), "{error}");
    assert_eq!(SecretKey::from_file_text(&text(&bytes(SECRET)), || None).unwrap().public(), public());
}

#[test]
fn libsodiums_limits_become_scrypts_parameters() {
    assert_eq!(Cost::SENSITIVE.parameters(), (20, 8, 1));
    // crypto_pwhash_scryptsalsa208sha256_*_INTERACTIVE
    assert_eq!(Cost { operations: 524_288, memory: 16_777_216 }.parameters(), (14, 8, 1));
    assert_eq!(Cost::LEAST.parameters(), (10, 8, 1));
    assert_eq!(Cost { operations: 33_554_432, memory: 16_777_216 }.parameters(), (14, 8, 64));
}

#[test]
fn a_secret_key_that_asks_for_more_work_than_minisign_is_refused_before_the_password() {
    let secret = SecretKey::generate().unwrap();
    let text = secret.to_text_at_cost(Some(&password("p")), "c", Cost::LEAST).unwrap();
    let bytes = BASE64_STANDARD.decode(text.lines().nth(1).unwrap()).unwrap();
    for (at, value) in [(38, 33_554_433), (38, u64::MAX), (38, 0), (46, 1_073_741_825), (46, u64::MAX), (46, 1)] {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        let text = format!("{UNTRUSTED}c\n{}\n", BASE64_STANDARD.encode(bytes));
        let error = SecretKey::from_file_text(&text, || panic!("asked for a password")).unwrap_err();
        assert!(matches!(error, SecretKeyError::Limits), "{value}: {error}");
    }
}

#[test]
fn passwords_are_what_minisign_can_read() {
    let new = |text: &str| Password::new(text.to_owned().into());
    assert_eq!(new("").unwrap_err(), PasswordError::Empty);
    assert_eq!(new("a\nb").unwrap_err(), PasswordError::Character);
    assert_eq!(new(&"x".repeat(1_024)).unwrap_err(), PasswordError::TooLong);
    assert!(new(&"x".repeat(1_023)).is_ok());
}

#[test]
fn nothing_secret_is_printed_by_debug() {
    let secret = SecretKey::from_file_text(SECRET, || None).unwrap();
    let shown = format!("{secret:?} {:?}", password("hidden"));
    assert_eq!(shown, format!("SecretKey(of {PUBLIC}) Password(…)"));
}

proptest! {
    #[test]
    fn e088_a_flipped_bit_anywhere_in_a_signature_fails_but_in_the_id_which_is_nobodys(bit in 0..SIGNATURE.len() * 8) {
        let start = SIGNATURE.find('\n').unwrap() + 1;
        let mut bytes = SIGNATURE.as_bytes().to_vec();
        let at = start + (bit / 8) % (bytes.len() - 1 - start);
        bytes[at] ^= 1 << (bit % 8);
        let changed = std::str::from_utf8(&bytes).ok().and_then(|text| Signature::parse(text).ok());
        if let Some(changed) = changed.filter(|changed| changed.verify(&public(), &hello()).is_ok()) {
            let genuine = Signature::parse(SIGNATURE).unwrap();
            let id = |signature: &Signature| signature.claimed_key_id_hex();
            prop_assert_ne!(id(&changed), id(&genuine), "byte {} bit {}", at, bit % 8);
            // the signatures after it are the same
            let tail = |signature: &Signature| signature.to_text().lines().nth(1).unwrap()[14..].to_owned();
            prop_assert_eq!(tail(&changed), tail(&genuine));
        }
    }

    #[test]
    fn e088_a_flipped_bit_in_the_key_fails_but_in_its_id_which_is_nobodys(bit in 0..42_usize * 8) {
        let mut bytes = BASE64_STANDARD.decode(PUBLIC).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let key = BASE64_STANDARD.encode(bytes).parse::<PublicKey>();
        let signature = Signature::parse(SIGNATURE).unwrap();
        let is_id = (16..80).contains(&bit);
        prop_assert_eq!(key.is_ok_and(|key| key == public() && signature.verify(&key, &hello()).is_ok()), is_id);
    }

    #[test]
    fn e088_a_flipped_bit_in_the_file_fails(content in proptest::collection::vec(any::<u8>(), 1..200), bit: prop::sample::Index) {
        let secret = SecretKey::from_file_text(SECRET, || None).unwrap();
        let signature = Signature::sign(&secret, &Blake2b512Digest::of(&content), comment("c"));
        prop_assert!(signature.verify(&public(), &Blake2b512Digest::of(&content)).is_ok());
        let mut other = content.clone();
        let bit = bit.index(content.len() * 8);
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(signature.verify(&public(), &Blake2b512Digest::of(&other)).is_err());
    }

    #[test]
    fn a_flipped_bit_in_a_summed_secret_key_fails(bit in 0..104_usize * 8) {
        let secret = SecretKey::from_parts([1; 8], &[2; 32]).unwrap();
        let text = secret.to_file_text(None, "c").unwrap();
        let mut bytes = BASE64_STANDARD.decode(text.lines().nth(1).unwrap()).unwrap();
        bytes[54 + bit / 8] ^= 1 << (bit % 8);
        let text = format!("{UNTRUSTED}c\n{}\n", BASE64_STANDARD.encode(bytes));
        prop_assert!(SecretKey::from_file_text(&text, || None).is_err());
    }
}
