//! Whom a component asks for: what the worker makes of an address, the supervisor reads as the same
//! host and port, or refuses. Two readers that differ would be a way around a grant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::workers::broker::endpoint::{Endpoint, Transport};
use rustls::pki_types::ServerName;

// its crate would bring the WASM runtime
#[allow(dead_code)]
#[path = "../../worker/src/wasm/component/net/target.rs"]
mod target;
use target::Target;

fn check(target: &Target) {
    let shown = target.to_string();
    if let Ok(endpoint) = Endpoint::requested(&shown, Transport::Tcp) {
        assert_eq!(endpoint.to_string(), shown);
    }
    assert!(shown.starts_with(target.host_header().as_str()), "{shown}");
    assert!(shown.starts_with('[') || shown.matches(':').count() == 1, "{shown}");
    assert!(!shown.contains(['@', '/', '?', '#']), "{shown}");
    match target.server_name() {
        Ok(ServerName::DnsName(name)) => assert_eq!(shown.rsplit_once(':').map(|(host, _)| host), Some(name.as_ref())),
        Ok(name) => assert!(matches!(name, ServerName::IpAddress(_))),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fuzz_target!(|text: &str| {
    if let Ok((target, _)) = Target::secure(text) {
        assert_eq!(Target::secure(&target.to_string()).map(|(again, _)| again).as_ref(), Ok(&target));
        check(&target);
    }
    let Ok(uri) = text.parse::<http::Uri>() else { return };
    if let Ok(target) = Target::of(&uri) {
        let scheme = if target.secure { "https" } else { "http" };
        let again: http::Uri = format!("{scheme}://{target}/").parse().expect("what we write");
        assert_eq!(Target::of(&again).as_ref(), Ok(&target));
        check(&target);
    }
});
