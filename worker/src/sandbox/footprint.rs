//! What only the start needed need not stay in memory: an idle worker is small.

use std::ffi::c_void;

/// Lets go of the program's own code and constants; what is used again comes back from the page
/// cache, a few pages at a time. Returns how many bytes were let go of at most.
pub fn shrink() -> usize {
    let mut bytes = 0usize;
    // SAFETY: the callback gets the pointer to `bytes`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(first_object), (&raw mut bytes).cast()) };
    bytes
}

/// Called for each loaded object; the first one is the program. Anything but 0 ends the walk.
unsafe extern "C" fn first_object(info: *mut libc::dl_phdr_info, _size: usize, bytes: *mut c_void) -> i32 {
    // SAFETY: the loader passes a valid description and its own count of headers.
    let (base, headers) =
        unsafe { ((*info).dlpi_addr, std::slice::from_raw_parts((*info).dlpi_phdr, (*info).dlpi_phnum.into())) };
    // SAFETY: takes a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.unsigned_abs();
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0) {
        let start = (base + header.p_vaddr) / page * page;
        let end = base + header.p_vaddr + header.p_memsz;
        let length = usize::try_from(end - start).unwrap_or(0);
        // SAFETY: a mapping of this program's file that was never writable, so every page of it can be read again
        // from the file, this function's own included.
        if unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_DONTNEED) } == 0 {
            // SAFETY: `bytes` is what `shrink` passed.
            unsafe { *bytes.cast::<usize>() += length };
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_runs_on_after_letting_go_of_its_own_code() {
        let text = "constants are read again from the file";
        assert!(shrink() > 0);
        assert_eq!(text.split(' ').count(), 7);
    }
}
