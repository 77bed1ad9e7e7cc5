//! Tables as text, by RFC 4180: read a row at a time, and written so that no spreadsheet takes a cell for a formula.

use std::io::BufRead;

/// Longest row, bytes, quotes and line ends included.
pub const ROW_MAX: usize = 64 * 1024;
/// Most cells of a row.
pub const CELLS_MAX: usize = 256;

/// Why a row cannot be read. Reading may go on with the next one, but for [`Error::Io`] and [`Error::OpenQuote`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Over [`ROW_MAX`].
    #[error("the row is longer than {ROW_MAX} bytes")]
    Long,
    /// Over [`CELLS_MAX`].
    #[error("the row has more than {CELLS_MAX} cells")]
    Wide,
    /// Not UTF-8.
    #[error("the row is not UTF-8")]
    Encoding,
    /// Something stands after a closing quote, or a quote inside a cell without quotes.
    #[error("a quote stands where none may")]
    Quote,
    /// The file ends inside quotes.
    #[error("a quote is never closed")]
    OpenQuote,
}

/// A row with the number of the line on which it begins, from 1.
pub type Row = (i64, Vec<String>);

/// Reads rows. Empty lines are left out, and a byte order mark at the start.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    separator: u8,
    line: i64,
}

impl<R: BufRead> Reader<R> {
    /// A reader of cells between `separator`s.
    pub const fn new(input: R, separator: u8) -> Self {
        Self { input, separator, line: 0 }
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// [`Error`], with the line on which the row begins.
    pub fn row(&mut self) -> Option<Result<Row, (i64, Error)>> {
        loop {
            let begins = self.line.saturating_add(1);
            let mut text = Vec::new();
            match self.text(&mut text) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err((begins, error))),
            }
            let mut bytes = text.as_slice();
            if begins == 1 {
                bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            }
            let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if bytes.is_empty() {
                continue;
            }
            return Some(match cells(bytes, self.separator) {
                Ok(cells) => Ok((begins, cells)),
                Err(error) => Err((begins, error)),
            });
        }
    }

    /// The bytes of a row with its line end: lines until all quotes are closed. False at the end of the file.
    fn text(&mut self, text: &mut Vec<u8>) -> Result<bool, Error> {
        loop {
            let mut read = 0_usize;
            loop {
                let buffer = self.input.fill_buf()?;
                if buffer.is_empty() {
                    break;
                }
                let end = buffer.iter().position(|b| *b == b'\n');
                let taken = end.map_or(buffer.len(), |at| at.saturating_add(1));
                if text.len() <= ROW_MAX {
                    text.extend_from_slice(buffer.get(..taken).unwrap_or_default());
                }
                self.input.consume(taken);
                read = read.saturating_add(taken);
                if end.is_some() {
                    break;
                }
            }
            let open = text.iter().filter(|b| **b == b'"').count() % 2 == 1;
            if read == 0 {
                return if open { Err(Error::OpenQuote) } else { Ok(!text.is_empty()) };
            }
            self.line = self.line.saturating_add(1);
            if text.len() > ROW_MAX {
                return Err(Error::Long);
            }
            if !open {
                return Ok(true);
            }
        }
    }
}

fn cells(bytes: &[u8], separator: u8) -> Result<Vec<String>, Error> {
    let mut cells = Vec::new();
    let mut cell = Vec::new();
    let mut bytes = bytes.iter().copied().peekable();
    loop {
        if bytes.peek() == Some(&b'"') {
            bytes.next();
            loop {
                match bytes.next() {
                    Some(b'"') if bytes.peek() == Some(&b'"') => {
                        bytes.next();
                        cell.push(b'"');
                    }
                    Some(b'"') => break,
                    Some(byte) => cell.push(byte),
                    None => return Err(Error::OpenQuote),
                }
            }
            if bytes.peek().is_some_and(|b| *b != separator) {
                return Err(Error::Quote);
            }
        } else {
            while let Some(byte) = bytes.next_if(|b| *b != separator) {
                if byte == b'"' {
                    return Err(Error::Quote);
                }
                cell.push(byte);
            }
        }
        if cells.len() >= CELLS_MAX {
            return Err(Error::Wide);
        }
        cells.push(String::from_utf8(std::mem::take(&mut cell)).map_err(|_| Error::Encoding)?);
        if bytes.next().is_none() {
            return Ok(cells);
        }
    }
}

