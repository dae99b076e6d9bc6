//! The ALSA sequencer: whether it can be used, and which ports it has.

use alsa::seq::{ClientInfo, ClientIter, PortCap, PortInfo, PortIter, PortType};
use alsa::{Direction, Seq};
use nix::unistd::{Gid, Group, User, geteuid};
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What our own sequencer clients are called; never listened to.
pub const CLIENT_NAME: &str = "midimon";
/// The kernel's device for it.
pub const DEVICE: &str = "/dev/snd/seq";
/// The first number of clients that are programs; lower ones are the kernel's.
const FIRST_PROGRAM: i32 = 128;
/// Ports looked at; a machine has a few dozen.
const MAX_PORTS: usize = 1024;

/// The sequencer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeqError {
    /// The kernel has none.
    #[error("no MIDI ports: {DEVICE} is missing; load the ALSA sequencer: sudo modprobe snd-seq")]
    Missing,
    /// The user may not.
    #[error(
        "no permission to use MIDI ports: {DEVICE} is for group {group}; \
         run: sudo usermod -aG {group} {user}, then log in again"
    )]
    Denied {
        /// Who may.
        group: String,
        /// Who we are.
        user: String,
    },
    /// Anything else.
    #[error("the ALSA sequencer ({DEVICE}) cannot be used: {0}")]
    Other(String),
}

impl From<alsa::Error> for SeqError {
    fn from(error: alsa::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// What kind of port it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A device's, or the kernel's stand-in for one.
    Hardware,
    /// The kernel's loop-back, "Midi Through".
    Through,
    /// Another program's.
    Software,
    /// A midimon's.
    Ours,
}

/// A port of the sequencer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The client's number; given anew at every plug-in.
    pub client: i32,
    /// The port's number within the client.
    pub port: i32,
    /// `client name:port name`, with ` #2` and so on behind the second of two equal ones.
    pub name: String,
    /// The client's own name.
    pub client_name: String,
    /// The port's own name.
    pub port_name: String,
    /// Whose it is.
    pub kind: PortKind,
    /// It can be listened to.
    pub input: bool,
    /// It can be sent to.
    pub output: bool,
}

/// Looks whether the sequencer can be opened, so that libasound need not complain on stderr.
///
/// # Errors
/// See [`SeqError`].
pub fn check_access() -> Result<(), SeqError> {
    match OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(DEVICE) {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(&error, Path::new(DEVICE))),
    }
}

/// Opens the sequencer as one more client of ours.
///
/// # Errors
/// See [`SeqError`].
pub(super) fn open(direction: Option<Direction>) -> Result<Seq, SeqError> {
    check_access()?;
    let seq = Seq::open(None, direction, true)?;
    seq.set_client_name(&std::ffi::CString::new(CLIENT_NAME).unwrap_or_default())?;
    Ok(seq)
}

fn explain(error: &io::Error, device: &Path) -> SeqError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => SeqError::Missing,
        Some(libc::EACCES | libc::EPERM) => SeqError::Denied {
            // what every distribution calls it
            group: group_of(device).unwrap_or_else(|| "audio".to_owned()),
            user: user(),
        },
        _ => SeqError::Other(error.to_string()),
    }
}

/// The group that may read and write a device, unless it is root's.
pub(crate) fn group_of(device: &Path) -> Option<String> {
    let data = std::fs::metadata(device).ok().filter(|data| data.gid() != 0 && data.mode() & 0o060 == 0o060)?;
    Some(Group::from_gid(Gid::from_raw(data.gid())).ok()??.name)
}

/// The user's name, as it goes into a command.
pub(crate) fn user() -> String {
    User::from_uid(geteuid()).ok().flatten().map_or_else(|| "$USER".to_owned(), |user| user.name)
}

/// Every port that carries MIDI, in the sequencer's order.
///
/// # Errors
/// See [`SeqError`].
pub fn ports() -> Result<Vec<Port>, SeqError> {
    Ok(ports_of(&open(Some(Direction::Playback))?))
}

/// [`ports`] through a client that is open already.
pub(super) fn ports_of(seq: &Seq) -> Vec<Port> {
    let ports = ClientIter::new(seq)
        .flat_map(|client| PortIter::new(seq, client.get_client()).filter_map(move |port| describe(&client, &port)));
    with_names(&ports.take(MAX_PORTS).collect::<Vec<_>>(), &[])
}

