//! Labels: names of layers, in the order in which they were set. The next recording reuses their
//! strings.

use crate::node::NONE;
use crate::tape::Tape;
use vdn_tensor::Element;

/// A label of the current recording, which [`Tape::restore_label`] restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(pub(crate) u32);

impl Default for Label {
    fn default() -> Self {
        Self(NONE)
    }
}

/// The labels of a recording; strings beyond `used` belong to earlier recordings.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    names: Vec<String>,
    used: usize,
    current: Label,
}

impl Labels {
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.current = Label::default();
    }

    pub(crate) fn current(&self) -> Label {
        self.current
    }

    /// Returns the text of a label; empty for no label and for a label of an earlier recording.
    pub(crate) fn name(&self, label: Label) -> &str {
        self.names[..self.used].get(label.0 as usize).map_or("", String::as_str)
    }

    /// Makes `label` current and returns the previous label.
    pub(crate) fn set(&mut self, label: &str) -> Label {
        self.next(None, label)
    }

    /// Makes `current.label` current and returns the previous label.
    pub(crate) fn push(&mut self, label: &str) -> Label {
        self.next(Some(self.current), label)
    }

    pub(crate) fn restore(&mut self, label: Label) {
        self.current = label;
    }

    fn next(&mut self, parent: Option<Label>, label: &str) -> Label {
        if self.used == self.names.len() {
            self.names.push(String::new());
        }
        let (before, after) = self.names.split_at_mut(self.used);
        let name = &mut after[0];
        name.clear();
        if let Some(parent) = parent.and_then(|parent| before.get(parent.0 as usize)) {
            name.push_str(parent);
            name.push('.');
        }
        name.push_str(label);
        let previous = std::mem::replace(&mut self.current, Label(self.used as u32));
        self.used += 1;
        previous
    }
}

impl<T: Element> Tape<T> {
    /// Labels everything that is recorded from here on, for reports; usually with the name of a
    /// layer. Returns the previous label.
    pub fn set_label(&mut self, label: &str) -> Label {
        self.labels.set(label)
    }

    /// Restores an earlier label of this recording.
    pub fn restore_label(&mut self, label: Label) {
        self.labels.restore(label);
    }

    /// Returns the current label; empty if there is none.
    #[must_use]
    pub fn label(&self) -> &str {
        self.labels.name(self.labels.current())
    }

    /// Runs `f` with `label` appended to the current label, after a dot.
    pub fn labelled<R>(&mut self, label: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.labels.push(label);
        let result = f(self);
        self.labels.restore(before);
        result
    }
}
