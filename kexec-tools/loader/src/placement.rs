//! Where things go: free memory as a list of spans, and taking pieces of it. Interval arithmetic
//! and nothing else.

use super::address::{ByteSize, PhysAddr, Span};

/// Free memory: spans of whole pages, from low to high, none touching another's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room(Vec<Span>);

/// Which end of the free memory a piece is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The lowest place that does.
    Below,
    /// The highest place that does.
    Above,
}

/// A piece that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How much.
    pub size: ByteSize,
    /// What its start is a multiple of.
    pub alignment: u64,
    /// It lies in here.
    pub within: Span,
    /// Which end it is taken from.
    pub from: From,
}

impl Room {
    /// The whole pages of some spans that do not lie over each other.
    pub fn new(spans: impl IntoIterator<Item = Span>) -> Room {
        let mut pages: Vec<Span> = spans.into_iter().filter_map(Span::whole_pages).collect();
        pages.sort_unstable();
        Room(pages)
    }

    /// Takes a span out, and every page that it touches.
    pub fn exclude(&mut self, span: Span) {
        let left = self.0.iter().flat_map(|free| free.without(span)).flatten();
        // Pages that are partly taken are taken.
        self.0 = left.filter_map(Span::whole_pages).collect();
    }

    /// Keeps only what lies in one of these spans too.
    pub fn limit(&mut self, to: &[Span]) {
        let both = self
            .0
            .iter()
            .flat_map(|free| to.iter().filter_map(|allowed| free.intersection(*allowed)));
        *self = Room::new(both.collect::<Vec<_>>());
    }

    /// Takes a piece; nothing where there is no room for it.
    pub fn take(&mut self, wanted: Wanted) -> Option<Span> {
        let size = wanted.size.in_pages()?;
        let fits = |free: &Span| {
            let free = free.intersection(wanted.within)?;
            let start = match wanted.from {
                From::Below => free.start().align_up(wanted.alignment)?,
                From::Above => {
                    PhysAddr(free.end().0.checked_sub(size.0)?).align_down(wanted.alignment)
                }
            };
            Span::at(start, size).filter(|piece| free.holds(*piece))
        };
        let piece = match wanted.from {
            From::Below => self.0.iter().find_map(fits),
            From::Above => self.0.iter().rev().find_map(fits),
        }?;
        self.exclude(piece);
        Some(piece)
    }

    /// The size of the largest free span in here.
    pub fn largest(&self, within: Span) -> ByteSize {
        let sizes = self.0.iter().filter_map(|free| free.intersection(within));
        sizes.map(Span::size).max().unwrap_or(ByteSize(0))
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
