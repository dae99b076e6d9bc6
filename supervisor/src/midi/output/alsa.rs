//! Opening and writing to ports of the ALSA sequencer through midir.

use super::{Opener, Wire};
use crate::midi::select::find;
use crate::midi::seq::{CLIENT_NAME, Port, PortKind, SeqError};
use midir::{MidiOutput, MidiOutputConnection};
use std::sync::{Arc, Mutex, PoisonError};

/// The sequencer's ports, by name.
pub(super) struct Alsa {
    /// Whether there is one.
    pub access: Result<(), SeqError>,
    /// Its ports, as last listed.
    pub ports: Arc<Mutex<Vec<Port>>>,
}

impl Opener for Alsa {
    fn open(&self, wanted: &str) -> Result<(Port, Box<dyn Wire>), String> {
        self.access.as_ref().map_err(ToString::to_string)?;
        let port = look_up(wanted, &self.ports.lock().unwrap_or_else(PoisonError::into_inner))?;
        let output = MidiOutput::new(CLIENT_NAME).map_err(|error| error.to_string())?;
        let id = format!("{}:{}", port.client, port.port);
        let target = output.find_port_by_id(&id).ok_or_else(|| format!("\"{}\" is gone again", port.name))?;
        let connection = output.connect(&target, "output").map_err(|error| error.to_string())?;
        Ok((port, Box::new(connection)))
    }
}

impl Wire for MidiOutputConnection {
    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        Self::send(self, bytes).map_err(|error| error.to_string())
    }
}

fn look_up(wanted: &str, ports: &[Port]) -> Result<Port, String> {
    let outputs = ports.iter().filter(|port| port.output && port.kind != PortKind::Ours);
    match find(wanted, outputs.clone()) {
        Ok(Some(port)) => Ok(port.clone()),
        Ok(None) => {
            let names: Vec<_> = outputs.map(|port| format!("\"{}\"", port.name)).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(format!("no such MIDI output; those that are there: {there}"))
        }
        Err(ambiguous) => Err(ambiguous.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, kind: PortKind, output: bool) -> Port {
        let (client_name, port_name) = (name.to_owned(), "p".to_owned());
        Port { client: 20, port: 0, name: format!("{name}:p"), client_name, port_name, kind, input: true, output }
    }

    #[test]
    fn an_output_is_looked_up_among_outputs_and_a_miss_names_them() {
        let ports = [
            port("Synth", PortKind::Hardware, true),
            port("Synth Keys", PortKind::Hardware, false),
            port("midimon", PortKind::Ours, true),
        ];
        assert_eq!(look_up("synth", &ports).unwrap().name, "Synth:p");
        let error = look_up("midimon", &ports).unwrap_err();
        assert!(error.contains("\"Synth:p\"") && !error.contains("midimon:p"), "{error}");
        assert!(look_up("x", &[]).unwrap_err().contains("none"));
    }

    #[test]
    fn without_a_sequencer_the_reason_is_told() {
        let alsa = Alsa { access: Err(SeqError::Missing), ports: Arc::default() };
        assert_eq!(alsa.open("x").err(), Some(SeqError::Missing.to_string()));
    }
}
