//! One self-contained HTML page about a run: inline SVG, no script, no network.
//!
//! [`Page`] lays out figures and tables; the charts do not depend on runs. Every chart is an SVG of
//! a fixed small size, as wide as a phone screen, and the page puts as many side by side as fit.
//! Text therefore has the same size on every screen. Colours are CSS variables, so the page follows
//! the light or dark scheme of the reader.

mod axes;
mod bars;
mod heat_map;
mod lines;
mod page;
mod png;
mod scatter;
mod table;

pub use bars::Bars;
pub use heat_map::HeatMap;
pub use lines::{Band, LineChart, Series, Traces};
pub use page::Page;
pub use scatter::Scatter;
pub use table::Table;

/// Escapes text for use between tags and in attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Formats a number for a reader: four significant digits, with an exponent if it is very small or
/// large.
pub fn number(x: f64) -> String {
    if !x.is_finite() {
        return "-".to_owned();
    }
    let size = x.abs();
    if size != 0.0 && !(1e-3..1e5).contains(&size) {
        return format!("{x:.2e}").replace('-', "\u{2212}");
    }
    let digits = match size {
        _ if size >= 1000.0 => 0,
        _ if size >= 100.0 => 1,
        _ if size >= 10.0 => 2,
        _ => 3,
    };
    format!("{x:.digits$}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup_and_numbers_are_short() {
        assert_eq!(escape("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
        let cases = [
            (0.0, "0.000"),
            (-1.25, "\u{2212}1.250"),
            (12.345, "12.35"),
            (98765.0, "98765"),
            (1e-4, "1.00e\u{2212}4"),
            (f64::NAN, "-"),
        ];
        for (x, want) in cases {
            assert_eq!(number(x), want);
        }
    }
}
