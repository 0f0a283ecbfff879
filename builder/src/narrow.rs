//! A word for 32-bit kernels. They cannot execute an image, which is a 64-bit program, and leave it
//! to the shell: that takes it for a script, and prints whatever comes of it.
//!
//! So an image is a script as well. The kernel looks at the first four bytes of an ELF header's
//! identification and not at its last nine, elf(5); there stands a line end, and a here-document
//! without expansions that goes on over the whole program, up to a few lines of shell behind it. dash,
//! busybox and bash before 5.0 get there after one complaint about the line before. bash from 5.0 on
//! knows an ELF header, and says "cannot execute binary file".
//!
//! Nothing else reads these bytes: the program is executed as before, and the digest of the launcher
//! is made of what stands in the image.

/// Where the identification's bytes are that no kernel looks at: the ABI, its version, padding.
const FREE: std::ops::Range<usize> = 7..16;

/// Words that end the here-document. The first is taken that is no line of the program.
const ENDS: [&[u8; 3]; 4] = [b"W32", b"X32", b"Y32", b"Z32"];

/// What stands before such a word: the here-document's begin.
const HEAD: &[u8] = b"\n:<<\\";

/// What a shell does with an image.
const SCRIPT: &str = "\
echo 'reroot: this kernel cannot run 64-bit programs, and the image is one.' >&2
echo \"reroot: needed: a kernel for x86_64; this one is for $(uname -m). Nothing was done.\" >&2
exit 126
";

/// Whether an image that begins with these bytes has the word; one of an earlier release has none.
pub fn has_word(head: &[u8]) -> bool {
    let free = head.get(FREE).unwrap_or_default();
    let end = free.strip_prefix(HEAD).unwrap_or_default();
    ENDS.iter()
        .any(|word| end == [word.as_slice(), b"\n"].concat())
}

/// What a shell says of an image, in the first of its lines.
pub fn word() -> &'static str {
    SCRIPT.split('\'').nth(1).unwrap_or_default()
}

/// The program, with a word for shells. `None` where its text holds every end that is known.
pub fn with_word(program: &[u8]) -> Option<Vec<u8>> {
    // Shells pass over zeros.
    let text: Vec<u8> = program.iter().copied().filter(|byte| *byte != 0).collect();
    let lines = || text.split(|byte| *byte == b'\n');
    let end = ENDS.iter().find(|end| !lines().any(|line| line == **end))?;
    let mut image = program.to_vec();
    let head = [HEAD, end.as_slice(), b"\n"].concat();
    image.get_mut(FREE)?.copy_from_slice(&head);
    image.push(b'\n');
    image.extend_from_slice(end.as_slice());
    image.push(b'\n');
    image.extend_from_slice(SCRIPT.as_bytes());
    Some(image)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Output};

    use super::*;

    fn write(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    fn read_by(shell: &[&str], path: &Path) -> Output {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(path);
        command
            .output()
            .unwrap_or_else(|e| panic!("{shell:?}: {e}"))
    }

    /// Every byte there is, quotes, dollars, backticks and unclosed brackets among them.
    fn noise() -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec();
        for round in 0..400_u32 {
            bytes.extend((0..=255).map(|byte: u8| byte.wrapping_mul((round as u8) | 1)));
            bytes.extend(b"\n$(touch harm)`touch harm`'\"({[W32 \n W32\n\0\0\0");
        }
        bytes
    }

    #[test]
    fn shells_of_a_32_bit_kernel_get_a_word() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.reroot");
        let mut image = with_word(&noise()).unwrap();
        // Behind it come the other parts.
        image.extend(noise());
        write(&path, &image);
        for shell in [&["dash"][..], &["busybox", "sh"]] {
            let output = read_by(shell, &path);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                said.contains("needed: a kernel for x86_64"),
                "{shell:?}: {said}"
            );
            // One complaint about the first line, and the two of the script.
            assert_eq!(said.lines().count(), 3, "{shell:?}: {said}");
            assert_eq!(output.status.code(), Some(126), "{shell:?}");
            assert!(output.stdout.is_empty());
        }
        // It knows an ELF header, or does as the others.
        let said = read_by(&["bash"], &path).stderr;
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains("cannot execute binary file") || said.contains("needed: a kernel"),
            "{said}"
        );
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_image_with_the_word_is_told_from_one_without() {
        assert!(!has_word(&noise()));
        assert!(has_word(&with_word(&noise()).unwrap()));
        assert!(!has_word(b"\x7fELF"));
        assert!(word().starts_with("reroot: this kernel cannot run 64-bit programs"));
    }

    #[test]
    fn the_program_runs_as_before() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.reroot");
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        write(&path, &with_word(&program).unwrap());
        let listed = Command::new(&path).arg("--list").output().unwrap();
        assert!(listed.status.success());
        assert!(String::from_utf8_lossy(&listed.stdout).contains("the_program_runs_as_before"));
    }

    #[test]
    fn an_end_that_the_program_has_is_not_taken() {
        let plain = with_word(&[1; 64]).unwrap();
        assert!(plain[FREE].ends_with(b"W32\n"));
        // Zeros do not count.
        let with = [&[1; 64][..], b"\nW\x003\x002\nrest"].concat();
        assert!(with_word(&with).unwrap()[FREE].ends_with(b"X32\n"));
        // Put together here: this very program is an image in the test above.
        let mut all = vec![1; 64];
        for end in ENDS {
            all.push(b'\n');
            all.extend(end);
        }
        assert_eq!(with_word(&all), None);
    }
}
