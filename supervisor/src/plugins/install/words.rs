//! What each capability means, in midimon's own words. The one table of them:
//! no text of a plugin is ever in it but the target, which is shown whole, in quotation
//! marks that it cannot close.

use super::plan::LoginTarget;
use crate::workers::broker::address;
use crate::workers::broker::endpoint::{Endpoint, Host, Transport};
use midimon_shared::capability::{Capability, CapabilityKind};
use midimon_shared::text::quoted;
use serde::Serialize;

/// How much harm a capability can do, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// A nuisance at worst.
    Low,
    /// It can tell others what it knows.
    Medium,
    /// It can act as the user, or reach what is not on the internet. The plugin's
    /// name has to be typed for it.
    High,
}

/// A heading of a word or two for a kind of capability.
#[must_use]
pub const fn label(kind: CapabilityKind) -> &'static str {
    match kind {
        CapabilityKind::Filesystem => "Files",
        CapabilityKind::Network => "Network",
        CapabilityKind::Midi => "MIDI",
        CapabilityKind::Subprocess => "Programs",
        CapabilityKind::Input => "Keyboard",
        CapabilityKind::SystemControl => "System",
        CapabilityKind::Audio => "Sound",
        CapabilityKind::Mode => "Mode",
    }
}

/// What the plugin may do with it, as a sentence without its subject.
#[must_use]
pub fn sentence(capability: &Capability) -> String {
    let target = capability.target.as_deref().unwrap_or_default();
    match capability.kind {
        CapabilityKind::Filesystem => "keep files in a folder of its own; it sees no other file".to_owned(),
        CapabilityKind::Network => network(target),
        CapabilityKind::Midi => format!("send MIDI to {}", quoted(target)),
        CapabilityKind::Subprocess => {
            format!("run the program {} with arguments of its choice, outside the sandbox, as you", quoted(target))
        }
        CapabilityKind::Input => {
            "press keys, type text and move the mouse as you could, in any window, terminals too".to_owned()
        }
        CapabilityKind::SystemControl => "change volume and brightness, control media players".to_owned(),
        CapabilityKind::Audio => "play sounds".to_owned(),
        CapabilityKind::Mode => "change the mode, and with it what every pad does".to_owned(),
    }
}

/// What the plugin may do with a target that is still to be typed.
#[must_use]
pub const fn sentence_for_ask(kind: CapabilityKind) -> &'static str {
    match kind {
        CapabilityKind::Network => "connect to the one address that you type",
        CapabilityKind::Midi => "send MIDI to the one output that you type",
        CapabilityKind::Subprocess => "run the one program that you type, outside the sandbox, as you",
        // nothing else has a target
        _ => "use the one target that you type",
    }
}

