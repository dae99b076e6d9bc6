//! The C library that workers run with.
#![allow(unsafe_code)]

/// The version of glibc on this machine; none with another C library.
#[must_use]
pub fn glibc_version() -> Option<(u32, u32)> {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: the function takes nothing and returns a constant text that ends in NUL.
        let text = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
        parse(text.to_str().ok()?)
    }
    #[cfg(not(target_env = "gnu"))]
    None
}

/// Reads `2.41` and `2.2.5`; what follows the second number makes no difference here.
#[must_use]
pub fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    let mut number = || {
        let text = numbers.next()?;
        if text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
    };
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_here_is_one_that_can_be() {
        assert!(glibc_version().is_none_or(|version| version >= (2, 17)), "{:?}", glibc_version());
        assert_eq!(parse("2.2.5"), Some((2, 2)));
        assert!(
            parse("2").is_none() && parse("2.x").is_none() && parse("2.+1").is_none() && parse("2.9999999").is_none()
        );
    }
}
