//! `ports`: the machine's MIDI ports.

use super::output::{Colour, Look};
use super::safe_text::safe_lines;
use super::table::{Cell, Side, Table};
use super::{CliError, Context};
use crate::control::client::{Client, ClientError};
use crate::control::model;
use crate::control::protocol::Request;
use crate::midi::ports::ports;
use crate::midi::select::Selection;
use clap::Args;

/// `midimon ports`
#[derive(Debug, Args)]
#[command(after_help = "Any unique part of a name can stand in the configuration and after --input.")]
pub struct Ports {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Ports {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        // the ports are there without a daemon too
        let ports = match Client::connect(&context.home) {
            Ok(mut client) => client.call(&Request::Ports)?,
            Err(ClientError::NoDaemon) => {
                ports(&Selection::Every).map_err(|error| CliError::Failed(error.to_string()))?.into()
            }
            Err(error) => return Err(error.into()),
        };
        if self.json { context.out.json(&ports) } else { context.out.print(&render(&ports, &context.out.look)) }
    }
}

fn render(ports: &model::Ports, look: &Look) -> String {
    let sides = [("input", &ports.inputs), ("output", &ports.outputs)];
    let mut text = if sides.iter().all(|(_, ports)| ports.is_empty()) {
        "no MIDI ports: connect a device, or play a file with `midimon replay FILE.mid`\n".to_owned()
    } else {
        let columns = [("", Side::Left), ("PORT", Side::Left), ("ADDRESS", Side::Right), ("USED", Side::Left)];
        let mut table = Table::new(&columns);
        for (side, ports) in sides {
            for port in ports {
                let used = match port.used {
                    Some(true) => Cell::new(format!("yes: {}", port.why), Colour::Good),
                    Some(false) => format!("no: {}", port.why).into(),
                    None => "".into(),
                };
                table.row(vec![side.into(), port.name.as_str().into(), port.address.as_str().into(), used]);
            }
        }
        table.render(look)
    };
    if let Some(problem) = &ports.problem {
        text.push_str(&look.paint(Colour::Bad, &safe_lines(problem)));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_listed_with_their_direction_and_whether_they_are_used() {
        let port = |name: &str, used, why: &str| model::Port {
            name: name.into(),
            address: "20:0".into(),
            used,
            why: why.into(),
        };
        let ports = model::Ports {
            inputs: vec![port("nanoPAD2", Some(true), "hardware input"), port("Midi Through", Some(false), "loop")],
            outputs: vec![port("Synth\x07", None, "")],
            problem: Some("no port 'launchpad'".into()),
        };
        let text = render(&ports, &Look::plain(80));
        assert!(text.contains("input   nanoPAD2         20:0  yes: hardware input\n"), "{text}");
        assert!(text.contains("input   Midi Through     20:0  no: loop\n"), "{text}");
        assert!(text.contains("output  Synth\\u{7}       20:0\n"), "{text}");
        assert!(text.ends_with("no port 'launchpad'\n"), "{text}");
        assert!(render(&model::Ports::default(), &Look::plain(80)).starts_with("no MIDI ports"));
    }
}