/// What a login gives the plugin, as a sentence without its subject.
#[must_use]
pub fn login(target: &LoginTarget) -> String {
    let from = match target.token_host == target.authorize_host {
        true => String::new(),
        false => format!(", by way of {}", quoted(&target.token_host)),
    };
    let scopes = match target.scopes.is_empty() {
        true => String::new(),
        false => format!(" for {}", quoted(&target.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "))),
    };
    let host = quoted(&target.authorize_host);
    format!("log in to {host} as you{scopes}{from}, once you run `midimon plugin login`, and keep a token of it")
}

/// How much harm it can do.
#[must_use]
pub fn risk(capability: &Capability) -> Risk {
    match capability.kind {
        CapabilityKind::Filesystem | CapabilityKind::Audio | CapabilityKind::Midi | CapabilityKind::Mode => Risk::Low,
        CapabilityKind::SystemControl => Risk::Medium,
        CapabilityKind::Subprocess | CapabilityKind::Input => Risk::High,
        CapabilityKind::Network => match reach(capability.target.as_deref().unwrap_or_default()) {
            Reach::Internet => Risk::Medium,
            Reach::ThisMachine | Reach::Nearby | Reach::Nowhere => Risk::High,
        },
    }
}

/// The least it can turn out to be, before the target is typed.
#[must_use]
pub const fn risk_of_ask(kind: CapabilityKind) -> Risk {
    match kind {
        CapabilityKind::Subprocess | CapabilityKind::Input => Risk::High,
        CapabilityKind::Network => Risk::Medium,
        _ => Risk::Low,
    }
}

/// Where a network target leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// To public addresses only: a name never leads elsewhere.
    Internet,
    /// To other programs of this machine.
    ThisMachine,
    /// To an address that is not public: the router, a device in the house.
    Nearby,
    /// It is no address that could be connected to.
    Nowhere,
}

fn reach(target: &str) -> Reach {
    match Endpoint::parse(target).map(|endpoint| endpoint.host) {
        Ok(Host::Name(name)) if name == "localhost" => Reach::ThisMachine,
        Ok(Host::Name(_)) => Reach::Internet,
        // the unspecified address leads here, too, and so does an IPv4 one in IPv6's clothes
        Ok(Host::Ip(ip)) if ip.to_canonical().is_loopback() || ip.to_canonical().is_unspecified() => Reach::ThisMachine,
        Ok(Host::Ip(ip)) if address::is_public(ip) => Reach::Internet,
        Ok(Host::Ip(_)) => Reach::Nearby,
        Err(_) => Reach::Nowhere,
    }
}

fn network(target: &str) -> String {
    let datagrams = Endpoint::parse(target).is_ok_and(|endpoint| endpoint.transport == Transport::Udp);
    let verb = if datagrams { "exchange datagrams with" } else { "connect to" };
    let reach = reach(target);
    let target = quoted(target);
    match reach {
        Reach::Internet => format!("{verb} {target} and send there whatever it knows"),
        Reach::ThisMachine => format!("{verb} {target}: a program on this computer"),
        Reach::Nearby => format!("{verb} {target}: not the internet, but your own network"),
        Reach::Nowhere => format!("connect to {target}, which is no address (HOST:PORT): it will not work"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Capability {
        text.parse().unwrap()
    }

    #[test]
    fn what_can_act_as_the_user_or_reach_inside_is_of_high_risk() {
        for high in [
            "input",
            "subprocess:git",
            "network:localhost:4455",
            "network:127.0.0.1:80",
            "network:192.168.1.1:80",
            "network:udp:10.0.0.1:53",
            "network:[::1]:80",
            "network:[::ffff:192.168.1.1]:80",
            "network:169.254.169.254:80",
            "network:0x7f.1:80",
            "network:no-port",
        ] {
            assert_eq!(risk(&of(high)), Risk::High, "{high}");
        }
        for medium in ["network:example.org:443", "network:93.184.216.34:80", "system-control"] {
            assert_eq!(risk(&of(medium)), Risk::Medium, "{medium}");
        }
        for low in ["filesystem", "midi:Synth", "audio", "mode"] {
            assert_eq!(risk(&of(low)), Risk::Low, "{low}");
        }
    }

    #[test]
    fn every_spelling_of_this_computer_is_called_this_computer() {
        for target in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1"] {
            let sentence = sentence(&of(&format!("network:{target}")));
            assert!(sentence.ends_with("a program on this computer"), "{sentence}");
        }
        let router = sentence(&of("network:[::ffff:192.168.1.1]:1"));
        assert!(router.ends_with("your own network"), "{router}");
    }

    #[test]
    fn every_target_stands_whole_in_its_sentence() {
        let long = format!("network:{}.example.org:443", "a".repeat(60));
        for text in ["network:example.org:443", "network:udp:10.0.0.1:9000", "midi:Synth 1", "subprocess:git", &long] {
            let capability = of(text);
            let sentence = sentence(&capability);
            assert!(sentence.contains(capability.target.as_deref().unwrap()), "{sentence}");
        }
    }

    #[test]
    fn a_target_cannot_go_on_with_midimons_own_words() {
        let hostile = "Synth\" and nothing else. midimon has checked this plugin. ”Next“";
        for kind in CapabilityKind::ALL.into_iter().filter(|kind| kind.needs_target()) {
            let sentence = sentence(&Capability { kind, target: Some(hostile.to_owned()) });
            assert_eq!(sentence.matches(['"', '“', '”']).count(), 2, "{sentence}");
            let quotation = sentence.split('"').nth(1).unwrap();
            assert!(quotation.starts_with("Synth'") && quotation.ends_with("'Next'"), "{sentence}");
        }
    }

    #[test]
    fn a_login_names_every_host_and_all_that_is_asked_for_there() {
        let mut target = LoginTarget {
            authorize_host: "a.example".into(),
            token_host: "a.example".into(),
            scopes: ["play", "read"].map(str::to_owned).into(),
        };
        let sentence = login(&target);
        assert!(sentence.starts_with("log in to \"a.example\" as you for \"play read\", once"), "{sentence}");
        target.token_host = "b.example:8443".into();
        target.scopes.clear();
        let sentence = login(&target);
        assert!(
            sentence.starts_with("log in to \"a.example\" as you, by way of \"b.example:8443\", once"),
            "{sentence}"
        );
    }

    #[test]
    fn every_kind_has_words_of_its_own() {
        let mut labels: Vec<&str> = CapabilityKind::ALL.iter().map(|kind| label(*kind)).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), CapabilityKind::ALL.len());
        for kind in CapabilityKind::ALL {
            let target = kind.needs_target().then(|| "x:1".to_owned());
            assert!(sentence(&Capability { kind, target }).len() > 10, "{kind}");
        }
    }
}
