//! Normalises the words of dates: names of months in several languages, `a.m.` and `p.m.`,
//! ordinals.

/// The names of months in English, German, French, Spanish, Italian, Portuguese and Dutch, without
/// accents, and abbreviations that are not the start of such a name.
const MONTHS: [(&str, &[&str]); 12] = [
    ("Jan", &["january", "januar", "janvier", "enero", "gennaio", "janeiro"]),
    ("Feb", &["february", "februar", "fevrier", "febrero", "febbraio", "fevereiro"]),
    ("Mar", &["march", "marz", "marzo", "marco", "mars", "maart", "maerz", "mrz", "mrt"]),
    ("Apr", &["april", "avril", "abril"]),
    ("May", &["mayo", "mai", "maggio", "maio", "mei"]),
    ("Jun", &["june", "juni", "juin", "junio", "giugno", "junho"]),
    ("Jul", &["july", "juli", "juillet", "julio", "luglio", "julho"]),
    ("Aug", &["august", "aout", "agosto"]),
    ("Sep", &["september", "septembre", "septiembre", "settembre", "setembro"]),
    ("Oct", &["october", "oktober", "octobre", "octubre", "ottobre", "outubro"]),
    ("Nov", &["november", "novembre", "noviembre", "novembro"]),
    ("Dec", &["december", "dezember", "decembre", "diciembre", "dicembre", "dezembro"]),
];

/// Abbreviations that are also ordinary words: `set 12` is not a month of 2012.
const OTHER_WORDS: [&str; 4] = ["set", "out", "gen", "mag"];

/// The words between the parts of a date; then the letters after the number of a day.
const BETWEEN: [&str; 3] = ["de", "del", "of"];
const ORDINALS: [&str; 6] = ["st", "nd", "rd", "th", "er", "\u{ba}"];

/// Returns the text in a normal form; `None` if nothing changes. The month becomes the first three
/// letters of its English name, ordinals and words between the parts are dropped, `a.m.` and `p.m.`
/// become `AM` and `PM`, and all blanks become plain blanks.
pub(super) fn plain(text: &str) -> Option<String> {
    let letters = |text: &str| text.chars().take_while(|c| c.is_alphabetic()).count();
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let four_digits = text.as_bytes().windows(4).any(|four| four.iter().all(u8::is_ascii_digit));
    let (mut plain, mut rest, mut has_month) = (String::with_capacity(text.len()), text, false);
    while let Some(c) = rest.chars().next() {
        let count = letters(rest);
        let end = rest.char_indices().nth(count.max(1)).map_or(rest.len(), |(at, _)| at);
        let (word, behind) = rest.split_at(end);
        rest = behind;
        let lower = word.to_lowercase();
        let doubtful = OTHER_WORDS.contains(&&*lower) && !four_digits && text.contains(' ');
        if count == 0 {
            let blank = matches!(c, '\u{a0}' | '\u{202f}' | '\u{2009}');
            plain.push(if blank { ' ' } else { c });
        } else if let Some(m) = after_point(behind).filter(|_| lower == "a" || lower == "p") {
            plain.push_str(if lower == "a" { "AM" } else { "PM" });
            rest = m;
        } else if let Some(month) = month(&lower).filter(|_| !doubtful) {
            has_month = true;
            plain.push_str(month);
            // The point after an abbreviation is dropped.
            let point = behind.strip_prefix('.');
            rest = point.filter(|b| !b.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(behind);
        } else if BETWEEN.contains(&&*lower) && plain.ends_with(' ') {
            rest = behind.trim_start();
        } else if !(ORDINALS.contains(&&*lower) && plain.ends_with(|c: char| c.is_ascii_digit())) {
            plain.push_str(word);
        }
    }
    // Without a month or a half of the day, the text is not a date and stays as it is.
    let half_day = plain.ends_with("AM") || plain.ends_with("PM");
    (plain != text && (has_month || half_day)).then_some(plain)
}

/// Returns the text after `.m.` or `. m.`.
fn after_point(text: &str) -> Option<&str> {
    let text = text.strip_prefix('.')?.trim_start();
    let text = text.strip_prefix(['m', 'M'])?;
    let text = text.strip_prefix('.').unwrap_or(text);
    (!text.starts_with(char::is_alphanumeric)).then_some(text)
}

/// Returns the month that a lower-case word names. The word may be the start of a name, if it is
/// not the start of another month's name in any of the languages.
fn month(word: &str) -> Option<&'static str> {
    let fold = |c| match c {
        '\u{e0}'..='\u{e4}' => 'a',
        '\u{e7}' => 'c',
        '\u{e8}'..='\u{eb}' => 'e',
        '\u{f9}'..='\u{fc}' => 'u',
        other => other,
    };
    if word.chars().count() < 3 {
        return None;
    }
    let word: String = word.chars().map(fold).collect();
    let begins = |names: &[&str]| names.iter().any(|name| name.starts_with(&*word));
    let mut found = MONTHS.iter().filter(|(_, names)| begins(names));
    let (month, _) = found.next()?;
    found.next().is_none().then_some(*month)
}
