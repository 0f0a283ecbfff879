//! One boot of something else: a block of commands before everything else in the old OS's grub.cfg.
//!
//! The block starts the RAM environment only if the environment block names this very run, and only
//! once that name has been taken out and GRUB could save it. Whatever fails in it, GRUB goes on with
//! the configuration behind it, which is the old OS's own. So it depends on nothing that a
//! distribution may have in its grub.cfg, or not. Understood by GRUB 1.99 and later.

use formats::facts::RootType;

use super::staged::{plain, ConfigError};

/// The variable of the environment block that names the run to start.
pub const VARIABLE: &str = "reroot_once";

const BEGIN: &str = "# reroot-once ";
const END: &str = "# reroot-once ends here\n";

/// The block for a run: `filesystem` and `uuid` are the root's, `directory` is the run's on it.
pub fn block(
    run: &str,
    filesystem: RootType,
    uuid: &str,
    directory: &str,
    cmdline: &str,
) -> Result<String, ConfigError> {
    let (run, uuid) = (plain(run)?, plain(uuid)?);
    let module = filesystem.grub_module();
    let (directory, cmdline) = (plain(directory)?, plain(cmdline)?);
    Ok(format!(
        "{BEGIN}{run}
if [ -s $prefix/grubenv ]; then
  load_env {VARIABLE}
fi
if [ \"${{{VARIABLE}}}\" = \"{run}\" ]; then
  set {VARIABLE}=
  if save_env {VARIABLE}; then
    insmod part_msdos
    insmod {module}
    insmod linux
    if search --no-floppy --fs-uuid --set=reroot_root {uuid}; then
      if linux (${{reroot_root}}){directory}/kernel {cmdline}; then
        if initrd (${{reroot_root}}){directory}/initramfs; then
          boot
        fi
      fi
    fi
  fi
fi
{END}"
    ))
}

/// The configuration with the block before it.
pub(crate) fn with_block(config: &[u8], block: &str) -> Vec<u8> {
    [block.as_bytes(), config].concat()
}

/// The run that a configuration's block is for, and the configuration without it; `None` where it
/// has no such block.
pub(crate) fn without_block(config: &[u8]) -> Option<(String, Vec<u8>)> {
    let behind = config.strip_prefix(BEGIN.as_bytes())?;
    let line = behind.iter().position(|&b| b == b'\n')?;
    let run = String::from_utf8(behind[..line].to_vec()).ok()?;
    let end = config
        .windows(END.len())
        .position(|window| window == END.as_bytes())?;
    Some((run, config[end + END.len()..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"set default=0\nmenuentry 'x' {\n}\n";

    #[test]
    fn the_block_comes_off_as_it_was_put_on() {
        let block = block(
            "2026-0a1b",
            RootType::Ext4,
            "1234-ab",
            "/.reroot/2026-0a1b",
            "panic=30 quiet",
        )
        .unwrap();
        let new = with_block(OLD, &block);
        assert!(new.starts_with(b"# reroot-once 2026-0a1b\n"));
        let expected = Some(("2026-0a1b".to_owned(), OLD.to_vec()));
        assert_eq!(without_block(&new), expected);
        assert_eq!(without_block(OLD), None);
        assert_eq!(without_block(b""), None);
        assert_eq!(without_block(b"# reroot-once x\ncut short"), None);
    }

    #[test]
    fn nothing_is_started_before_the_name_is_taken_out_for_good() {
        let text = block("r", RootType::Xfs, "u", "/.reroot/r", "quiet").unwrap();
        assert!(text.contains("insmod xfs\n"), "{text}");
        let at = |what: &str| {
            text.find(what)
                .unwrap_or_else(|| panic!("{what} in {text}"))
        };
        assert!(at("set reroot_once=\n") < at("if save_env reroot_once; then"));
        assert!(at("if save_env") < at("if linux (${reroot_root})/.reroot/r/kernel quiet; then"));
        assert!(at("if linux") < at("if initrd (${reroot_root})/.reroot/r/initramfs; then"));
        assert!(at("if initrd") < at("boot\n"));
    }

    #[test]
    fn what_grub_would_read_otherwise_is_refused() {
        assert!(block("r", RootType::Ext4, "u", "/.reroot/r", "a; reboot").is_err());
        assert!(block("r;", RootType::Ext4, "u", "/.reroot/r", "").is_err());
    }
}
