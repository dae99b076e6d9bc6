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
}
