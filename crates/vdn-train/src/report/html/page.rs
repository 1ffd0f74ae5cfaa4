//! The HTML page around figures and tables.

use crate::report::html::escape;

/// A page under construction.
#[derive(Clone, Debug, Default)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), body: String::new() }
    }

    /// Adds a heading, a sentence below it, and figures, as many side by side as fit.
    pub fn section(&mut self, heading: &str, lead: &str, figures: &[String]) {
        self.body.push_str(&format!("<h2>{}</h2>\n", escape(heading)));
        if !lead.is_empty() {
            self.body.push_str(&format!("<p>{}</p>\n", escape(lead)));
        }
        self.body.push_str("<div class=\"grid\">\n");
        self.body.extend(figures.iter().map(String::as_str));
        self.body.push_str("</div>\n");
    }

    /// Adds a table as wide as the page.
    pub fn table(&mut self, table: &super::Table) {
        self.body.push_str(&table.draw());
    }

    /// The complete document.
    pub fn finish(&self) -> String {
        let title = escape(&self.title);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{title}</h1>\n{}</main>\n</body>\n</html>\n",
            self.body
        )
    }
}

const STYLE: &str = include_str!("style.css");
