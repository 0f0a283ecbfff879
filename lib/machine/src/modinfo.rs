//! What a module says of itself: the section `.modinfo` of its file, `KEY=VALUE` strings that end with
//! a zero byte, as `modinfo` prints them; and `modules.builtin.modinfo`, the same of the modules that
//! are part of a kernel, with the module's name before the key (Linux 5.2 and later).
//!
//! Reads the section table of elf(5) of 64-bit little-endian files, nothing else of it.

use crate::modules::normalise;

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;

/// The firmware files that a module names, sorted; empty where it names none. The bytes are the
/// module's, decompressed. `None` where they are no such file.
pub fn firmware(module: &[u8]) -> Option<Vec<String>> {
    let section = modinfo(module)?;
    let mut names: Vec<String> = strings(section)
        .filter_map(|text| text.strip_prefix("firmware="))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// Drivers that are part of a kernel and the firmware that they name, from
/// `modules.builtin.modinfo`: pairs of driver and file.
pub fn firmware_of_builtin(text: &[u8]) -> Vec<(String, String)> {
    strings(text)
        .filter_map(|text| {
            let (driver, rest) = text.split_once('.')?;
            let file = rest.strip_prefix("firmware=")?;
            Some((normalise(driver), file.to_owned()))
        })
        .collect()
}

fn strings(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes
        .split(|&byte| byte == 0)
        .filter_map(|text| std::str::from_utf8(text).ok())
        .filter(|text| !text.is_empty())
}

fn modinfo(module: &[u8]) -> Option<&[u8]> {
    let head = module.get(..HEADER)?;
    // 64-bit, little-endian.
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = u64_at(head, 40)? as usize;
    let (size, count, names) = (
        u16_at(head, 58)? as usize,
        u16_at(head, 60)? as usize,
        u16_at(head, 62)? as usize,
    );
    if size < SECTION_HEADER {
        return None;
    }
    let header = |index: usize| {
        let at = table.checked_add(index.checked_mul(size)?)?;
        module.get(at..at.checked_add(SECTION_HEADER)?)
    };
    let body = |header: &[u8]| {
        let (offset, length) = (u64_at(header, 24)? as usize, u64_at(header, 32)? as usize);
        module.get(offset..offset.checked_add(length)?)
    };
    let names = body(header(names)?)?;
    (0..count).filter_map(header).find_map(|header| {
        let name = names.get(u32_at(header, 0)? as usize..)?;
        name.starts_with(b".modinfo\0").then(|| body(header))?
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with the sections that matter: none, names, .modinfo.
    fn module(modinfo: &[u8]) -> Vec<u8> {
        let names = b"\0.shstrtab\0.modinfo\0";
        let mut bytes = vec![0; HEADER];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let names_at = bytes.len();
        bytes.extend_from_slice(names);
        let modinfo_at = bytes.len();
        bytes.extend_from_slice(modinfo);
        let table = bytes.len();
        let section = |name: u32, offset: usize, length: usize| {
            let mut header = vec![0; SECTION_HEADER];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(length as u64).to_le_bytes());
            header
        };
        bytes.extend(section(0, 0, 0));
        bytes.extend(section(1, names_at, names.len()));
        bytes.extend(section(11, modinfo_at, modinfo.len()));
        bytes[40..48].copy_from_slice(&(table as u64).to_le_bytes());
        bytes[58..60].copy_from_slice(&(SECTION_HEADER as u16).to_le_bytes());
        bytes[60..62].copy_from_slice(&3u16.to_le_bytes());
        bytes[62..64].copy_from_slice(&1u16.to_le_bytes());
        bytes
    }

    #[test]
    fn a_module_names_its_firmware() {
        let bytes = module(
            b"firmware=bnx2/bnx2-rv2p-09-6.0.17.fw\0firmware=bnx2/bnx2-mips-09-6.2.1b.fw\0\
              license=GPL\0firmware=bnx2/bnx2-mips-09-6.2.1b.fw\0",
        );
        assert_eq!(
            firmware(&bytes).unwrap(),
            ["bnx2/bnx2-mips-09-6.2.1b.fw", "bnx2/bnx2-rv2p-09-6.0.17.fw"]
        );
        assert_eq!(firmware(&module(b"license=GPL\0")), Some(vec![]));
    }

    #[test]
    fn what_is_cut_or_no_module_says_nothing() {
        let bytes = module(b"firmware=a\0");
        for length in [0, 10, 63, 64, bytes.len() - 1] {
            assert_eq!(firmware(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(firmware(&[b'x'; 500]), None);
        let mut far = bytes;
        far[40..48].fill(0xff);
        assert_eq!(firmware(&far), None);
    }

    #[test]
    fn a_kernel_names_the_firmware_of_its_own_drivers() {
        let text = b"tg3.license=GPL\0tg3.firmware=tigon/tg3.bin\0a-b.firmware=c\0rest";
        assert_eq!(
            firmware_of_builtin(text),
            [("tg3", "tigon/tg3.bin"), ("a_b", "c")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
}
