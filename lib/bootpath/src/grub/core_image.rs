//! Putting commands into a core image that grub-mkimage made, where no grub-mkimage is at hand any more.
//!
//! A core image for a PC is diskboot (one sector), a decompressor, and what that decompresses: GRUB's
//! kernel, its modules and its first commands, as raw LZMA. One that is made with [`placeholder`] for
//! its commands gets others of the same length here, and is compressed again; the same commands give
//! the same bytes. Layouts follow GRUB's `include/grub/offsets.h` and `util/mkimage.c`.

use liblzma::stream::{Action, Error, Filters, LzmaOptions, MatchFinder, Mode, Status, Stream};
use storage::mbr::MBR_SIZE;

/// Bytes that there are for commands.
pub const COMMANDS: usize = 2048;

/// In the decompressor's first bytes: how many compressed bytes follow it, u32.
const COMPRESSED: usize = MBR_SIZE + 0x08;
/// How many they are decompressed, u32.
const UNCOMPRESSED: usize = MBR_SIZE + 0x0c;
/// More than any core image has: it is decompressed into a PC's first megabyte and a little above.
const UNCOMPRESSED_MAX: usize = 4 << 20;
/// How many sectors follow diskboot, in its last block list entry, u16.
const SECTORS: usize = 0x1fc;

