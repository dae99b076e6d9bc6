//! OSC 1.0 packets from and to bytes. What comes from outside is bounded before it is
//! taken apart. Pure.

use crate::arguments;
use rosc::{OscBundle, OscMessage, OscPacket, OscType};

/// Longest address sent, in bytes.
pub const MAX_ADDRESS: usize = 256;
/// Longest event's name, in bytes: what midimon takes.
const MAX_EVENT: usize = 64;
/// Longest event's value, in bytes: what midimon takes.
const MAX_VALUE: usize = 1024;
/// Bundles in bundles.
const MAX_DEPTH: usize = 4;
/// Messages of one packet.
const MAX_MESSAGES: usize = 64;
/// Arrays in arrays.
const MAX_ARRAYS: usize = 8;

/// Why an address is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Not as OSC 1.0 writes them.
    #[error(
        "'{0}' is no OSC address: it begins with '/' and has no spaces, no '#' and at most {MAX_ADDRESS} bytes of ASCII"
    )]
    Address(String),
    /// The arguments.
    #[error(transparent)]
    Arguments(#[from] arguments::Unreadable),
    /// Too long for a datagram, or not to be written.
    #[error("the message cannot be sent: {0}")]
    Message(String),
}

/// A message as bytes.
pub fn write(address: &str, arguments: &str) -> Result<Vec<u8>, Misfit> {
    if !is_address(address, MAX_ADDRESS) {
        return Err(Misfit::Address(address.chars().take(80).collect()));
    }
    let message = OscMessage { addr: address.to_owned(), args: arguments::read(arguments)? };
    rosc::encoder::encode(&OscPacket::Message(message)).map_err(|error| Misfit::Message(format!("{error:?}")))
}

/// Patterns (`*?[]{}`) are for the receiver to match, so they may be sent.
fn is_address(address: &str, max: usize) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    address.len() > 1 && address.len() <= max && address.starts_with('/') && address.bytes().all(is_allowed)
}

/// A message that came, as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The address: the event's name.
    pub address: String,
    /// The arguments: the event's value.
    pub value: String,
}

/// The messages of a packet, those in bundles too (at once: time tags are for sound). `None`
/// when it is no packet; messages that make no event are left out.
pub fn read(bytes: &[u8]) -> Option<Vec<Arrived>> {
    if is_too_deep(bytes, 0) {
        return None;
    }
    let (rest, packet) = rosc::decoder::decode_udp(bytes).ok()?;
    let mut arrived = Vec::new();
    collect(packet, &mut arrived);
    rest.is_empty().then_some(arrived)
}

/// Whether bundles or arrays are nested beyond what anybody sends: before a recursive reader sees them.
fn is_too_deep(bytes: &[u8], depth: usize) -> bool {
    let Some(mut rest) = bytes.strip_prefix(b"#bundle\0").and_then(|rest| rest.get(8..)) else {
        return bytes.iter().filter(|&&byte| byte == b'[').count() > MAX_ARRAYS;
    };
    if depth == MAX_DEPTH {
        return true;
    }
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        let Some((element, after)) = after.split_at_checked(size) else { return false };
        if is_too_deep(element, depth + 1) {
            return true;
        }
        rest = after;
    }
    false
}

fn collect(packet: OscPacket, arrived: &mut Vec<Arrived>) {
    match packet {
        OscPacket::Message(OscMessage { addr, args }) => {
            if arrived.len() < MAX_MESSAGES && is_address(&addr, MAX_EVENT) {
                arrived.push(Arrived { address: addr, value: value(&args) });
            }
        }
        OscPacket::Bundle(OscBundle { content, .. }) => content.into_iter().for_each(|packet| collect(packet, arrived)),
    }
}

fn value(arguments: &[OscType]) -> String {
    let mut value = arguments::show(arguments);
    value.truncate(value.floor_char_boundary(MAX_VALUE));
    value
}

