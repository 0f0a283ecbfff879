//! Files on their way to be written, and what speaks against it.

use formats::network::{Content, NewFile, Written};

/// The first line of every file.
pub(super) const HEADER: &str = "# Written by reroot from the state of the old system.\n";

/// What has been written so far, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) written: Written,
    pub(super) refusals: Vec<String>,
}

impl Draft {
    pub(super) fn file(&mut self, path: impl Into<String>, mode: u32, text: String) {
        self.written.files.push(NewFile {
            path: path.into(),
            mode,
            content: Content::Text(text),
        });
    }

    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.written.files.push(NewFile {
            path: path.to_owned(),
            mode: 0o777,
            content: Content::Link(target.to_owned()),
        });
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.written.notes.contains(&note) {
            self.written.notes.push(note);
        }
    }

    pub(super) fn refuse(&mut self, refusal: impl Into<String>) {
        let refusal = refusal.into();
        if !self.refusals.contains(&refusal) {
            self.refusals.push(refusal);
        }
    }
}
