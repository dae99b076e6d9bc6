//! Writes what it was told to its log.

use core_abi::Request;

const METADATA: &str = r#"{
    "name": "Echo in WASM", "version": "0.1.0", "description": "Writes what it was told to its log",
    "author": "The midimon project", "license": "MIT OR Apache-2.0", "type": "action", "capabilities": []
}"#;

fn handle(request: Request) -> i32 {
    // for measurements: nothing but the way there and back
    if request.action == "quiet" {
        return 0;
    }
    let params = serde_json::Value::Object(request.params);
    match request.context.velocity {
        Some(velocity) => println!("{} {params}, velocity {velocity}", request.action),
        None => println!("{} {params}", request.action),
    }
    0
}

core_abi::export!(METADATA, handle);