/// A row as text with its line end. What a spreadsheet would run as a formula gets an apostrophe before it, but for numbers
/// with their sign; a cell is quoted when it must be.
#[must_use]
pub fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let mut line = String::new();
    for (n, cell) in cells.iter().enumerate() {
        if n > 0 {
            line.push(',');
        }
        let cell = cell.as_ref();
        let guard = if runs(cell) { "'" } else { "" };
        if cell.contains(['"', ',', '\n', '\r']) || cells.len() == 1 && cell.is_empty() {
            line.push('"');
            line.push_str(guard);
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(guard);
            line.push_str(cell);
        }
    }
    line.push_str("\r\n");
    line
}

fn runs(cell: &str) -> bool {
    match cell.as_bytes() {
        [b'=' | b'@' | b'\t' | b'\r' | b'\n', ..] => true,
        [b'+' | b'-', rest @ ..] => !rest.iter().all(|b| b.is_ascii_digit() || *b == b'.'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Vec<Result<Row, String>> {
        let mut reader = Reader::new(text, b',');
        let mut rows = Vec::new();
        while let Some(row) = reader.row() {
            let end = matches!(row, Err((_, Error::OpenQuote | Error::Io(_))));
            rows.push(row.map_err(|(line, error)| format!("{line}: {error}")));
            if end {
                break;
            }
        }
        rows
    }

    fn row(line: i64, cells: &[&str]) -> Result<Row, String> {
        Ok((line, cells.iter().map(|c| (*c).to_owned()).collect()))
    }

    #[test]
    fn rows_are_read_by_the_rfc() {
        let text = b"\xef\xbb\xbfa,b\r\n\r\n\"x,\"\"y\",\n\"two\nlines\",z\nlast";
        let rows = read(text);
        let wanted =
            [row(1, &["a", "b"]), row(3, &["x,\"y", ""]), row(4, &["two\nlines", "z"]), row(6, &["last"])];
        assert_eq!(rows, wanted);
        assert_eq!(read(b""), []);
    }

    #[test]
    fn a_bad_row_is_named_and_the_next_one_read() {
        let wide = vec!["x"; CELLS_MAX + 1].join(",");
        let long = "x".repeat(ROW_MAX + 1);
        let text = format!("\"a\"b,\"\"\n{wide}\n{long}\nok\n");
        let rows = read(text.as_bytes());
        assert_eq!(rows[0], Err("1: a quote stands where none may".to_owned()));
        assert!(rows[1].as_ref().unwrap_err().starts_with("2: the row has more"));
        assert!(rows[2].as_ref().unwrap_err().starts_with("3: the row is longer"));
        assert_eq!(rows[3], row(4, &["ok"]));
        assert_eq!(read(b"ok\n\"a,b\n")[1], Err("2: a quote is never closed".to_owned()));
        assert_eq!(read(b"\xff\n")[0], Err("1: the row is not UTF-8".to_owned()));
    }

    #[test]
    fn no_cell_is_run_by_a_spreadsheet() {
        let cells = ["=1+1", "@x", "+8613800000001", "-5.00", "-1+cmd", "+a", "a=b", "\t"];
        let text = line(&cells);
        assert_eq!(text, "'=1+1,'@x,+8613800000001,-5.00,'-1+cmd,'+a,a=b,'\t\r\n");
        assert_eq!(line(&["a\"b", "c,d", ""]), "\"a\"\"b\",\"c,d\",\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(cells in proptest::collection::vec("[a-z0-9 ,\"\r\n;é]{0,8}", 1..6)) {
            let text = line(&cells);
            let rows = read(text.as_bytes());
            // A cell that begins with a line end is guarded.
            let guarded: Vec<String> =
                cells.iter().map(|c| if runs(c) { format!("'{c}") } else { c.clone() }).collect();
            prop_assert_eq!(rows, vec![Ok((1, guarded))]);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }
    }
}
