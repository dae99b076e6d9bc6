//! Each way an index is refused, beside one that is not.

use crate::plugins::index::accept::{Accepted, Known, Refusal, accept};
use crate::plugins::index::testing::{DAY, at, index, key, listing, release, signed, signed_text};
use crate::plugins::index::{Index, IndexName, Signed};
use crate::plugins::minisign::{SecretKey, SignatureError};
use crate::timestamp::Timestamp;

/// A publisher's indexes as somebody sees them who has used one already.
struct Seen {
    secret: SecretKey,
    name: IndexName,
    last: Accepted,
}

impl Seen {
    /// Number 7 was used.
    fn new() -> Self {
        let secret = key();
        let known = Known { key: &secret.public(), name: None, last: None };
        let (index, last) = accept(&signed(&index(7, Vec::new()), &secret), known, at(DAY + 10)).unwrap();
        Self { secret, name: index.name, last }
    }

    fn offered(&self, signed: &Signed, now: Timestamp) -> Result<Index, Refusal> {
        let key = self.secret.public();
        let known = Known { key: &key, name: Some(&self.name), last: Some(&self.last) };
        accept(signed, known, now).map(|(index, _)| index)
    }

    fn index(&self, index: &Index, now: u64) -> Result<Index, Refusal> {
        self.offered(&signed(index, &self.secret), at(now))
    }
}

#[test]
fn e091_the_next_index_and_the_same_one_again_are_used() {
    let seen = Seen::new();
    let plugins = vec![listing("aa", vec![release("1.0.0", &seen.secret)])];
    let next = index(8, plugins);
    assert_eq!(seen.index(&next, DAY + 20).unwrap(), next);
    assert_eq!(seen.index(&index(1_000, Vec::new()), DAY + 1_000).unwrap().serial, 1_000);
    assert_eq!(seen.index(&index(7, Vec::new()), DAY + 20).unwrap().serial, 7);
}

#[test]
fn e091_an_index_of_a_lower_number_is_a_replay() {
    let seen = Seen::new();
    let refusal = seen.index(&index(6, Vec::new()), DAY + 20).unwrap_err();
    assert!(matches!(refusal, Refusal::Replayed { found: 6, known: 7 }), "{refusal}");
    assert!(refusal.to_string().contains("played back"), "{refusal}");
    // also when it has expired since
    let refusal = seen.index(&index(6, Vec::new()), DAY + 90 * 86_400).unwrap_err();
    assert!(matches!(refusal, Refusal::Replayed { .. }), "{refusal}");
}

#[test]
fn e091_an_index_that_is_held_back_ends_by_itself() {
    let seen = Seen::new();
    let next = index(8, Vec::new());
    let end = next.expires.unix_seconds();
    assert!(seen.index(&next, end - 1).is_ok());
    for now in [end, end + 1, u64::MAX] {
        let refusal = seen.index(&next, now).unwrap_err();
        assert!(matches!(refusal, Refusal::Expired { expires } if expires == next.expires), "{refusal}");
    }
    // the one that was used already ends, too
    assert!(matches!(seen.index(&index(7, Vec::new()), end), Err(Refusal::Expired { .. })));
}

#[test]
fn e091_two_indexes_of_one_number_are_equivocation() {
    let seen = Seen::new();
    let mut other = index(7, Vec::new());
    other.plugins.push(listing("aa", vec![release("1.0.0", &seen.secret)]));
    let refusal = seen.index(&other, DAY + 20).unwrap_err();
    assert!(matches!(refusal, Refusal::Equivocation { serial: 7 }), "{refusal}");
    // the same content in other bytes is as suspicious
    let spaced = index(7, Vec::new()).to_text() + " ";
    let refusal = seen.offered(&signed_text(&spaced, &seen.secret), at(DAY + 20)).unwrap_err();
    assert!(matches!(refusal, Refusal::Equivocation { .. }), "{refusal}");
}

#[test]
fn e091_an_index_of_the_future_is_refused_and_clocks_may_differ_by_a_day() {
    let seen = Seen::new();
    let next = index(8, Vec::new());
    let made = next.created.unix_seconds();
    assert!(seen.index(&next, made - 86_400).is_ok());
    let refusal = seen.index(&next, made - 86_401).unwrap_err();
    assert!(matches!(refusal, Refusal::Future { .. }), "{refusal}");
}

