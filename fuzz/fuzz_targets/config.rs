//! Any text is a configuration, or has diagnostics that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::mapping::config::{Severity, load_text};

fuzz_target!(|text: &str| {
    match load_text("config.toml", text, &|_| true) {
        Ok(loaded) => {
            assert_eq!(loaded.warnings.count(Severity::Error), 0);
            assert!(!loaded.compiled.modes.is_empty() && !loaded.compiled.devices.is_empty());
        }
        Err(diagnostics) => {
            assert!(diagnostics.count(Severity::Error) > 0 || diagnostics.omitted() > 0);
            assert!(diagnostics.iter().all(|found| found.span.end <= text.len()));
            assert!(!diagnostics.render(true).is_empty());
        }
    }
});
