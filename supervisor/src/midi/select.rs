//! Which port a name means: exact, then unique beginning, then unique part.

use super::seq::{Port, PortKind, with_names};
use std::fmt::Write;

/// Ports that are listened to at once at most (every connection takes one of the
/// kernel's 32 sequencer queues).
pub const MAX_INPUTS: usize = 24;

/// Which inputs to listen to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Every hardware input.
    #[default]
    Every,
    /// The inputs of these names, hardware or not.
    Named(Vec<String>),
}

/// A name that could mean several ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{wanted}\" could be any of these ports; write more of the name:{}", list(candidates))]
pub struct Ambiguous {
    /// What was written.
    pub wanted: String,
    /// The names it could mean.
    pub candidates: Vec<String>,
}

fn list(names: &[String]) -> String {
    names.iter().fold(String::new(), |mut list, name| {
        let _ = write!(list, "\n  \"{name}\""); // writing to a String cannot fail
        list
    })
}

/// The port that `wanted` means among these.
///
/// A full name wins over a port's or client's own name, that over the beginning
/// of a name, and that over a part of it; the latter two regardless of case. The
/// numbers at the end of ALSA's port names (`… 28:0`) may be there and mean nothing.
///
/// # Errors
/// [`Ambiguous`] when the best rule that fits, fits several ports.
pub fn find<'a>(wanted: &str, ports: impl Iterator<Item = &'a Port> + Clone) -> Result<Option<&'a Port>, Ambiguous> {
    let name = strip_numbers(wanted.trim());
    let lower = name.to_lowercase();
    let rules: [&dyn Fn(&Port) -> bool; 4] = [
        &|port| port.name == name,
        &|port| port.port_name == name || port.client_name == name,
        &|port| port.name.to_lowercase().starts_with(&lower),
        &|port| port.name.to_lowercase().contains(&lower),
    ];
    for rule in rules {
        let mut fitting = ports.clone().filter(|port| rule(port));
        match (fitting.next(), fitting.next()) {
            (None, _) => {}
            (Some(port), None) => return Ok(Some(port)),
            (Some(first), Some(second)) => {
                let candidates = [first, second].into_iter().chain(fitting).map(|port| port.name.clone()).collect();
                return Err(Ambiguous { wanted: wanted.to_owned(), candidates });
            }
        }
    }
    Ok(None)
}

/// The name without the `client:port` numbers that ALSA programs show behind it.
fn strip_numbers(name: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once(' ') {
        Some((front, back)) if back.split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b)) => {
            front.trim_end()
        }
        _ => name,
    }
}

/// What to do so that exactly the selected inputs are listened to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Connections that end, as indices into `open`.
    pub close: Vec<usize>,
    /// Ports to connect to.
    pub open: Vec<Port>,
    /// Why the selection cannot be met, or not completely.
    pub problem: Option<String>,
}

/// The port a name means now, or why there is none.
fn named<'a>(name: &str, mut ports: impl Iterator<Item = &'a Port> + Clone, open: &[Port]) -> Result<&'a Port, String> {
    match find(name, ports.clone()) {
        Ok(Some(port)) => Ok(port),
        Ok(None) => {
            let names: Vec<_> = ports.map(|port| port.name.clone()).collect();
            let there = if names.is_empty() { " none".to_owned() } else { list(&names) };
            Err(format!("waiting for the MIDI input \"{name}\"; inputs that are there:{there}"))
        }
        // one that is in use stays in use when its twin is plugged in
        Err(ambiguous) => ports
            .find(|port| open.contains(port) && ambiguous.candidates.contains(&port.name))
            .ok_or_else(|| ambiguous.to_string()),
    }
}