#[test]
fn e091_a_higher_number_made_before_the_last_one_is_refused() {
    let seen = Seen::new();
    let backwards = Index { created: at(DAY), ..index(8, Vec::new()) };
    let refusal = seen.index(&backwards, DAY + 20).unwrap_err();
    assert!(matches!(refusal, Refusal::Backwards { .. }), "{refusal}");
}

#[test]
fn e091_another_index_of_the_same_key_does_not_take_this_ones_place() {
    let seen = Seen::new();
    let other = Index { name: "testing".parse().unwrap(), ..index(8, Vec::new()) };
    let refusal = seen.index(&other, DAY + 20).unwrap_err();
    assert!(matches!(refusal, Refusal::OtherIndex { .. }), "{refusal}");
    assert!(refusal.to_string().contains("'testing'") && refusal.to_string().contains("'friends'"), "{refusal}");
}

#[test]
fn e091_only_the_pinned_keys_signature_over_every_byte_counts() {
    let seen = Seen::new();
    let (next, now) = (index(8, Vec::new()), at(DAY + 20));
    let stranger = seen.offered(&signed(&next, &key()), now).unwrap_err();
    assert!(matches!(stranger, Refusal::Signature(SignatureError::OtherKey { .. })), "{stranger}");
    let genuine = signed(&next, &seen.secret);
    assert!(seen.offered(&genuine, now).is_ok());
    for at in (0..genuine.bytes.len()).step_by(31) {
        let mut changed = genuine.clone();
        changed.bytes[at] ^= 1;
        let refusal = seen.offered(&changed, now).unwrap_err();
        assert!(matches!(refusal, Refusal::Signature(SignatureError::Content)), "{at}: {refusal}");
    }
    let of_the_last = Signed { signature: signed(&index(7, Vec::new()), &seen.secret).signature, ..genuine.clone() };
    assert!(matches!(seen.offered(&of_the_last, now), Err(Refusal::Signature(SignatureError::Content))));
    for signature in
        ["", "untrusted comment: x\n", &genuine.signature.replace("trusted comment: c", "trusted comment: d")]
    {
        let changed = Signed { signature: signature.to_owned(), ..genuine.clone() };
        assert!(matches!(seen.offered(&changed, now), Err(Refusal::Signature(_))), "{signature}");
    }
}

#[test]
fn what_a_key_signed_by_mistake_is_told_with_its_place() {
    let seen = Seen::new();
    let refusal = seen.offered(&signed_text("{\"schema\": 1, \"schema\": 1}", &seen.secret), at(DAY)).unwrap_err();
    assert!(refusal.to_string().contains("schema: this key is there twice"), "{refusal}");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))] // each signs a dozen times

        /// Whatever is shown in whatever order, the number never falls, no two contents
        /// of one number are both used, and nothing is used after its end.
        #[test]
        fn no_sequence_of_indexes_takes_the_user_back(
            shown in proptest::collection::vec((1..6_u64, 0..3_u64, 0..40_u64, any::<bool>()), 1..24),
        ) {
            let (secret, name) = (key(), "friends".parse::<IndexName>().unwrap());
            let (public, stranger) = (secret.public(), key());
            let mut last: Option<Accepted> = None;
            for (serial, variant, day, genuine) in shown {
                let mut offered = index(serial, Vec::new());
                offered.created = at(offered.created.unix_seconds() + variant);
                let now = at(DAY + day * 86_400);
                let signer = if genuine { &secret } else { &stranger };
                let known = Known { key: &public, name: Some(&name), last: last.as_ref() };
                let result = accept(&signed(&offered, signer), known, now);
                // the control: who knows of none yet takes what is genuine and not over
                prop_assert!(result.is_ok() || last.is_some() || !genuine || now >= offered.expires);
                if let Ok((index, accepted)) = result {
                    prop_assert!(genuine);
                    prop_assert!(now < index.expires);
                    if let Some(last) = last {
                        prop_assert!(accepted.serial >= last.serial && accepted.created >= last.created);
                        prop_assert!(accepted.serial > last.serial || accepted.sha256 == last.sha256);
                    }
                    last = Some(accepted);
                }
            }
        }
    }
}