/// Only the latest of each address, in the order they came first: a fader sends more than anybody can use.
pub fn latest(arrived: Vec<Arrived>) -> Vec<Arrived> {
    let mut kept: Vec<Arrived> = Vec::new();
    for one in arrived {
        match kept.iter_mut().find(|earlier| earlier.address == one.address) {
            Some(earlier) => *earlier = one,
            None => kept.push(one),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bundle(elements: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
        for element in elements {
            bytes.extend(u32::try_from(element.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(element);
        }
        bytes
    }

    fn arrived(address: &str, value: &str) -> Arrived {
        Arrived { address: address.into(), value: value.into() }
    }

    #[test]
    fn a_message_is_the_bytes_of_the_specifications_examples() {
        // https://opensoundcontrol.stanford.edu/spec-1_0-examples.html
        assert_eq!(
            write("/oscillator/4/frequency", "440.0").unwrap(),
            b"/oscillator/4/frequency\0,f\0\0\x43\xdc\x00\x00"
        );
        let bytes = write("/foo", r#"1000 -1 "hello" 1.234 5.678"#).unwrap();
        let expected: &[u8] =
            b"/foo\0\0\0\0,iisff\0\0\0\0\x03\xe8\xff\xff\xff\xffhello\0\0\0\x3f\x9d\xf3\xb6\x40\xb5\xb2\x2d";
        assert_eq!(bytes, expected);
        assert_eq!(read(expected).unwrap(), [arrived("/foo", r#"1000 -1 "hello" 1.234 5.678"#)]);
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        let long = format!("/{}", "x".repeat(256));
        for address in ["", "/", "foo", "/a b", "/a#b", "/ü", "/a\0b", "/a\nb", &long] {
            assert!(matches!(write(address, ""), Err(Misfit::Address(_))), "{address}");
        }
        assert!(write("/ch/*/mix", "").is_ok());
    }

    #[test]
    fn a_bundle_is_its_messages_in_order() {
        let (one, two) = (write("/a", "1").unwrap(), write("/b", "true").unwrap());
        let nested = bundle(&[&one, &bundle(&[&two])]);
        assert_eq!(read(&nested).unwrap(), [arrived("/a", "1"), arrived("/b", "true")]);
    }

    #[test]
    fn nesting_beyond_reason_is_refused_and_within_it_is_not() {
        let nested = |depth: usize| (0..depth).fold(write("/a", "").unwrap(), |inner, _| bundle(&[&inner]));
        assert_eq!(read(&nested(4)).unwrap(), [arrived("/a", "")]);
        assert_eq!(read(&nested(5)), None);
        assert_eq!(read(&nested(400)), None);
        let arrays = |count: usize| {
            let mut bytes = b"/a\0\0,".to_vec();
            bytes.extend(std::iter::repeat_n(b'[', count).chain(std::iter::repeat_n(b']', count)));
            bytes.resize(bytes.len() + 4 - bytes.len() % 4, 0);
            bytes
        };
        assert!(read(&arrays(2)).is_some());
        assert_eq!(read(&arrays(4000)), None);
    }

    #[test]
    fn messages_that_make_no_event_are_left_out() {
        let long = write(&format!("/{}", "x".repeat(64)), "").unwrap();
        let fine = write(&format!("/{}", "x".repeat(63)), "").unwrap();
        assert_eq!(read(&long).unwrap(), []);
        assert_eq!(read(&bundle(&[&long, &fine])).unwrap().len(), 1);
        let many: Vec<Vec<u8>> = (0..200).map(|number| write("/a", &number.to_string()).unwrap()).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        assert_eq!(read(&bundle(&many)).unwrap().len(), MAX_MESSAGES);
        let text = write("/a", &format!("\"{}\"", "ü".repeat(2000))).unwrap();
        assert!(read(&text).unwrap()[0].value.len() <= MAX_VALUE);
    }

    #[test]
    fn of_each_address_the_latest_counts() {
        let all = ["/a 1", "/b 1", "/a 2", "/a 3"].map(|text| arrived(&text[..2], &text[3..]));
        assert_eq!(latest(all.to_vec()), [arrived("/a", "3"), arrived("/b", "1")]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_bundle in any::<bool>()) {
            let bytes = if is_bundle { [b"#bundle\0", bytes.as_slice()].concat() } else { [b"/a\0\0,", bytes.as_slice()].concat() };
            let _ = read(&bytes);
        }
    }
}
