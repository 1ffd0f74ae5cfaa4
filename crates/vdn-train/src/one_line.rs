//! Makes untrusted text safe to print: one line of bounded length without control characters.

use std::fmt;

/// The longest text that [`one_line`] returns, in characters.
const LONGEST: usize = 300;

/// The longest error message of this library, in characters.
const LONGEST_MESSAGE: usize = 500;

/// Escapes control characters and shortens `text` to 300 characters, with an ellipsis in the
/// middle.
///
/// File names and the contents of damaged files reach the terminal through error messages. Line
/// breaks would split a message, escape sequences could repaint the screen, and characters that
/// change the direction of writing could change the meaning of a message.
///
/// ```
/// use vdn_train::one_line;
///
/// assert_eq!(one_line("weights"), "weights");
/// assert_eq!(one_line("a\nb\u{1b}[2J"), r"a\nb\u{1b}[2J");
/// let long = one_line(&"x".repeat(1_000_000));
/// assert_eq!(long.chars().count(), 300);
/// assert!(long.contains("x…x"));
/// ```
#[must_use]
pub fn one_line(text: &str) -> String {
    shortened(text, LONGEST)
}

/// Like [`one_line`], for a whole message: at most 500 characters.
///
/// The errors of this library already have this form and pass unchanged. A program passes each
/// message that it composes itself through this function, because the message contains names from
/// its input.
///
/// ```
/// use vdn_train::message_line;
///
/// let message = format!("{}: no such command\r\n", "x".repeat(1_000_000));
/// let line = message_line(&message);
/// assert!(line.chars().count() == 500 && line.ends_with(r"no such command\r\n"));
/// assert_eq!(message_line(&line), line);
/// ```
#[must_use]
pub fn message_line(message: &str) -> String {
    shortened(message, LONGEST_MESSAGE)
}

/// Writes an error message in the form of [`message_line`].
///
/// All errors of this crate become text here. The message of an inner error was made here before,
/// and passes unchanged.
pub(crate) fn write_message(f: &mut fmt::Formatter<'_>, message: &str) -> fmt::Result {
    f.write_str(&message_line(message))
}

fn shortened(text: &str, longest: usize) -> String {
    // Escaping never shortens a text. Therefore the first and last `longest` characters determine
    // the result, and a huge text costs no more than a short one.
    let front: Vec<char> = text.chars().take(longest + 1).flat_map(escaped).collect();
    if text.chars().nth(longest).is_none() && front.len() <= longest {
        return front.into_iter().collect();
    }
    let back: Vec<char> =
        text.chars().rev().take(longest).flat_map(|c| escaped(c).into_iter().rev()).collect();
    let (head, tail) = (longest / 2, longest - longest / 2 - 1);
    let tail = back.iter().take(tail).rev();
    front.iter().take(head).chain(std::iter::once(&'…')).chain(tail).collect()
}

/// The characters that represent `c` in the output.
fn escaped(c: char) -> Vec<char> {
    let directs =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(c, '\u{2028}' | '\u{2029}');
    match c.is_control() || directs || breaks {
        true => c.escape_default().collect(),
        false => vec![c],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_is_left() {
        for c in (0..=0x2100).filter_map(char::from_u32) {
            let line = one_line(&format!("a{c}b"));
            assert!(!line.chars().any(char::is_control), "{c:?}: {line:?}");
            assert_eq!(line.lines().count(), 1, "{c:?}: {line:?}");
        }
        for c in ['\u{2028}', '\u{202e}', '\u{2066}', '\u{85}'] {
            assert!(!one_line(&c.to_string()).contains(c), "{c:?}");
        }
    }

    #[test]
    fn both_ends_of_a_long_text_are_kept() {
        for length in [299, 300, 301, 302, 700] {
            let text: String = (0..length).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
            let line = one_line(&text);
            assert_eq!(line.chars().count(), length.min(300), "{length}");
            assert_eq!(line == text, length <= 300, "{length}");
            assert!(text.starts_with(&line[..140]) && text.ends_with(&line[160..]), "{length}");
        }
        // Escaping makes a text longer; shortening comes after it.
        assert_eq!(one_line(&"\n".repeat(151)).chars().count(), 300);
        assert_eq!(one_line(&"\n".repeat(150)), "\\n".repeat(150));
    }
}
