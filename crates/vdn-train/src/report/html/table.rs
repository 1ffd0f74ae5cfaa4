//! Tables that scroll sideways on a narrow screen.

use crate::report::html::escape;

/// A table. The first column has names, the others have numbers.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The title, above the table.
    pub title: String,
    /// The note below the table.
    pub note: String,
    /// The headings of the columns.
    pub heads: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Draws the table.
    pub fn draw(&self) -> String {
        let row = |cells: &[String], tag: &str| {
            let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
            format!("<tr>{}</tr>", cells.collect::<String>())
        };
        let rows: String = self.rows.iter().map(|cells| row(cells, "td")).collect();
        let note = match self.note.is_empty() {
            true => String::new(),
            false => format!("<p>{}</p>", escape(&self.note)),
        };
        format!(
            "<section class=\"t\"><h3>{}</h3><div class=\"w\"><table><thead>{}</thead><tbody>{rows}</tbody></table></div>\
             {note}</section>\n",
            escape(&self.title),
            row(&self.heads, "th")
        )
    }
}