/// Compares what is there with what is listened to (`open`).
#[must_use]
pub fn plan(selection: &Selection, ports: &[Port], open: &[Port]) -> Plan {
    // one of two equal devices keeps its name when the other goes
    let ports = with_names(ports, open);
    let inputs = || ports.iter().filter(|port| port.input && port.kind != PortKind::Ours);
    let mut problems = Vec::new();
    let mut wanted: Vec<&Port> = match selection {
        Selection::Every => inputs().filter(|port| port.kind == PortKind::Hardware).collect(),
        Selection::Named(names) => {
            let mut wanted = Vec::new();
            for name in names {
                match named(name, inputs(), open) {
                    Ok(port) if wanted.contains(&port) => {}
                    Ok(port) => wanted.push(port),
                    Err(why) => problems.push(why),
                }
            }
            wanted
        }
    };
    if wanted.len() > MAX_INPUTS {
        problems.push(format!("{} MIDI inputs are there, only the first {MAX_INPUTS} are used", wanted.len()));
        wanted.truncate(MAX_INPUTS);
    }
    Plan {
        close: (0..open.len()).filter(|&index| !wanted.contains(&&open[index])).collect(),
        open: wanted.into_iter().filter(|port| !open.contains(port)).cloned().collect(),
        problem: (!problems.is_empty()).then(|| problems.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(client: i32, client_name: &str, port_name: &str, kind: PortKind) -> Port {
        let name = format!("{client_name}:{port_name}");
        let (client_name, port_name) = (client_name.into(), port_name.into());
        Port { client, port: 0, name, client_name, port_name, kind, input: true, output: true }
    }

    fn ports() -> Vec<Port> {
        vec![
            port(14, "Midi Through", "Midi Through Port-0", PortKind::Through),
            port(20, "loopMIDI", "Port 1", PortKind::Hardware),
            port(24, "loopMIDI B", "Port 10", PortKind::Hardware),
            port(28, "Launchpad X", "LPX MIDI In", PortKind::Hardware),
            port(128, "VMPK", "out", PortKind::Software),
            port(129, "midimon", "output", PortKind::Ours),
        ]
    }

    fn found(wanted: &str) -> Option<i32> {
        find(wanted, ports().iter()).unwrap().map(|port| port.client)
    }

    #[test]
    fn an_exact_name_wins_over_the_beginning_of_another() {
        assert_eq!(found("loopMIDI:Port 1"), Some(20));
        assert_eq!(found("Port 1"), Some(20));
        assert_eq!(found("loopMIDI"), Some(20));
        assert_eq!(found("Port 10"), Some(24));
    }

    #[test]
    fn a_unique_beginning_or_part_is_enough_in_any_case() {
        assert_eq!(found("launch"), Some(28));
        assert_eq!(found("lpx"), Some(28));
        assert_eq!(found("through port"), Some(14));
        assert_eq!(found("twister"), None);
    }

    #[test]
    fn alsas_numbers_behind_a_name_mean_nothing() {
        assert_eq!(found("loopMIDI:Port 1 99:0"), Some(20));
        assert_eq!(strip_numbers("Port 1:x"), "Port 1:x");
        assert_eq!(strip_numbers("28:0"), "28:0");
    }

    #[test]
    fn an_ambiguous_name_lists_the_candidates() {
        let error = find("loop", ports().iter()).unwrap_err();
        assert_eq!(error.candidates, ["loopMIDI:Port 1", "loopMIDI B:Port 10"]);
        assert!(error.to_string().contains("\n  \"loopMIDI B:Port 10\""), "{error}");
    }

    #[test]
    fn every_means_hardware_without_through_software_and_our_own() {
        let ports = ports();
        let plan = plan(&Selection::Every, &ports, &[]);
        assert_eq!(plan.open.iter().map(|port| port.client).collect::<Vec<_>>(), [20, 24, 28]);
        assert_eq!(plan.problem, None);
    }

    #[test]
    fn a_name_may_mean_through_and_software_but_never_our_own() {
        let ports = ports();
        let opened =
            |name: &str| plan(&Selection::Named(vec![name.into()]), &ports, &[]).open.first().map(|port| port.client);
        assert_eq!(opened("Midi Through"), Some(14));
        assert_eq!(opened("VMPK"), Some(128));
        assert_eq!(opened("midimon"), None);
    }

    #[test]
    fn planning_again_after_doing_it_changes_nothing() {
        let ports = ports();
        for selection in
            [Selection::Every, Selection::Named(vec!["Launchpad X".into()]), Selection::Named(vec!["none".into()])]
        {
            let open: Vec<_> = plan(&selection, &ports, &[]).open;
            let again = plan(&selection, &ports, &open);
            assert!(again.open.is_empty() && again.close.is_empty(), "{selection:?}");
        }
    }

    #[test]
    fn another_selection_closes_the_old_and_opens_the_new() {
        let ports = ports();
        let plan = plan(&Selection::Named(vec!["Launchpad X".into()]), &ports, &[ports[1].clone(), ports[3].clone()]);
        assert_eq!((plan.close, plan.open), (vec![0], vec![]));
    }

    #[test]
    fn the_device_in_use_is_kept_when_a_twin_makes_its_name_ambiguous() {
        let mut ports = ports();
        ports.push(port(32, "Launchpad Mini", "MIDI", PortKind::Hardware));
        let selection = Selection::Named(vec!["Launch".into()]);
        let kept = plan(&selection, &ports, &[ports[3].clone()]);
        assert_eq!(kept, Plan::default());
        let fresh = plan(&selection, &ports, &[]);
        assert!(fresh.open.is_empty() && fresh.problem.unwrap().contains("Launchpad Mini:MIDI"));
    }

    #[test]
    fn of_two_equal_devices_one_is_undisturbed_when_the_other_goes() {
        let twins = [20, 24].map(|client| port(client, "Pads", "MIDI 1", PortKind::Hardware));
        let open = plan(&Selection::Every, &twins, &[]).open;
        assert_eq!(open[1].name, "Pads:MIDI 1 #2");
        let left = plan(&Selection::Every, &twins[1..], &open[1..]);
        assert_eq!(left, Plan::default());
        let named = plan(&Selection::Named(vec!["Pads:MIDI 1 #2".into()]), &twins[1..], &open[1..]);
        assert_eq!(named, Plan::default());
    }

    #[test]
    fn a_missing_device_is_waited_for_and_others_are_named() {
        let ports = ports();
        let plan = plan(&Selection::Named(vec!["Twister".into()]), &ports, &[]);
        let problem = plan.problem.unwrap();
        assert!(problem.contains("Twister") && problem.contains("Launchpad X:LPX MIDI In"), "{problem}");
        assert!(!problem.contains("midimon:"), "{problem}");
    }

    #[test]
    fn no_more_ports_are_opened_than_the_kernel_has_queues_for() {
        let ports: Vec<_> = (0..40).map(|n| port(n, "x", &n.to_string(), PortKind::Hardware)).collect();
        let plan = plan(&Selection::Every, &ports, &[]);
        assert_eq!(plan.open.len(), MAX_INPUTS);
        assert!(plan.problem.is_some());
    }
}
