//! Which mount a name is on, without /proc: `name_to_handle_at(2)`, Linux 2.6.39.
//!
//! Only the mount id is returned; the file handle that the call is named after is not asked for.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `struct file_handle` without room for a handle.
#[repr(C)]
struct EmptyHandle {
    handle_bytes: libc::c_uint,
    handle_type: libc::c_int,
}

/// The id of the mount that `name` in `dir` is on, not following a link; an empty name asks for
/// `dir` itself. `ENOSYS` says that the kernel lacks the call, `EOPNOTSUPP` that the filesystem
/// cannot answer.
pub fn mount_id(dir: impl AsFd, name: &CStr) -> io::Result<u64> {
    let mut handle = EmptyHandle {
        handle_bytes: 0,
        handle_type: 0,
    };
    let mut mount_id: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed for the whole call and `name` ends with NUL. The kernel
    // reads `handle_bytes` first and, as it is zero, writes only the two fields that are there;
    // it writes one int to `mount_id`. Both live on this stack frame.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            dir.as_fd().as_raw_fd(),
            name.as_ptr(),
            (&raw mut handle).cast::<libc::c_void>(),
            &raw mut mount_id,
            libc::AT_EMPTY_PATH,
        )
    };
    if result != 0 {
        let error = io::Error::last_os_error();
        // The expected answer: there is no room for the handle, and the mount id has been written.
        if error.raw_os_error() != Some(libc::EOVERFLOW) {
            return Err(error);
        }
    }
    u64::try_from(mount_id).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn names_on_one_mount_have_one_id() {
        let root = File::open("/").unwrap();
        assert_eq!(
            mount_id(&root, c"").unwrap(),
            mount_id(&root, c"usr").unwrap()
        );
        // A filesystem that has no file handles, as /proc, may refuse instead.
        match mount_id(&root, c"proc") {
            Ok(id) => assert_ne!(id, mount_id(&root, c"").unwrap()),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
        }
        let error = mount_id(&root, c"there is no such name").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
