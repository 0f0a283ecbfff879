//! Access control lists, as their extended attributes hold them: the numbers in them.
//!
//! The format is that of `linux/posix_acl_xattr.h`, version 2, little-endian: a version of four
//! bytes, then entries of eight: tag (2), permissions (2), number (4). Anything else is passed over
//! and left as it is; the kernel lets nothing else in either.

use std::ffi::CStr;

use formats::accounts::{NumberMap, Owners};

const ATTRIBUTES: [&CStr; 2] = [c"system.posix_acl_access", c"system.posix_acl_default"];
const VERSION: [u8; 4] = 2_u32.to_le_bytes();
const ENTRY: usize = 8;
const USER: u16 = 0x02;
const GROUP: u16 = 0x08;

/// Adds the numbers of users and groups that an attribute names.
pub(super) fn collect(name: &CStr, value: &[u8], owners: &mut Owners) {
    if !is_list(name, value) {
        return;
    }
    for entry in value[VERSION.len()..].chunks_exact(ENTRY) {
        match tag(entry) {
            USER => owners.users.extend(number(entry)),
            GROUP => owners.groups.extend(number(entry)),
            _ => {}
        }
    }
}

/// Turns the numbers of users and groups in an attribute into those of the new OS.
pub(super) fn translate(name: &CStr, value: &mut [u8], owners: &NumberMap) {
    if !is_list(name, value) {
        return;
    }
    for entry in value[VERSION.len()..].chunks_exact_mut(ENTRY) {
        let Some(old) = number(entry) else {
            continue;
        };
        let new = match tag(entry) {
            USER => owners.user(old),
            GROUP => owners.group(old),
            _ => continue,
        };
        entry[4..].copy_from_slice(&new.to_le_bytes());
    }
}

/// Whether an attribute is an access control list of the known version.
fn is_list(name: &CStr, value: &[u8]) -> bool {
    let body = value.strip_prefix(&VERSION);
    ATTRIBUTES.contains(&name) && body.is_some_and(|body| body.len().is_multiple_of(ENTRY))
}

fn tag(entry: &[u8]) -> u16 {
    u16::from_le_bytes([entry[0], entry[1]])
}

fn number(entry: &[u8]) -> Option<u32> {
    entry[4..].try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(u16, u32)]) -> Vec<u8> {
        let mut value = VERSION.to_vec();
        for (tag, id) in entries {
            value.extend(tag.to_le_bytes());
            value.extend(6_u16.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        value
    }

    const NOBODY: u32 = u32::MAX;
    /// `u::rw,u:101:rw,g::rw,g:101:rw,m::rw,o::rw`.
    const LIST: &[(u16, u32)] = &[
        (0x01, NOBODY),
        (0x02, 101),
        (0x04, NOBODY),
        (0x08, 101),
        (0x10, NOBODY),
        (0x20, NOBODY),
    ];

    #[test]
    fn only_named_users_and_groups_count() {
        let mut owners = Owners::default();
        collect(c"system.posix_acl_access", &acl(LIST), &mut owners);
        collect(c"system.posix_acl_default", &acl(&[(0x08, 7)]), &mut owners);
        assert_eq!(owners.users, [101].into());
        assert_eq!(owners.groups, [7, 101].into());
    }

    #[test]
    fn numbers_are_translated_by_their_kind() {
        let map = NumberMap {
            users: vec![(101, 112)],
            groups: vec![(101, 115), (NOBODY, 1)],
        };
        let mut value = acl(LIST);
        translate(c"system.posix_acl_default", &mut value, &map);
        let mut expected = LIST.to_vec();
        expected[1].1 = 112;
        expected[3].1 = 115;
        assert_eq!(value, acl(&expected));
    }

    #[test]
    fn what_is_no_list_is_left_alone() {
        let map = NumberMap {
            users: vec![(101, 112)],
            groups: Vec::new(),
        };
        let mut version = acl(LIST);
        version[0] = 3;
        let cases: &[(&str, &CStr, Vec<u8>)] = &[
            ("another attribute", c"user.posix_acl_access", acl(LIST)),
            ("another version", ATTRIBUTES[0], version),
            ("cut short", ATTRIBUTES[0], acl(LIST)[..13].to_vec()),
            ("shorter than a version", ATTRIBUTES[0], vec![2, 0]),
            ("empty", ATTRIBUTES[0], Vec::new()),
        ];
        for (case, name, value) in cases {
            let mut owners = Owners::default();
            collect(name, value, &mut owners);
            assert_eq!(owners, Owners::default(), "{case}");
            let mut changed = value.clone();
            translate(name, &mut changed, &map);
            assert_eq!(&changed, value, "{case}");
        }
    }
}
