//! How far something is that takes long: on a terminal alone.

use std::io::{self, IsTerminal};

use crate::image::Verifying;

/// Shows how far the image is verified, on one line that goes away with its end.
pub fn verifying(so_far: Verifying) {
    if !io::stderr().is_terminal() {
        return;
    }
    match so_far {
        Verifying::Percent(percent) => eprint!("\rverifying the image: {percent}%"),
        Verifying::Damaged => eprintln!(),
        Verifying::Whole => eprint!("\r\x1b[K"),
    }
}
