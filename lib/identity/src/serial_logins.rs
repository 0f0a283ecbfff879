//! Serial lines at which people log in: the new OS asks there too.
//!
//! Where the kernel writes to a line, systemd asks there by itself. A line that no kernel parameter names has its
//! own unit, which an administrator has switched on, or a line in inittab(5), or a file for upstart.

use formats::identity::{NewIdentity, OldIdentity, SerialLogin};
use formats::network::NewFile;

use super::kept::UNITS;
use super::names::{link, text};

/// What there is about them.
#[derive(Default)]
pub(super) struct SerialLogins {
    pub(super) files: Vec<NewFile>,
    pub(super) notes: Vec<String>,
}

pub(super) fn serial_logins(old: &OldIdentity, new: &NewIdentity) -> SerialLogins {
    let mut out = SerialLogins::default();
    for login in &old.serial_logins {
        if new.serial_getty {
            out.files.extend(files(login));
            out.notes.push(format!(
                "people log in on the serial line {}, and in the new OS too",
                words(login)
            ));
        } else {
            out.notes.push(format!(
                "people log in on the serial line {}, and not in the new OS: the image has no serial-getty@.service, \
                 or was built before it was asked for that",
                words(login)
            ));
        }
    }
    out
}

fn words(login: &SerialLogin) -> String {
    match login.speed {
        Some(speed) => format!("{} at {speed} bit/s", login.line),
        None => login.line.clone(),
    }
}

/// The unit is switched on. It goes by the speed that the line has, and one that no kernel writes to has the
/// slowest.
fn files(login: &SerialLogin) -> Vec<NewFile> {
    let unit = format!("serial-getty@{}.service", login.line);
    let on = link(
        &format!("{UNITS}/getty.target.wants/{unit}"),
        "/lib/systemd/system/serial-getty@.service".to_owned(),
    );
    let speed = login.speed.map(|speed| {
        text(
            &format!("{UNITS}/{unit}.d/reroot.conf"),
            format!(
                "# Written by reroot: the speed that the line had in the old OS.\n\
                 [Service]\n\
                 ExecStart=\n\
                 ExecStart=-/sbin/agetty {speed} %I $TERM\n"
            ),
        )
    });
    std::iter::once(on).chain(speed).collect()
}

#[cfg(test)]
mod tests {
    use formats::network::Content;

    use super::*;

    fn old(line: &str, speed: Option<u32>) -> OldIdentity {
        OldIdentity {
            serial_logins: vec![SerialLogin {
                line: line.to_owned(),
                speed,
            }],
            ..OldIdentity::default()
        }
    }

    #[test]
    fn a_line_asks_for_a_login_at_its_speed_where_the_image_has_the_unit() {
        let new = NewIdentity {
            serial_getty: true,
            ..NewIdentity::default()
        };
        let found = serial_logins(&old("ttyS1", Some(57_600)), &new);
        let [on, speed] = &found.files[..] else {
            panic!("{:?}", found.files);
        };
        assert_eq!(
            on.path,
            "/etc/systemd/system/getty.target.wants/serial-getty@ttyS1.service"
        );
        assert!(matches!(&on.content, Content::Link(to) if to.ends_with("/serial-getty@.service")));
        assert_eq!(
            speed.path,
            "/etc/systemd/system/serial-getty@ttyS1.service.d/reroot.conf"
        );
        let text = speed.text().unwrap();
        assert!(
            text.contains("\nExecStart=\nExecStart=-/sbin/agetty 57600 %I $TERM\n"),
            "{text}"
        );
        assert_eq!(serial_logins(&old("hvc0", None), &new).files.len(), 1);
    }

    #[test]
    fn an_image_without_the_unit_is_told_of() {
        let found = serial_logins(&old("ttyS1", Some(9600)), &NewIdentity::default());
        assert_eq!(found.files, []);
        assert!(found.notes[0].contains("ttyS1 at 9600 bit/s, and not in the new OS"));
    }
}
