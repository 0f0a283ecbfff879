//! An initrd in parts: archives and files that are never copied together, each in pages of its own.
//!
//! Each part begins at a page, and zeros fill what the one before left. The unpacker of the kernel's
//! initramfs skips zeros between archives and between the members of an archive
//! (Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c). So a file becomes
//! a member of the archive by a page with its header in front, and needs no copy.

use super::address::PAGE;

/// Mode of a member: a file for its owner to read.
const MODE: u32 = 0o100_400;
/// newc headers, names and data begin at multiples of this.
const ALIGNMENT: usize = 4;
/// The member that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// A page that ends with the header of a member, so that the member's data are the next page's.
/// Nothing where the name does not fit.
pub fn member(name: &str, size: u32) -> Option<Vec<u8>> {
    let header = header(name, MODE, size);
    let zeros = (PAGE as usize).checked_sub(header.len())?;
    let mut page = vec![0; zeros];
    page.extend_from_slice(&header);
    Some(page)
}

/// What ends the archive.
pub fn trailer() -> Vec<u8> {
    header(TRAILER, 0, 0)
}

/// A newc header with its name.
fn header(name: &str, mode: u32, size: u32) -> Vec<u8> {
    const INODE: u32 = 0;
    const LINKS: u32 = 1;
    let name_size = name.len() as u32 + 1;
    // Inode, mode, owner, group, links, time, size, device, its device, name's size, checksum.
    let fields = [INODE, mode, 0, 0, LINKS, 0, size, 0, 0, 0, 0, name_size, 0];
    let mut header = b"070701".to_vec();
    for field in fields {
        header.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    header.extend_from_slice(name.as_bytes());
    header.push(0);
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_where_its_page_ends() {
        let page = member("reroot/payload", 0x1234).unwrap();
        assert_eq!(page.len(), 4096);
        let header = &page[4096 - 128..];
        assert!(header.starts_with(b"070701"), "{header:?}");
        assert_eq!(&header[6 + 6 * 8..6 + 7 * 8], b"00001234");
        assert!(header.ends_with(b"reroot/payload\0\0\0\0"));
        assert!(page[..4096 - 128].iter().all(|&b| b == 0));
    }

    #[test]
    fn a_name_that_does_not_fit_is_no_member() {
        assert_eq!(member(&"n".repeat(4096), 0), None);
        assert!(member(&"n".repeat(3900), 0).is_some());
    }
}
