//! Lines from somebody who may never end one.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What reading a line came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A whole line is in the buffer, without its newline.
    Whole,
    /// The line is longer than allowed; at most that much was kept.
    TooLong,
    /// The peer hung up; half a line without a newline counts as nothing.
    End,
}

/// Reads up to the next newline into `line` (cleared first), which never holds
/// more than `limit` bytes, whatever the peer sends.
pub async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    limit: usize,
) -> std::io::Result<Line> {
    line.clear();
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(Line::End);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        if line.len() + part.len() > limit {
            return Ok(Line::TooLong);
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(Line::Whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(mut bytes: &[u8], limit: usize) -> Vec<Result<String, Line>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut found, mut line) = (Vec::new(), Vec::new());
        runtime.block_on(async {
            loop {
                match read_line(&mut bytes, &mut line, limit).await.unwrap() {
                    Line::Whole => found.push(Ok(String::from_utf8(line.clone()).unwrap())),
                    Line::End => return found,
                    other => {
                        assert!(line.capacity() <= 2 * limit.max(8));
                        found.push(Err(other));
                        return found;
                    }
                }
            }
        })
    }

    #[test]
    fn lines_come_one_by_one_and_half_a_line_at_the_end_is_none() {
        assert_eq!(lines(b"one\n\ntwo\nhal", 10), [Ok("one".into()), Ok(String::new()), Ok("two".into())]);
    }

    #[test]
    fn a_line_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        assert_eq!(lines(b"12345678\n", 8), [Ok("12345678".into())]);
        assert_eq!(lines(b"123456789\n", 8), [Err(Line::TooLong)]);
        assert_eq!(lines(&[b'x'; 100_000], 8), [Err(Line::TooLong)]);
    }

    proptest! {
        #[test]
        fn in_whatever_pieces_they_come_they_are_the_same_lines(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..60), piece in 1_usize..9, limit in 0_usize..12,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = |piece: usize| runtime.block_on(async {
                let mut reader = tokio::io::BufReader::with_capacity(piece, bytes.as_slice());
                let (mut lines, mut line) = (Vec::new(), Vec::new());
                while read_line(&mut reader, &mut line, limit).await.unwrap() == Line::Whole {
                    lines.push(line.clone());
                }
                lines
            });
            let whole: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
            let lines = whole.into_iter().filter_map(|line| line.strip_suffix(b"\n")).take_while(|line| line.len() <= limit);
            prop_assert_eq!(read(piece), lines.map(<[u8]>::to_vec).collect::<Vec<_>>());
        }
    }
}
