//! What a plugin is and what it may do: its manifest, its code, its data
//! directory, its grants, and the cache of compiled code.
//!
//! Everything read here is a stranger's: bounded before it is allocated, and
//! no link is followed out of the plugin's own directory. Nothing here starts
//! a plugin; that is [`crate::workers`].

pub mod code;
pub mod compile;
pub mod data_dir;
pub mod discover;
pub mod files;
pub mod grants;
pub mod index;
pub mod install;
pub mod login;
pub mod manifest;
pub mod minisign;
pub mod package;
pub mod revocations;
pub mod settings;
pub mod store;
pub mod strict;
pub mod templates;
pub mod trust;

pub use code::SealedCode;
pub use discover::{BadPlugin, Discovered};
pub use grants::{GrantFile, Grants};
pub use manifest::Manifest;
pub use revocations::Revocations;
pub use trust::TrustStore;
