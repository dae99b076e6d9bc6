//! Plugins and keys for the tests of installing.

use super::plan::{Before, Known, Plan, Signer, plan};
use crate::plugins::Manifest;
use crate::plugins::minisign::{PublicKey, SecretKey};
use crate::plugins::store::Admitted;
use semver::Version;

/// A manifest of version `version` with these lines of TOML.
pub fn manifest(version: &str, more: &str) -> Manifest {
    let text = format!(
        "schema = 1\nid = \"obs-control\"\nname = \"OBS Control\"\nversion = \"{version}\"\nkind = \"native\"\n\
         entry = \"libobs.so\"\ndescription = \"Switches scenes\"\nauthors = [\"Ada Lovelace\"]\n{more}"
    );
    Manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A request as a manifest has it.
pub fn wants(capability: &str, reason: &str) -> String {
    match capability.split_once(':') {
        Some((kind, target)) => {
            format!("[[capabilities]]\ncapability = \"{kind}\"\ntargets = [\"{target}\"]\nreason = \"{reason}\"\n")
        }
        None => format!("[[capabilities]]\ncapability = \"{capability}\"\nreason = \"{reason}\"\n"),
    }
}

/// A question for an address.
pub fn asks(prompt: &str) -> String {
    format!("[[capabilities]]\ncapability = \"network\"\nask = \"{prompt}\"\nreason = \"talks to OBS\"\n")
}

/// Another key at each call.
pub fn key() -> PublicKey {
    SecretKey::generate().unwrap().public()
}

pub fn trusted() -> Signer {
    Signer::Key(key(), Known::Trusted { name: "Ada Lovelace".into(), since: "2026-11-20".into() })
}

/// A version that was shown and allowed these.
pub fn before(shown: &[&str], allowed: &[&str]) -> Before {
    let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Before { shown: parse(shown), allowed: parse(allowed), ..Before::default() }
}

/// The plan of a first installation with a trusted key.
pub fn first(more: &str) -> Plan {
    plan(&manifest("1.2.0", more), trusted(), &Admitted::New, None, false)
}

/// The plan of an update from 1.0.0 to 1.1.0.
pub fn update(more: &str, before: &Before) -> Plan {
    let from = Admitted::Update(Version::new(1, 0, 0));
    plan(&manifest("1.1.0", more), trusted(), &from, Some(before), false)
}
