//! The network of components: datagrams through the supervisor, and connections it makes.

mod connection;
mod datagram;

pub use connection::Connection;
