//! The image that this program is the head of, found through /proc/self/exe.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use anyhow::{bail, Context, Result};
use formats::trailer::{Part, PartKind, Trailer, TRAILER_SIZE};
use formats::{Digest, Document, Manifest};
use plan::needs::PartSizes;

/// How far the comparison of digests is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verifying {
    /// So many percent are compared.
    Percent(u64),
    /// A part is damaged; that ends it.
    Damaged,
    /// All is compared.
    Whole,
}

/// An image with a trailer that was read and is consistent.
pub struct Image {
    file: File,
    trailer: Trailer,
}

impl Image {
    /// Opens the file that is being executed.
    pub fn open_running() -> Result<Image> {
        let file = File::open("/proc/self/exe").context("open the running image /proc/self/exe")?;
        let length = file.metadata().context("ask for the image's length")?.len();
        let at = length
            .checked_sub(TRAILER_SIZE as u64)
            .context("the image is shorter than its trailer")?;
        let mut bytes = [0; TRAILER_SIZE];
        file.read_exact_at(&mut bytes, at)
            .context("read the image's trailer")?;
        let trailer = Trailer::decode(&bytes, length)?;
        Ok(Image { file, trailer })
    }

    /// Where a part lies.
    pub fn part(&self, kind: PartKind) -> Part {
        self.trailer.part(kind)
    }

    /// The parts' sizes, as plan and checks want them, without what is handed over from the machine.
    pub fn sizes(&self) -> PartSizes {
        let length = |kind| self.part(kind).length;
        PartSizes {
            kernel: length(PartKind::Kernel),
            initramfs: length(PartKind::Initramfs),
            payload: length(PartKind::Payload),
            handed: 0,
        }
    }

    /// The digest of all parts together: of what is put on the machine, and of what puts it there.
    pub fn digest(&self) -> Digest {
        let parts = PartKind::ALL.map(|kind| format!("{} {}", kind.name(), self.part(kind).digest));
        Digest::of(parts.join("\n").as_bytes())
    }

    /// Compares the digest of every part. A damaged image must be found before anything is done.
    pub fn verify(&self, tell: &dyn Fn(Verifying)) -> Result<()> {
        let total: u64 = PartKind::ALL.iter().map(|&k| self.part(k).length).sum();
        let done = std::cell::Cell::new(0_u64);
        for kind in PartKind::ALL {
            let part = self.part(kind);
            let progress = |n: u64| {
                let percent = |bytes: u64| bytes * 100 / total.max(1);
                let before = done.replace(done.get() + n);
                if percent(before) != percent(done.get()) {
                    tell(Verifying::Percent(percent(done.get())));
                }
            };
            let found = Digest::of_reader(&mut self.reader(kind)?, &progress)
                .with_context(|| format!("read the image's {}", kind.name()))?;
            if found != part.digest {
                tell(Verifying::Damaged);
                bail!(
                    "the image is damaged: its {} has digest {found}, expected {}; copy it again",
                    kind.name(),
                    part.digest
                );
            }
        }
        tell(Verifying::Whole);
        Ok(())
    }

    /// Reads the manifest.
    pub fn manifest(&self) -> Result<Manifest> {
        let bytes = self.bytes(PartKind::Manifest)?;
        let manifest = Manifest::from_json(&bytes)?;
        manifest
            .payload
            .validate()
            .context("check the payload's table of frames")?;
        Ok(manifest)
    }

    /// A whole part in memory; for the small ones.
    pub fn bytes(&self, kind: PartKind) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader(kind)?
            .read_to_end(&mut bytes)
            .with_context(|| format!("read the image's {}", kind.name()))?;
        Ok(bytes)
    }

    /// Copies a part, comparing its digest on the way: what is used is what was verified.
    pub fn copy_to(&self, kind: PartKind, to: &mut dyn Write) -> Result<()> {
        self.copy_beginning_to(kind, self.part(kind).length, to)
    }

    /// Copies the first bytes of a part. The digest is the whole part's, so all of it is read.
    pub fn copy_beginning_to(&self, kind: PartKind, bytes: u64, to: &mut dyn Write) -> Result<()> {
        let what = || format!("copy the image's {}", kind.name());
        let mut copied = Tee {
            from: self.reader(kind)?,
            to,
            left: bytes,
        };
        let found = Digest::of_reader(&mut copied, &|_| ()).with_context(what)?;
        if found != self.part(kind).digest {
            bail!(
                "the image's {} changed while it was being copied",
                kind.name()
            );
        }
        Ok(())
    }

    fn reader(&self, kind: PartKind) -> Result<io::Take<File>> {
        let part = self.part(kind);
        let mut file = self.file.try_clone().context("open the image again")?;
        file.seek(SeekFrom::Start(part.offset))
            .with_context(|| format!("go to the image's {}", kind.name()))?;
        Ok(file.take(part.length))
    }
}

struct Tee<'a, R> {
    from: R,
    to: &'a mut dyn Write,
    /// How many bytes are still to be copied; what follows is read only.
    left: u64,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        let copied = n.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.to.write_all(&buffer[..copied])?;
        self.left -= copied as u64;
        Ok(n)
    }
}
