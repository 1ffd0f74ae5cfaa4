//! Words of dates: names of months in several languages, `a.m.` and `p.m.`, ordinals.

/// Names of months in English, German, French, Spanish, Italian, Portuguese and Dutch without
/// accents, and abbreviations that are no beginning of one.
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

/// Abbreviations that are words of their own: `set 12` is no month of 2012.
const OTHER_WORDS: [&str; 4] = ["set", "out", "gen", "mag"];

/// Words between the parts of a date, and letters behind the number of a day.
const BETWEEN: [&str; 3] = ["de", "del", "of"];
const ORDINALS: [&str; 6] = ["st", "nd", "rd", "th", "er", "\u{ba}"];

/// The text with its month as the first three letters of its English name, without ordinals and
/// words between, with `AM` and `PM`, and with plain blanks; `None` where nothing changes.
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
            // The point of an abbreviation.
            let point = behind.strip_prefix('.');
            rest = point.filter(|b| !b.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(behind);
        } else if BETWEEN.contains(&&*lower) && plain.ends_with(' ') {
            rest = behind.trim_start();
        } else if !(ORDINALS.contains(&&*lower) && plain.ends_with(|c: char| c.is_ascii_digit())) {
            plain.push_str(word);
        }
    }
    // Without a month words are what they are.
    let half_day = plain.ends_with("AM") || plain.ends_with("PM");
    (plain != text && (has_month || half_day)).then_some(plain)
}

/// What follows `.m.` or `. m.`.
fn after_point(text: &str) -> Option<&str> {
    let text = text.strip_prefix('.')?.trim_start();
    let text = text.strip_prefix(['m', 'M'])?;
    let text = text.strip_prefix('.').unwrap_or(text);
    (!text.starts_with(char::is_alphanumeric)).then_some(text)
}

/// The month that a word in lower case, or a word that begins with it, names in all languages.
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
