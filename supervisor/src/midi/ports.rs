//! The listing behind `midimon ports`.

use super::select::{Selection, plan};
use super::seq::{self, Port, PortKind, SeqError};
use serde::Serialize;

/// Every port, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortList {
    /// Ports that can be listened to.
    pub inputs: Vec<InputPort>,
    /// Ports that can be sent to.
    pub outputs: Vec<OutputPort>,
    /// Why the selection cannot be met, or not completely.
    pub problem: Option<String>,
}

/// A port that can be listened to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputPort {
    /// The name to write in the configuration.
    pub name: String,
    /// ALSA's `client:port`, given anew at every plug-in.
    pub address: String,
    /// Whether it is, or would be, listened to.
    pub used: bool,
    /// Why, or why not.
    pub why: &'static str,
}

/// A port that can be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputPort {
    /// The name to write in the configuration.
    pub name: String,
    /// ALSA's `client:port`, given anew at every plug-in.
    pub address: String,
}

/// Lists the sequencer's ports as they would be used with this selection.
///
/// # Errors
/// The sequencer cannot be used, see [`SeqError`].
pub fn ports(selection: &Selection) -> Result<PortList, SeqError> {
    Ok(list(selection, &seq::ports()?))
}

fn list(selection: &Selection, ports: &[Port]) -> PortList {
    let plan = plan(selection, ports, &[]);
    let address = |port: &Port| format!("{}:{}", port.client, port.port);
    let input = |port: &Port| {
        let used = plan.open.contains(port);
        let why = match (used, port.kind, selection) {
            (true, _, Selection::Every) => "hardware input",
            (true, _, Selection::Named(_)) => "chosen by name",
            (false, PortKind::Ours, _) => "midimon's own",
            (false, _, Selection::Named(_)) => "another input is chosen by name",
            (false, PortKind::Through, _) => "Midi Through is used only when chosen by name",
            (false, PortKind::Software, _) => "programs are used only when chosen by name",
            (false, PortKind::Hardware, _) => "too many inputs",
        };
        InputPort { name: port.name.clone(), address: address(port), used, why }
    };
    let is_output = |port: &&Port| port.output && port.kind != PortKind::Ours;
    let output = |port: &Port| OutputPort { name: port.name.clone(), address: address(port) };
    PortList {
        inputs: ports.iter().filter(|port| port.input).map(input).collect(),
        outputs: ports.iter().filter(is_output).map(output).collect(),
        problem: plan.problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_listed_with_the_reason_for_its_use() {
        let port = |client, kind, input| Port {
            client,
            port: 1,
            name: format!("{client}:x"),
            client_name: client.to_string(),
            port_name: "x".into(),
            kind,
            input,
            output: !input,
        };
        let ports = [
            port(14, PortKind::Through, true),
            port(20, PortKind::Hardware, true),
            port(24, PortKind::Hardware, false),
            port(130, PortKind::Ours, false),
        ];
        let every = list(&Selection::Every, &ports);
        let used = |list: &PortList| list.inputs.iter().map(|input| (input.used, input.why)).collect::<Vec<_>>();
        assert_eq!(used(&every), [(false, "Midi Through is used only when chosen by name"), (true, "hardware input")]);
        assert_eq!(every.outputs, [OutputPort { name: "24:x".into(), address: "24:1".into() }]);
        let named = list(&Selection::Named(vec!["14:x".into()]), &ports);
        assert_eq!(used(&named), [(true, "chosen by name"), (false, "another input is chosen by name")]);
    }
}