/// Gives each port a name of its own: the one it has in `known`, else its plain
/// one, else that with the lowest number that is free.
pub(super) fn with_names(ports: &[Port], known: &[Port]) -> Vec<Port> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut names: Vec<Option<String>> = Vec::with_capacity(ports.len());
    for port in ports {
        let before = known.iter().find(|known| known.is_same(port)).map(|known| known.name.clone());
        taken.extend(before.clone());
        names.push(before);
    }
    let name = |(port, before): (&Port, Option<String>)| {
        let name = before.unwrap_or_else(|| {
            let plain = format!("{}:{}", port.client_name, port.port_name);
            let numbered = (2..).map(|number| format!("{plain} #{number}"));
            let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken.contains(name));
            free.unwrap_or(plain) // cannot fail: the numbers do not end
        });
        taken.insert(name.clone());
        Port { name, ..port.clone() }
    };
    ports.iter().zip(names).map(name).collect()
}

impl Port {
    /// Whether it is the same one, whatever it is called.
    fn is_same(&self, other: &Self) -> bool {
        (self.client, self.port, &self.client_name, &self.port_name)
            == (other.client, other.port, &other.client_name, &other.port_name)
    }
}

fn describe(client: &ClientInfo, port: &PortInfo) -> Option<Port> {
    let kinds = port.get_type();
    // what midir can open
    if !kinds.intersects(PortType::MIDI_GENERIC | PortType::SYNTH | PortType::APPLICATION) {
        return None;
    }
    let can = |wanted| port.get_capability().contains(wanted) && !port.get_capability().contains(PortCap::NO_EXPORT);
    let client_name = clean(client.get_name().unwrap_or("unnamed"));
    let port_name = clean(port.get_name().unwrap_or("unnamed"));
    Some(Port {
        client: port.get_client(),
        port: port.get_port(),
        name: format!("{client_name}:{port_name}"),
        kind: match &*client_name {
            CLIENT_NAME => PortKind::Ours,
            "Midi Through" => PortKind::Through,
            _ if port.get_client() < FIRST_PROGRAM || kinds.contains(PortType::HARDWARE) => PortKind::Hardware,
            _ => PortKind::Software,
        },
        client_name,
        port_name,
        input: can(PortCap::READ | PortCap::SUBS_READ),
        output: can(PortCap::WRITE | PortCap::SUBS_WRITE),
    })
}

/// Other programs choose these names: nothing in them may move a terminal's cursor.
fn clean(name: &str) -> String {
    name.chars().map(|character| if character.is_control() { '\u{FFFD}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_with_its_remedy() {
        let explained = |errno| explain(&io::Error::from_raw_os_error(errno), Path::new("/nonexistent")).to_string();
        assert!(explained(libc::ENOENT).contains("modprobe snd-seq"));
        assert!(explained(libc::EACCES).contains("/dev/snd/seq is for group audio"));
        assert!(explained(libc::EACCES).contains(&format!("usermod -aG audio {}", user())));
        assert!(explained(libc::EMFILE).contains("open files"));
    }

    #[test]
    fn equal_ports_are_numbered_and_keep_their_names_while_they_are_known() {
        let port = |client| Port {
            client,
            port: 0,
            name: String::new(),
            client_name: "Pads".into(),
            port_name: "MIDI 1".into(),
            kind: PortKind::Hardware,
            input: true,
            output: true,
        };
        let names = |ports: &[Port]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
        let both = with_names(&[port(20), port(24)], &[]);
        assert_eq!(names(&both), ["Pads:MIDI 1", "Pads:MIDI 1 #2"]);
        // the first is pulled and comes back in another place
        let left = with_names(&[port(24)], &both[1..]);
        assert_eq!(names(&left), ["Pads:MIDI 1 #2"]);
        assert_eq!(names(&with_names(&[port(24), port(28)], &left)), ["Pads:MIDI 1 #2", "Pads:MIDI 1"]);
        assert_eq!(names(&with_names(&[port(20), port(24)], &left)), ["Pads:MIDI 1", "Pads:MIDI 1 #2"]);
    }

    #[test]
    fn names_from_other_programs_lose_control_characters() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\u{FFFD}[2Jb\u{FFFD}");
    }
}
