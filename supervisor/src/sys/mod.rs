//! The few raw system calls, behind safe functions. Linux only; another system
//! gets its own versions of these files and nothing above them changes.

pub mod cgroup;
pub mod features;
pub mod glibc;
pub mod inherit;
pub mod pidfd;
pub mod proc_stat;
pub mod proc_status;
pub mod quick;
pub mod rlimit;
pub mod spawn;
pub mod syscalls;
pub mod unread;