/// Why no commands can be put into a core image.
#[derive(Debug, thiserror::Error)]
pub enum CoreImageError {
    /// It is built in another way than is known here.
    #[error("the core image is not one for a PC, compressed as GRUB does: {0}")]
    Unknown(&'static str),
    /// What follows its decompressor is no LZMA.
    #[error("decompress or compress the core image")]
    Lzma(#[from] Error),
    /// There is no room for them.
    #[error("GRUB's commands take {0} bytes, the core image has room for {COMMANDS}")]
    TooLong(usize),
}

/// What a core image has to be made with as its commands.
pub fn placeholder() -> Vec<u8> {
    let mut text = b"reroot: the commands of a run go here".to_vec();
    text.resize(COMMANDS, b'\n');
    text
}

/// The core image with these commands in place of [`placeholder`].
pub fn with_commands(core: &[u8], commands: &str) -> Result<Vec<u8>, CoreImageError> {
    let (head, mut inside) = decompress(core)?;
    replace_commands(&mut inside, commands)?;
    let compressed = compress(&inside)?;
    let mut made = [head, &compressed].concat();
    let length = u32::try_from(compressed.len())
        .map_err(|_| CoreImageError::Unknown("it is longer than 4 GiB"))?;
    made[COMPRESSED..COMPRESSED + 4].copy_from_slice(&length.to_le_bytes());
    let behind_diskboot = made.len().div_ceil(MBR_SIZE) - 1;
    let sectors = u16::try_from(behind_diskboot)
        .map_err(|_| CoreImageError::Unknown("it is longer than a block list can say"))?;
    made[SECTORS..SECTORS + 2].copy_from_slice(&sectors.to_le_bytes());
    Ok(made)
}

/// The core image for UEFI with these commands in place of [`placeholder`]: a program of the firmware's
/// kind, in which nothing is compressed.
pub fn with_commands_efi(image: &[u8], commands: &str) -> Result<Vec<u8>, CoreImageError> {
    if !image.starts_with(b"MZ") {
        return Err(CoreImageError::Unknown("it is no program for UEFI"));
    }
    let mut image = image.to_vec();
    replace_commands(&mut image, commands)?;
    Ok(image)
}

/// What is inside a core image as it is on a disk, decompressed; `None` where that is nothing known.
pub(super) fn inside(sectors: &[u8]) -> Option<Vec<u8>> {
    // How long it is in bytes nothing says. Behind it are zeros, and it may end in some itself.
    let end = sectors.iter().rposition(|&byte| byte != 0)? + 1;
    (end..=sectors.len().min(end + ZEROS_AT_END))
        .find_map(|end| decompress(&sectors[..end]).ok())
        .map(|(_, inside)| inside)
}

/// As many zeros may LZMA's last bytes be.
const ZEROS_AT_END: usize = 8;

/// Puts commands into the place of the placeholder, which has to be there once.
fn replace_commands(inside: &mut [u8], commands: &str) -> Result<(), CoreImageError> {
    let mut text = commands.as_bytes().to_vec();
    if text.len() > COMMANDS {
        return Err(CoreImageError::TooLong(text.len()));
    }
    // GRUB reads them to the first zero.
    text.resize(COMMANDS, 0);
    let placeholder = placeholder();
    let mut places = (0..=inside.len().saturating_sub(COMMANDS))
        .filter(|&at| inside[at..].starts_with(&placeholder));
    let (Some(at), None) = (places.next(), places.next()) else {
        return Err(CoreImageError::Unknown(
            "it does not have the placeholder for commands once",
        ));
    };
    drop(places);
    inside[at..at + COMMANDS].copy_from_slice(&text);
    Ok(())
}

/// What is in front of the compressed bytes, and what they are decompressed.
fn decompress(core: &[u8]) -> Result<(&[u8], Vec<u8>), CoreImageError> {
    let u32_at = |at: usize| -> Option<usize> {
        let bytes = core.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let (Some(compressed), Some(length)) = (u32_at(COMPRESSED), u32_at(UNCOMPRESSED)) else {
        return Err(CoreImageError::Unknown("it is too short"));
    };
    let head = core.len().checked_sub(compressed);
    let head = head.filter(|&head| head > UNCOMPRESSED && length <= UNCOMPRESSED_MAX);
    let Some(head) = head else {
        return Err(CoreImageError::Unknown("its lengths do not fit together"));
    };
    let mut inside = Vec::with_capacity(length);
    let mut stream = Stream::new_raw_decoder(&filters()?)?;
    // There is no mark at the end: GRUB stops at the length.
    stream.process_vec(&core[head..], &mut inside, Action::Run)?;
    if inside.len() != length {
        return Err(CoreImageError::Unknown("it has fewer bytes than it says"));
    }
    Ok((&core[..head], inside))
}

fn compress(inside: &[u8]) -> Result<Vec<u8>, CoreImageError> {
    let mut stream = Stream::new_raw_encoder(&filters()?)?;
    // What cannot be compressed grows by a little.
    let mut compressed = Vec::with_capacity(inside.len() + inside.len() / 8 + 1024);
    let status = stream.process_vec(inside, &mut compressed, Action::Finish)?;
    if status == Status::StreamEnd {
        Ok(compressed)
    } else {
        Err(CoreImageError::Unknown("it does not become smaller"))
    }
}

/// GRUB's decompressor knows these properties alone; the rest only says how hard to try.
fn filters() -> Result<Filters, Error> {
    let mut options = LzmaOptions::new_preset(6)?;
    options
        .dict_size(1 << 20)
        .literal_context_bits(3)
        .literal_position_bits(0)
        .position_bits(2)
        .mode(Mode::Normal)
        .match_finder(MatchFinder::BinaryTree4)
        .nice_len(273)
        .depth(0);
    let mut filters = Filters::new();
    filters.lzma1(&options);
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::process::Command;

    use crate::grub::{embed, staged};

    /// A core image by the grub-mkimage of this machine.
    fn made(commands: &[u8]) -> Vec<u8> {
        let place = tempfile::tempdir().unwrap();
        let (config, core) = (place.path().join("cfg"), place.path().join("core.img"));
        std::fs::write(&config, commands).unwrap();
        let status = Command::new("grub-mkimage")
            .args(["-O", "i386-pc", "-p", "/reroot", "-c"])
            .arg(&config)
            .arg("-o")
            .arg(&core)
            .args(["biosdisk", "linux", "boot", "echo", "sleep", "reboot"])
            .status()
            .expect("grub-mkimage (packages grub-common, grub-pc-bin)");
        assert!(status.success());
        std::fs::read(core).unwrap()
    }

    #[test]
    fn what_is_inside_is_what_grub_mkimage_would_have_made() {
        let commands = "linux ($root)8+3 panic=30\nboot\n";
        let core = with_commands(&made(&placeholder()), commands).unwrap();
        let mut padded = commands.as_bytes().to_vec();
        padded.resize(COMMANDS, 0);
        let by_grub = made(&padded);
        let (head, inside) = decompress(&core).unwrap();
        let (head_by_grub, inside_by_grub) = decompress(&by_grub).unwrap();
        assert!(inside == inside_by_grub, "the decompressed images differ");
        let lengths = [SECTORS..SECTORS + 2, COMPRESSED..COMPRESSED + 4];
        let without = |head: &[u8]| {
            let mut head = head.to_vec();
            for range in lengths.clone() {
                head[range].fill(0);
            }
            head
        };
        assert_eq!(without(head), without(head_by_grub));
        assert!(core.len() <= by_grub.len() + MBR_SIZE);
        assert_eq!(
            with_commands(&made(&placeholder()), commands).unwrap(),
            core
        );
        // Its block list fits, or it would not be embedded.
        let boot = std::fs::read("/usr/lib/grub/i386-pc/boot.img").unwrap();
        let sectors = embed::STAGE_SECTORS_MAX as usize;
        let embedded = embed::plan(&embed::empty_room(sectors), &boot, &core).unwrap();
        assert!(super::inside(&embedded.core)
            .is_some_and(|found| found == decompress(&core).unwrap().1));
        let staged = "linux ($root)8+3 panic=30 reroot.committed=x\nboot\n";
        let staged = with_commands(&made(&placeholder()), staged).unwrap();
        assert!(staged::is_loaded_by(&embed::whole_sectors(&staged)));
        assert!(!staged::is_loaded_by(&embedded.core));
        assert!(!staged::is_loaded_by(&[]) && !staged::is_loaded_by(&[0x11; 4096]));
    }

    #[test]
    fn what_has_no_room_or_is_something_else_is_refused() {
        let core = made(&placeholder());
        assert!(matches!(
            with_commands(&core, &"x".repeat(COMMANDS + 1)),
            Err(CoreImageError::TooLong(length)) if length == COMMANDS + 1
        ));
        assert!(with_commands(&core, &"x".repeat(COMMANDS)).is_ok());
        let without = made(b"echo\n");
        let mut damaged = core.clone();
        damaged[5000..6000].fill(0xff);
        for other in [
            &without,
            &damaged,
            &core[..core.len() - 1].to_vec(),
            &vec![],
            &vec![0; 5000],
        ] {
            assert!(with_commands(other, "boot\n").is_err());
        }
    }
}
