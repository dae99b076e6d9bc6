//! The Rust and the C side of the interface are the same, byte for byte.

use midimon_plugin::ffi::{self, Buffer, Bytes, Call, Context, Host, Metadata, Output, Parameter, Plugin, Str, Usage};
use std::fmt::Write as _;
use std::mem::offset_of;
use std::process::Command;

macro_rules! layout {
    ($c:literal, $rust:ty { $($field:ident),* }) => {
        ($c, size_of::<$rust>(), vec![$((stringify!($field), offset_of!($rust, $field))),*])
    };
}

#[test]
fn every_field_lies_where_the_header_has_it() {
    let layouts = [
        layout!("midimon_str", Str { data, len }),
        layout!(
            "midimon_host",
            Host {
                struct_size,
                abi_version,
                log,
                data_dir,
                answer,
                fail,
                refusal,
                connect,
                datagram_send,
                datagram_receive,
                midi_send,
                run,
                keystroke,
                type_text,
                mouse,
                system_control,
                notify,
                emit,
                set_light,
                set_mode,
                after,
                every,
                cancel,
                usage,
                tls_roots
            }
        ),
        layout!("midimon_bytes", Bytes { data, len }),
        layout!("midimon_buffer", Buffer { data, capacity, len }),
        layout!("midimon_output", Output { struct_size, exit_code, out, err }),
        layout!("midimon_usage", Usage { struct_size, reserved, used_bytes, max_bytes, used_files, max_files }),
        layout!("midimon_metadata", Metadata { struct_size, reserved, name, version, description }),
        layout!(
            "midimon_context",
            Context {
                struct_size,
                trigger,
                velocity,
                current_mode,
                timestamp_ms,
                monotonic_ns,
                mode_name,
                device,
                message,
                message_len,
                reserved
            }
        ),
        layout!("midimon_parameter", Parameter { name, value }),
        layout!(
            "midimon_call",
            Call { struct_size, reserved, action, params_json, parameters, parameter_count, context }
        ),
        layout!("midimon_plugin", Plugin { abi_version, struct_size, describe, init, handle, shutdown }),
    ];
    // the C compiler itself says whether they agree
    let mut source = String::from("#include <midimon_plugin.h>\n#define SAME(a, b) _Static_assert((a) == (b), #a)\n");
    writeln!(source, "SAME(MIDIMON_ABI_VERSION, {});", midimon_plugin::ffi::ABI_VERSION).unwrap();
    writeln!(source, "SAME(MIDIMON_OK, {});", midimon_plugin::ffi::OK).unwrap();
    for (name, value) in [
        ("E_NOT_GRANTED", ffi::E_NOT_GRANTED),
        ("E_INVALID", ffi::E_INVALID),
        ("E_TOO_MANY", ffi::E_TOO_MANY),
        ("E_TIMED_OUT", ffi::E_TIMED_OUT),
        ("E_FAILED", ffi::E_FAILED),
        ("MOUSE_MOVE", ffi::MOUSE_MOVE),
        ("MOUSE_SCROLL", ffi::MOUSE_SCROLL),
        ("MOUSE_LEFT", ffi::MOUSE_LEFT),
        ("MOUSE_MIDDLE", ffi::MOUSE_MIDDLE),
        ("MOUSE_RIGHT", ffi::MOUSE_RIGHT),
        ("LIGHT_NOTE", ffi::LIGHT_NOTE),
        ("LIGHT_CONTROL", ffi::LIGHT_CONTROL),
    ] {
        writeln!(source, "SAME(MIDIMON_{name}, {value});").unwrap();
    }
    for (name, size, fields) in layouts {
        writeln!(source, "SAME(sizeof({name}), {size});").unwrap();
        for (field, offset) in fields {
            writeln!(source, "SAME(offsetof({name}, {field}), {offset});").unwrap();
        }
    }
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout.c");
    std::fs::write(&file, source).unwrap();
    let compiled = Command::new("cc")
        .args(["-std=c11", "-fsyntax-only", "-Wall", "-Werror"])
        .arg(concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include"))
        .arg(file)
        .output()
        .expect("a C compiler named cc");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}
