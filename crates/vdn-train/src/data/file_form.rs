//! [`FileForm`]: the form in which a delimited file is written.

use crate::data::cell::NumberForm;
use crate::error::TrainError;
use crate::error::data::DataError;

/// The form in which a delimited file is written. A part that is `None` is found from the content.
///
/// ```
/// use vdn_train::data::{FileForm, NumberForm};
///
/// let german = FileForm { delimiter: Some(b';'), numbers: Some(NumberForm::DecimalComma) };
/// assert_ne!(german, FileForm::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileForm {
    /// The delimiter between cells: an ASCII character other than a quote, line end or NUL.
    pub delimiter: Option<u8>,
    /// The form of numbers.
    pub numbers: Option<NumberForm>,
}

impl FileForm {
    /// Checks the delimiter.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] for a byte that cannot separate cells.
    pub fn check(&self) -> Result<(), DataError> {
        match self.delimiter {
            Some(byte) if !byte.is_ascii() || b"\r\n\"\0".contains(&byte) => {
                let what = format!("the byte {byte} cannot be a delimiter");
                Err(DataError::InvalidOption(what))
            }
            _ => Ok(()),
        }
    }

    /// The form according to two settings: `data.delimiter` (one character or `tab`) and
    /// `data.decimal` (`.` or `,`). A part that is `None` is found from the content.
    ///
    /// ```
    /// use vdn_train::data::{FileForm, NumberForm};
    ///
    /// let form = FileForm::of_settings(Some("tab"), Some(","))?;
    /// assert_eq!((form.delimiter, form.numbers), (Some(b'\t'), Some(NumberForm::DecimalComma)));
    /// let error = FileForm::of_settings(Some("::"), None).unwrap_err().to_string();
    /// assert!(error.contains("data.delimiter"), "{error}");
    /// # Ok::<(), vdn_train::TrainError>(())
    /// ```
    ///
    /// # Errors
    /// Returns an error with the key for an invalid delimiter or decimal sign.
    pub fn of_settings(delimiter: Option<&str>, decimal: Option<&str>) -> Result<Self, TrainError> {
        let refuse = |key: &str, value: &str, domain: &str| {
            let reason = format!("data.{key} = {value:?}: has to be {domain}");
            Err(TrainError::config(reason))
        };
        let delimiter = match delimiter {
            None => None,
            Some("tab" | "\\t" | "\t") => Some(b'\t'),
            Some(text) => match text.as_bytes() {
                [byte] if Self { delimiter: Some(*byte), numbers: None }.check().is_ok() => {
                    Some(*byte)
                }
                _ => return refuse("delimiter", text, "one ASCII character, or tab"),
            },
        };
        let numbers = match decimal {
            None => None,
            Some(".") => Some(NumberForm::DecimalPoint),
            Some(",") => Some(NumberForm::DecimalComma),
            Some(text) => return refuse("decimal", text, "\".\" or \",\""),
        };
        Ok(Self { delimiter, numbers })
    }
}
