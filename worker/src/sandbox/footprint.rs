//! What only the start needed need not stay in memory: an idle worker is small.

use std::ffi::{CStr, c_void};

/// How the loader calls a plugin, which was opened by its descriptor.
const BY_DESCRIPTOR: &[u8] = b"/proc/self/fd/";

/// Segments looked at in one object; linkers make four or five.
const MAX_SEGMENTS: usize = 16;

/// Where a plugin's code lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// In a file or sealed memory, mapped.
    Mapped,
    /// In a copy, which would be lost ([`super::violation`]).
    Copied,
}

/// What is looked for, and found.
struct Search {
    plugin: Code,
    bytes: usize,
}

/// Lets go of the program's own code and constants, and of a plugin's where it is mapped; what is used again comes
/// back from the page cache or the sealed memory, a few pages at a time. The libraries are left:
/// others use them too. Returns how many bytes were let go of at most.
pub fn shrink(plugin: Code) -> usize {
    let mut search = Search { plugin, bytes: 0 };
    // SAFETY: the callback gets the pointer to `search`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(let_go), (&raw mut search).cast()) };
    // the tables that a component was linked by, and what else only the start allocated
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number; gives free memory back to the system and moves nothing.
    unsafe {
        libc::malloc_trim(0)
    };
    search.bytes
}

/// Lets go of what the start used of the stack and the calls to come need not.
///
/// Never inlined: then it has a frame of its own, and all others but that of the call it makes lie above.
#[inline(never)]
pub fn shrink_stack() {
    /// More than this frame and the call below it use, the processor's red zone included.
    const NEAR: usize = 4 * 1024;
    /// As deep as a start gets: a component's can take 512 KiB.
    const DEEP: usize = 768 * 1024;
    let frame = 0_u8;
    // SAFETY: takes a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.unsigned_abs() as usize;
    let end = ((&raw const frame).addr() - NEAR) / page * page;
    // SAFETY: below `end` are no frames. An ordinary mapping keeps 256 pages from the first thread's stack (the
    // kernel's stack_guard_gap), and a plugin's that was put there by MAP_FIXED is the plugin's own to lose. What is not
    // mapped is passed over.
    unsafe { libc::madvise((end - DEEP) as *mut c_void, DEEP, libc::MADV_DONTNEED) };
}

/// Called for each loaded object; 0 goes on to the next one.
unsafe extern "C" fn let_go(info: *mut libc::dl_phdr_info, _size: usize, search: *mut c_void) -> i32 {
    // SAFETY: the loader passes a valid description and its own count of headers; the name is a C string, the
    // program's is empty.
    let (base, headers, name) = unsafe {
        let info = &*info;
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
        (info.dlpi_addr, headers, CStr::from_ptr(info.dlpi_name).to_bytes())
    };
    // SAFETY: `search` is what `shrink` passed.
    let search = unsafe { &mut *search.cast::<Search>() };
    let is_ours = name.is_empty() || search.plugin == Code::Mapped && name.starts_with(BY_DESCRIPTOR);
    if !is_ours {
        return 0;
    }
    // SAFETY: takes a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.unsigned_abs();
    // the headers lie in what is let go of: read them all first
    let mut ranges = [(0, 0); MAX_SEGMENTS];
    let constant = headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0);
    for (header, range) in constant.zip(&mut ranges) {
        let start = (base + header.p_vaddr) / page * page;
        *range = (start, usize::try_from(base + header.p_vaddr + header.p_memsz - start).unwrap_or(0));
    }
    for (start, length) in ranges.into_iter().filter(|&(_, length)| length > 0) {
        // SAFETY: a mapping of the object's file that was never writable (a plugin with text relocations is not
        // loaded), so every page of it can be read again from the file, this function's own included.
        if unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_DONTNEED) } == 0 {
            search.bytes += length;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses as much of the stack, and says where.
    #[inline(never)]
    fn deep() -> usize {
        let array = std::hint::black_box([1_u8; 128 * 1024]);
        std::hint::black_box(&array).as_ptr().addr() / 4096 * 4096 + 4096
    }

    fn is_resident(page: usize) -> bool {
        let mut resident = 0;
        // SAFETY: one page of this thread's stack, and room for its one byte.
        assert_eq!(unsafe { libc::mincore(page as *mut c_void, 4096, &raw mut resident) }, 0);
        resident & 1 == 1
    }

    #[test]
    fn the_stack_that_is_used_no_more_goes_and_what_is_used_stays() {
        let array = std::hint::black_box([7_u8; 64 * 1024]);
        let page = deep();
        assert!(is_resident(page));
        shrink_stack();
        assert!(!is_resident(page));
        assert!(std::hint::black_box(&array).iter().all(|byte| *byte == 7));
    }

    #[test]
    fn the_program_runs_on_after_letting_go_of_its_own_code() {
        let text = "constants are read again from the file";
        assert!(shrink(Code::Mapped) > 0);
        assert_eq!(text.split(' ').count(), 7);
    }
}
