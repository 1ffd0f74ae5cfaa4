//! A list of names in one text, separated by commas. Names that contain a comma are quoted.

use csv_core::{ReadFieldResult, Reader};

/// The fields of a line of comma-separated text, without blanks around them. A field with a comma
/// is quoted; two quotes in it stand for one.
///
/// ```
/// use vdn_train::data::split_fields;
///
/// assert_eq!(split_fields("load, price,#3"), ["load", "price", "#3"]);
/// assert_eq!(split_fields("\"Load, total\",\"2\"\" pipe\""), ["Load, total", "2\" pipe"]);
/// assert_eq!(split_fields("a,  \"load, \"\"net\"\"\""), ["a", "load, \"net\""]);
/// ```
#[must_use]
pub fn split_fields(line: &str) -> Vec<String> {
    let trimmed: String = line.lines().collect::<Vec<_>>().join(" ");
    let trimmed = without_blanks(trimmed.trim());
    let (mut reader, mut input) = (Reader::new(), trimmed.as_bytes());
    let (mut fields, mut field) = (Vec::new(), Vec::new());
    let mut output = [0; 256];
    loop {
        let (result, read, written) = reader.read_field(input, &mut output);
        input = &input[read..];
        field.extend_from_slice(&output[..written]);
        match result {
            // An empty input is the end of the text.
            ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
            ReadFieldResult::Field { record_end } => {
                fields.push(String::from_utf8_lossy(&field).trim().to_owned());
                field.clear();
                if record_end {
                    return fields;
                }
            }
            ReadFieldResult::End => return fields,
        }
    }
}

/// The text without blanks between a comma and the quote that opens a field. After a blank, the
/// quote would be a plain character.
fn without_blanks(text: &str) -> String {
    let (mut kept, mut quoted, mut blanks) = (String::new(), false, None);
    for c in text.chars() {
        match c {
            ' ' if !quoted && kept.ends_with(',') && blanks.is_none() => blanks = Some(1),
            ' ' if !quoted && blanks.is_some() => blanks = blanks.map(|count: usize| count + 1),
            _ => {
                let count = blanks.take().unwrap_or(0);
                if c != '"' {
                    kept.extend(std::iter::repeat_n(' ', count));
                }
                quoted ^= c == '"';
                kept.push(c);
            }
        }
    }
    kept
}
