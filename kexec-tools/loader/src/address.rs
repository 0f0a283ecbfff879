//! Physical addresses, sizes and spans of memory: the units of everything that is laid out here.
//! All arithmetic is checked; a span is never empty.

use std::fmt;

/// A page of memory on x86-64: the unit in which kexec takes memory.
pub const PAGE: u64 = 4096;

/// A physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysAddr(pub u64);

impl PhysAddr {
    /// The next address at or above this one that is a multiple of `alignment`, a power of two.
    pub(crate) fn align_up(self, alignment: u64) -> Option<PhysAddr> {
        self.0
            .checked_next_multiple_of(alignment.max(1))
            .map(PhysAddr)
    }

    /// The next address at or below this one that is a multiple of `alignment`.
    #[must_use]
    pub(crate) fn align_down(self, alignment: u64) -> PhysAddr {
        PhysAddr(self.0 - self.0 % alignment.max(1))
    }

    /// The address this many bytes above.
    pub fn above(self, size: ByteSize) -> Option<PhysAddr> {
        self.0.checked_add(size.0).map(PhysAddr)
    }
}

impl fmt::Display for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The size of the whole pages that hold this many bytes.
    pub(crate) fn in_pages(self) -> Option<ByteSize> {
        self.0.checked_next_multiple_of(PAGE).map(ByteSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.0 < 1 << 20 {
            write!(f, "{} bytes", self.0)
        } else {
            write!(f, "{} MiB", self.0.div_ceil(1 << 20))
        }
    }
}

/// A span of physical memory: from `start` up to, and without, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    start: PhysAddr,
    end: PhysAddr,
}

impl Span {
    /// From `start` up to, and without, `end`; nothing where that is empty.
    pub fn between(start: PhysAddr, end: PhysAddr) -> Option<Span> {
        (start < end).then_some(Span { start, end })
    }

    /// This many bytes from `start`; nothing where that is empty or wraps.
    pub fn at(start: PhysAddr, size: ByteSize) -> Option<Span> {
        Span::between(start, start.above(size)?)
    }

    /// The first address.
    pub fn start(self) -> PhysAddr {
        self.start
    }

    /// The first address behind it.
    pub fn end(self) -> PhysAddr {
        self.end
    }

    /// How long it is.
    pub fn size(self) -> ByteSize {
        ByteSize(self.end.0 - self.start.0)
    }

    /// What both have in common.
    pub fn intersection(self, other: Span) -> Option<Span> {
        Span::between(self.start.max(other.start), self.end.min(other.end))
    }

    /// Whether all of `other` lies in it.
    pub fn holds(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What is left of it below and above `other`.
    pub fn without(self, other: Span) -> [Option<Span>; 2] {
        [
            Span::between(self.start, self.end.min(other.start)),
            Span::between(self.start.max(other.end), self.end),
        ]
    }

    /// The whole pages in it.
    pub(crate) fn whole_pages(self) -> Option<Span> {
        Span::between(self.start.align_up(PAGE)?, self.end.align_down(PAGE))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:#x}-{:#x}", self.start.0, self.end.0 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, end: u64) -> Span {
        Span::between(PhysAddr(start), PhysAddr(end)).unwrap()
    }

    #[test]
    fn spans_are_never_empty_and_never_wrap() {
        assert_eq!(Span::between(PhysAddr(5), PhysAddr(5)), None);
        assert_eq!(Span::at(PhysAddr(5), ByteSize(0)), None);
        assert_eq!(Span::at(PhysAddr(u64::MAX), ByteSize(2)), None);
        assert_eq!(span(1, 4096).whole_pages(), None);
        assert_eq!(span(1, 8193).whole_pages(), Some(span(4096, 8192)));
        assert_eq!(span(u64::MAX - 10, u64::MAX).whole_pages(), None);
    }

    #[test]
    fn what_is_cut_out_is_gone_and_the_rest_is_left() {
        let whole = span(10, 20);
        for (cut, left) in [
            (span(0, 10), [None, Some(whole)]),
            (span(20, 30), [Some(whole), None]),
            (span(0, 30), [None, None]),
            (span(12, 15), [Some(span(10, 12)), Some(span(15, 20))]),
            (span(10, 11), [None, Some(span(11, 20))]),
        ] {
            assert_eq!(whole.without(cut), left, "{cut}");
        }
    }
}
