//! `c-bindings WIT OUT [--check]`: writes the C bindings of the WIT package in the directory `WIT`
//! into the directory `OUT`, or compares them with what is there.
//!
//! They are those of `wit-bindgen c`, with the type of the component as text in the C file
//! instead of an object file of its own: two files, and any C compiler for WASM takes them.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::{Resolve, WorldId};
use wit_component::StringEncoding;

/// The world; `midimon_plugin.h` is the header of native plugins, so its C name is another.
const WORLD: &str = "midimon-plugin";
const C_NAME: &str = "midimon-component";
/// Bytes in a line of assembly.
const IN_A_LINE: usize = 24;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (wit, out, check) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [wit, out] => (PathBuf::from(wit), PathBuf::from(out), false),
        [wit, out, "--check"] => (PathBuf::from(wit), PathBuf::from(out), true),
        _ => {
            eprintln!("usage: c-bindings WIT OUT [--check]");
            return ExitCode::from(2);
        }
    };
    match generate(&wit).and_then(|files| if check { compare(&files, &out) } else { write(&files, &out) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(wit: &Path) -> Result<Files, Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let options = wit_bindgen_c::Opts {
        no_object_file: true,
        rename_world: Some(C_NAME.to_owned()),
        ..wit_bindgen_c::Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let mut types = Resolve::default();
    let (package, _) = types.push_path(wit)?;
    let world = types.select_world(&[package], Some(WORLD))?;
    files.push(&format!("{}.c", C_NAME.replace('-', "_")), component_type(&types, world)?.as_bytes());
    Ok(files)
}

/// The section from which the linker takes what the component imports and exports.
fn component_type(resolve: &Resolve, world: WorldId) -> Result<String, Box<dyn Error>> {
    let bytes = wit_component::metadata::encode(resolve, world, StringEncoding::UTF8, None, false)?;
    let mut text = format!(
        "\n// The type of the component, for the linker.\n__asm__(\n    \".section \\\".custom_section.component-type:{C_NAME}\\\",\\\"\\\",@\\n\"\n"
    );
    for line in bytes.chunks(IN_A_LINE) {
        let line: Vec<String> = line.iter().map(u8::to_string).collect();
        writeln!(text, "    \".byte {}\\n\"", line.join(","))?;
    }
    text.push_str("    \".text\\n\");\n");
    // the generated code refers to an object file that would have the section
    writeln!(text, "void __component_type_object_force_link_{}(void) {{}}", C_NAME.replace('-', "_"))?;
    Ok(text)
}

fn write(files: &Files, out: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(out)?;
    for (name, contents) in files.iter() {
        std::fs::write(out.join(name), contents)?;
    }
    Ok(())
}

fn compare(files: &Files, out: &Path) -> Result<(), Box<dyn Error>> {
    for (name, contents) in files.iter() {
        let path = out.join(name);
        let found = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if found != contents {
            return Err(format!("{} is not what the WIT gives: run make c-bindings", path.display()).into());
        }
    }
    Ok(())
}
