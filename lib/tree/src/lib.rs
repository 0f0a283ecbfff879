//! Trees of files, by directory handle: proving that kept paths are there, wiping what is not
//! kept, measuring what is, packing a tree into a payload and unpacking a payload on to a root.
//!
//! Everything here names one component at a time relative to an open directory, never follows a
//! link, and never crosses a mount; a tree on several filesystems is given by the handle of each. What cannot be told apart from something to keep is kept. The
//! number of open descriptors does not depend on the depth of a tree, and memory grows with the
//! names of one directory, not with the tree.
//!
//! Nothing here decides what is kept, finds a root filesystem, mounts or syncs: the caller does,
//! and it is the caller who must see a `syncfs` succeed before a result counts as durable.
//! It may import formats and syscalls.

mod acl;
mod archive;
mod attributes;
mod cleared;
mod descent;
mod directory_sizes;
mod entry;
mod error;
mod flags;
mod gate;
mod header;
mod home;
pub mod in_root;
mod inodes;
mod leading_out;
mod links;
mod lookup;
mod measure;
mod mount_points;
mod names;
mod overlay;
mod pack;
mod parents;
mod place;
mod read;
mod roots;
mod scan;
mod source;
mod subvolume;
mod tally;
mod unpack;
mod validate;
mod weigh;
mod wipe;

pub use archive::{file_of_tar, pack_items, pack_paths, unpack_tar, Placed, Treatment};
pub use cleared::{restore_cleared, Cleared};
pub use error::{printable, TreeError};
pub use gate::{Access, Directory, Gate};
pub use home::{read_from_home, FromHome, HomeFile};
pub use leading_out::LeadingOut;
pub use links::Links;
pub use lookup::Lookup;
pub use measure::{Measuring, Stillness};
pub use mount_points::MountPoints;
pub use overlay::{Numbers, Overlay};
pub use pack::{pack, PackOptions};
pub use roots::Roots;
pub use source::Source;
pub use unpack::{unpack, Skipped, SkippedBecause, UnpackOptions, UnpackReport};
pub use validate::{validate_keep, validate_keep_by};
pub use weigh::{children, weigh, LeftOut, Limit};
pub use wipe::{wipe, wipe_by, wipe_noting, Note, WipeReport};
