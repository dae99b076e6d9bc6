//! Native plugins in C, compiled where the test runs.

use std::path::{Path, PathBuf};
use std::process::Command;

const HEADER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/sdk/include");

/// Compiles C as strictly as the header promises and returns the library's bytes.
pub fn library(name: &str, source: &str) -> Vec<u8> {
    library_with(name, source, &[])
}

/// The same with more arguments for the compiler.
pub fn library_with(name: &str, source: &str, arguments: &[&str]) -> Vec<u8> {
    // of its own: tests beside this one compile under the same names
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let c = directory.path().join(format!("{name}.c"));
    let so = directory.path().join(format!("{name}.so"));
    std::fs::write(&c, source).unwrap();
    let mut cc = Command::new("cc");
    cc.args([
        "-std=c99",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unused-function",
        "-O1",
        "-shared",
        "-fPIC",
        "-I",
        HEADER,
        "-o",
    ]);
    let output = cc.arg(&so).arg(&c).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(so).unwrap()
}

/// A plugin of which only the parts that differ are given.
pub fn plugin(name: &str, globals: &str, init: &str, handle: &str) -> Vec<u8> {
    library(name, &plugin_source("", globals, init, handle))
}

fn plugin_source(first: &str, globals: &str, init: &str, handle: &str) -> String {
    format!(
        r#"{first}
#include "midimon_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static const midimon_host *host;
static midimon_str text(const char *s) {{ midimon_str str; str.data = s; str.len = strlen(s); return str; }}
{globals}
static void describe(midimon_metadata *metadata) {{
    metadata->name = text("Test");
    metadata->version = text("1.2.3");
    metadata->description = text("what it is for");
}}
static int32_t init(const midimon_host *given, midimon_str settings, void **state) {{
    (void)settings; (void)state;
    host = given;
    (void)text;
    {init}
    return MIDIMON_OK;
}}
static int32_t handle(void *state, const midimon_call *call) {{
    (void)state; (void)call;
    {handle}
    return MIDIMON_OK;
}}
static void end(void *state) {{ (void)state; host->log(host, MIDIMON_LOG_INFO, text("shutdown was called")); }}
MIDIMON_EXPORT const midimon_plugin *midimon_plugin_v1(void) {{
    static const midimon_plugin plugin = {{
        MIDIMON_ABI_VERSION, sizeof(midimon_plugin), describe, init, handle, end,
    }};
    return &plugin;
}}
"#
    )
}

/// C that can be part of a plugin, and of a program outside any sandbox, which shows that it works there.
pub struct Probe {
    pub name: &'static str,
    /// Includes and functions, with `static int probe(const char *what)`: 0 or an errno.
    pub source: &'static str,
}

impl Probe {
    /// A plugin whose calls run `probe` with their first parameter, and fail with the errno.
    pub fn plugin(&self, globals: &str) -> Vec<u8> {
        self.with(globals, "")
    }

    /// The same, with C that can use `host`.
    pub fn plugin_with(&self, functions: &str) -> Vec<u8> {
        self.with("", functions)
    }

    fn with(&self, globals: &str, functions: &str) -> Vec<u8> {
        let handle = r#"char what[64] = {0};
            if (call->parameter_count == 0 || call->parameters[0].value.len >= sizeof what) return -1;
            memcpy(what, call->parameters[0].value.data, call->parameters[0].value.len);
            return probe(what);"#;
        // before the header: some of what is probed is not C99
        let source = format!("#define _GNU_SOURCE\n{}\n{globals}", self.source);
        let text = plugin_source(&source, functions, "", handle);
        library(self.name, &text)
    }

    /// A program, in Cargo's own directory, whose exit code is what `probe` returns for its
    /// argument. Compile it once.
    pub fn program(&self) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-program", self.name));
        let c = path.with_extension("c");
        let main = "int main(int count, char **arguments) { return count == 2 ? probe(arguments[1]) : -1; }";
        std::fs::write(&c, format!("#define _GNU_SOURCE\n{}\n{main}\n", self.source)).unwrap();
        let mut cc = Command::new("cc");
        let output = cc.args(["-std=c99", "-O1", "-pthread", "-o"]).arg(&path).arg(&c).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }
}
