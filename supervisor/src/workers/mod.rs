//! One worker process for each plugin: spawning, the channel, the lifecycle.
//!
//! [`manager::PluginManager`] is the way in. What lives here must not know
//! configuration files, MIDI inputs or the control socket.
//!
//! A trigger goes through the plugin's [`lane`] on the thread that received the
//! MIDI bytes. The `pool` thread reads the answers and watches everything else;
//! what it decides comes from the pure [`lifecycle`] and [`ring`].

pub mod bindings;
pub mod broker;
pub mod budget;
pub mod cause;
pub mod cgroup;
pub mod data_watch;
pub mod lane;
pub mod lifecycle;
pub mod log;
mod log_file;
pub mod manager;
mod pool;
mod prepare;
mod process;
pub mod program;
pub mod quarantine;
pub mod quota;
pub mod rate;
pub mod ring;
pub mod sandbox;
pub mod spawner;
pub mod spec;
pub mod status;
pub mod trial;
pub mod tryout;
pub mod violations;
pub mod waker;
