//! [`FileForm`]: how a delimited file is written.

use crate::data::cell::NumberForm;
use crate::error::TrainError;
use crate::error::data::DataError;

/// How a delimited file is written; what is `None` is found from its content.
///
/// ```
/// use vdn_train::data::{FileForm, NumberForm};
///
/// let german = FileForm { delimiter: Some(b';'), numbers: Some(NumberForm::DecimalComma) };
/// assert_ne!(german, FileForm::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileForm {
    /// What separates cells: an ASCII character that is no quote, line end or NUL.
    pub delimiter: Option<u8>,
    /// How numbers are written.
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

    /// The form that two settings ask for: `data.delimiter`, one character or `tab`, and
    /// `data.decimal`, `.` or `,`. What is `None` stays to be found.
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
    /// A delimiter or a decimal sign that cannot be, with its key.
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
