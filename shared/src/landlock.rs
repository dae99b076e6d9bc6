//! What each version of Landlock added, in words: for a worker's report and for `midimon doctor`.

use std::fmt::Write;

/// What a version of Landlock added to its predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// The version, as the kernel counts its ABIs.
    pub abi: u32,
    /// The Linux that it came with.
    pub kernel: &'static str,
    /// What it can refuse.
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Could not be refused before; the system-call filters do.
    Refusable(&'static str),
    /// Was always refused before.
    Allowable(&'static str),
}

/// What sandboxes have use for: 7 and 8 added none of it (they log, and reach all threads). From the kernel's
/// `Documentation/userspace-api/landlock.rst`.
pub const ADDED: [Added; 6] = [
    Added { abi: 2, kernel: "5.19", what: What::Allowable("moving files between directories") },
    Added { abi: 3, kernel: "6.2", what: What::Refusable("truncation") },
    Added { abi: 4, kernel: "6.7", what: What::Refusable("TCP") },
    Added { abi: 5, kernel: "6.10", what: What::Refusable("device ioctl") },
    Added { abi: 6, kernel: "6.12", what: What::Refusable("signals and abstract sockets") },
    Added { abi: 9, kernel: "7.1", what: What::Refusable("sockets in the file system") },
];

/// The newest version that adds something, and the Linux that it came with.
pub const NEWEST: Added = ADDED[ADDED.len() - 1];

/// What a version of Landlock lacks of the newest, as a clause; `None` where that is nothing.
#[must_use]
pub fn lacks(abi: u32) -> Option<String> {
    let later = || ADDED.iter().filter(|added| abi < added.abi);
    let refusable: Vec<&str> = later()
        .filter_map(|added| match added.what {
            What::Refusable(what) => Some(what),
            What::Allowable(_) => None,
        })
        .collect();
    let mut text = match &refusable[..] {
        [] => String::new(),
        all => format!("it cannot refuse {}; the system-call filters do", all.join(", ")),
    };
    for added in later() {
        if let What::Allowable(what) = added.what {
            let and = if text.is_empty() { "it" } else { ", and it" };
            // cannot fail: writing to a string
            let _ = write!(text, "{and} always refuses {what}");
        }
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::MAX_DETAIL;

    #[test]
    fn each_version_is_told_what_it_lacks_and_the_newest_lacks_nothing() {
        assert!(ADDED.is_sorted_by(|one, next| one.abi < next.abi));
        for abi in 1..NEWEST.abi {
            let text = lacks(abi).unwrap();
            assert!(text.len() + "ABI 1: ".len() <= MAX_DETAIL, "{} bytes: {text}", text.len());
            assert_eq!(text.contains("truncation"), abi < 3, "{text}");
            assert_eq!(text.contains("abstract sockets"), abi < 6, "{text}");
        }
        assert_eq!(lacks(8).unwrap(), "it cannot refuse sockets in the file system; the system-call filters do");
        assert_eq!((lacks(NEWEST.abi), lacks(NEWEST.abi + 1)), (None, None));
    }

    #[test]
    fn the_first_version_refuses_moving_files_and_no_later_one_is_said_to() {
        assert!(lacks(1).unwrap().ends_with(", and it always refuses moving files between directories"));
        assert!((2..NEWEST.abi).all(|abi| !lacks(abi).unwrap().contains("moving")));
    }
}
