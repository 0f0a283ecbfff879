//! Taking pieces out of free memory, by table and by property.

use proptest::prelude::*;

use super::super::address::PAGE;
use super::*;

fn pages(start: u64, end: u64) -> Span {
    Span::between(PhysAddr(start * PAGE), PhysAddr(end * PAGE)).unwrap()
}

fn wanted(pages_wanted: u64, alignment: u64, within: Span, from: From) -> Wanted {
    Wanted {
        size: ByteSize(pages_wanted * PAGE),
        alignment: alignment * PAGE,
        within,
        from,
    }
}

#[test]
fn the_lowest_or_the_highest_place_is_taken() {
    let room = Room::new([pages(1, 3), pages(10, 20), pages(30, 33)]);
    let all = pages(0, 100);
    for (size, alignment, within, from, expected) in [
        (2, 1, all, From::Below, Some(pages(1, 3))),
        (3, 1, all, From::Below, Some(pages(10, 13))),
        (3, 8, all, From::Below, Some(pages(16, 19))),
        (3, 1, all, From::Above, Some(pages(30, 33))),
        (4, 1, all, From::Above, Some(pages(16, 20))),
        (4, 4, all, From::Above, Some(pages(16, 20))),
        (2, 8, all, From::Above, Some(pages(16, 18))),
        (2, 1, pages(11, 13), From::Above, Some(pages(11, 13))),
        (3, 1, pages(11, 13), From::Above, None),
        (11, 1, all, From::Below, None),
        (1, 64, all, From::Below, None),
    ] {
        let mut room = room.clone();
        let piece = room.take(wanted(size, alignment, within, from));
        assert_eq!(piece, expected, "{size} pages at {alignment}, {from:?}");
    }
}

#[test]
fn pages_that_are_partly_somebody_elses_are_not_free() {
    let mut room = Room::new([pages(0, 10)]);
    let part = Span::between(PhysAddr(PAGE * 4 + 1), PhysAddr(PAGE * 4 + 2)).unwrap();
    room.exclude(part);
    assert_eq!(room.0, [pages(0, 4), pages(5, 10)]);
    room.limit(&[pages(2, 6), pages(9, 20)]);
    assert_eq!(room.0, [pages(2, 4), pages(5, 6), pages(9, 10)]);
    assert_eq!(room.largest(pages(0, 100)), ByteSize(2 * PAGE));
    assert_eq!(room.largest(pages(50, 100)), ByteSize(0));
}

#[test]
fn sizes_that_wrap_find_no_room() {
    let mut room = Room::new([pages(0, 10)]);
    let wanted = Wanted {
        size: ByteSize(u64::MAX),
        alignment: PAGE,
        within: pages(0, 10),
        from: From::Above,
    };
    assert_eq!(room.take(wanted), None);
}

fn any_room() -> impl Strategy<Value = Vec<Span>> {
    // Gaps and sizes in bytes, so that spans begin and end within pages too.
    prop::collection::vec((0..3 * PAGE, 1..20 * PAGE), 1..8).prop_map(|spans| {
        let mut at = 0;
        let mut made = Vec::new();
        for (gap, size) in spans {
            made.extend(Span::at(PhysAddr(at + gap), ByteSize(size)));
            at += gap + size;
        }
        made
    })
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let within = (0..60_u64, 1..100_u64).prop_map(|(start, size)| pages(start, start + size));
    let from = prop_oneof![Just(From::Below), Just(From::Above)];
    (1..6 * PAGE, 0..4_u32, within, from).prop_map(|(size, alignment, within, from)| Wanted {
        size: ByteSize(size),
        alignment: PAGE << alignment,
        within,
        from,
    })
}

proptest! {
    #[test]
    fn pieces_are_free_aligned_inside_and_apart(
        free in any_room(),
        all in prop::collection::vec(any_wanted(), 1..12),
    ) {
        let mut room = Room::new(free.clone());
        let mut taken: Vec<Span> = Vec::new();
        for wanted in all {
            let before = room.clone();
            let Some(piece) = room.take(wanted) else {
                prop_assert_eq!(&room, &before, "what is not taken changes nothing");
                continue;
            };
            prop_assert!(piece.size().0 >= wanted.size.0 && piece.size().0 < wanted.size.0 + PAGE);
            prop_assert_eq!(piece.start().0 % wanted.alignment, 0);
            prop_assert!(wanted.within.holds(piece));
            prop_assert!(free.iter().any(|span| span.holds(piece)));
            prop_assert!(taken.iter().all(|other| other.intersection(piece).is_none()));
            taken.push(piece);
        }
    }

    /// Page by page: if there is a place, one is found.
    #[test]
    fn a_piece_is_found_where_there_is_one(free in any_room(), wanted in any_wanted()) {
        let mut room = Room::new(free);
        let size = wanted.size.in_pages().unwrap();
        let there = (0..200)
            .map(|page| PhysAddr(page * PAGE))
            .filter(|start| start.0 % wanted.alignment == 0)
            .filter_map(|start| Span::at(start, size))
            .any(|span| {
                wanted.within.holds(span) && room.0.iter().any(|free| free.holds(span))
            });
        prop_assert_eq!(room.take(wanted).is_some(), there);
    }
}
