//! `make bench`: what midimon must reach, measured.
//!
//! Figures of one machine drift by a third from run to run, so what counts are
//! ratios inside one run, measured in turns, and the median of several runs.
//! Nothing here is a copy of midimon: [`rig`] wires the daemon's own router,
//! lanes and manager, and the rows about the daemon start the real one.
#![deny(unsafe_code)] // allowed in `counting` alone

mod counting;
mod direct;
mod floor;
mod machine;
mod report;
mod rig;
mod rows;
mod stats;

use clap::Parser;
use report::Bar;
use std::path::PathBuf;
use std::process::ExitCode;

/// Every error ends the program with its text.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures midimon and says what it reaches.
#[derive(Debug, Parser)]
#[command(name = "midimon-bench")]
struct Options {
    /// Fewer and shorter runs: for a first look
    #[arg(long)]
    quick: bool,
    /// Only this group (repeatable); bars.json stays as it is
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print the groups' names
    #[arg(long)]
    list: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    quick: bool,
}

impl Effort {
    /// Interleaved runs, of which the median counts.
    const fn runs(self) -> usize {
        if self.quick { 3 } else { 7 }
    }

    /// As many in a full measurement, fewer in a quick one.
    const fn of(self, full: usize) -> usize {
        if self.quick { full.div_ceil(4) } else { full }
    }
}

fn main() -> ExitCode {
    let result = if std::env::args().nth(1).as_deref() == Some(floor::PARTNER) {
        floor::partner()
    } else {
        run(&Options::parse())
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let names: Vec<&str> = rows::GROUPS.iter().map(|(name, _)| *name).collect();
    if options.list {
        println!("{}", names.join("\n"));
        return Ok(());
    }
    if let Some(unknown) = options.only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("no group '{unknown}'; there are: {}", names.join(", ")).into());
    }
    let effort = Effort { quick: options.quick };
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    println!("{}", report::heading());
    let mut bars: Vec<Bar> = Vec::new();
    for (name, measure) in rows::GROUPS.iter().filter(|(name, _)| wanted(name)) {
        let group = measure(effort).map_err(|error| format!("{name}: {error}"))?;
        group.iter().for_each(|bar| println!("{bar}"));
        bars.extend(group);
    }
    let missed = bars.iter().filter(|bar| bar.is_missed()).count();
    println!("\n{} rows, {missed} short of what they must reach", bars.len());
    if options.only.is_empty() {
        let path = target().join("bars.json");
        report::write_json(&path, &bars).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("written to {}", path.display());
    }
    Ok(())
}

/// The build's directory, where this program lies in `release`.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(2).map_or_else(|| PathBuf::from("target"), PathBuf::from)
}
