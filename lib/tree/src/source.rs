//! Where a payload's bytes are: a part of a file, read by position, so that threads can share it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use formats::payload::Frame;
use formats::Digest;

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// A file, or a part of one, that holds a payload.
#[derive(Debug)]
pub struct Source {
    file: File,
    base: u64,
}

impl Source {
    /// The payload begins at byte `base` of `file`.
    pub fn new(file: File, base: u64) -> Self {
        Self { file, base }
    }

    /// The digest of a frame's stored bytes. `buffer` is room to read into, of any length.
    pub fn digest(&self, frame: &Frame, buffer: &mut Vec<u8>) -> io::Result<Digest> {
        buffer.resize(CHUNK, 0);
        let mut hasher = blake3::Hasher::new();
        let mut reader = self.frame(frame);
        while reader.left > 0 {
            let n = reader.read(buffer)?;
            hasher.update(&buffer[..n]);
        }
        Ok(Digest(*hasher.finalize().as_bytes()))
    }

    /// Reads a frame's stored bytes.
    fn frame(&self, frame: &Frame) -> FrameReader<'_> {
        FrameReader {
            file: &self.file,
            position: self.base.saturating_add(frame.offset),
            left: frame.length,
        }
    }

    /// Reads a frame's stored bytes, and digests the very bytes that it hands out.
    pub(super) fn consumed(&self, frame: &Frame) -> Consumed<'_> {
        Consumed {
            reader: self.frame(frame),
            hasher: blake3::Hasher::new(),
        }
    }
}

/// The stored bytes of one frame as they are consumed. What was compared before is read a second
/// time here, and memory or disk may say something else by then.
pub(super) struct Consumed<'a> {
    reader: FrameReader<'a>,
    hasher: blake3::Hasher,
}

impl Consumed<'_> {
    /// The digest of everything that was handed out, and of what nobody asked for.
    pub(super) fn digest(mut self) -> io::Result<Digest> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(Digest(*self.hasher.finalize().as_bytes()))
    }
}

impl Read for Consumed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

/// The stored bytes of one frame; a file that ends within them is an error.
struct FrameReader<'a> {
    file: &'a File,
    position: u64,
    left: u64,
}

impl Read for FrameReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let n = self.file.read_at(&mut buffer[..wanted], self.position)?;
        if n == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file ends within the payload",
            ));
        }
        self.position += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
