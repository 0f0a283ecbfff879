//! Where GRUB shows its menu: on the screen, and on the serial line that the kernel speaks on, with its
//! speed. Settings of `/etc/default/grub`.

/// The lines for these consoles, named as in the kernel's `console=`. Of several serial lines the last is
/// where an operator looks.
pub fn settings<C: AsRef<str>>(consoles: &[C]) -> String {
    let lines = consoles
        .iter()
        .filter_map(|c| c.as_ref().strip_prefix("ttyS"));
    let Some(serial) = lines.last() else {
        return "GRUB_TERMINAL=\"console\"\n".to_owned();
    };
    let (unit, options) = serial.split_once(',').unwrap_or((serial, ""));
    let speed: String = options.chars().take_while(char::is_ascii_digit).collect();
    let speed = if speed.is_empty() { "9600" } else { &speed };
    format!(
        "GRUB_TERMINAL=\"console serial\"\n\
         GRUB_SERIAL_COMMAND=\"serial --unit={unit} --speed={speed}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grub_speaks_where_the_kernel_does() {
        let screen = "GRUB_TERMINAL=\"console\"\n";
        for (consoles, unit, speed) in [
            (&["tty0", "ttyS0,115200"][..], 0, 115_200),
            (&["ttyS1,57600n8"], 1, 57600),
            (&["ttyS2"], 2, 9600),
            (&["ttyS0,115200", "ttyS1,9600n8", "tty0"], 1, 9600),
        ] {
            let serial = format!("\"serial --unit={unit} --speed={speed}\"\n");
            let text = settings(consoles);
            assert!(text.ends_with(&serial), "{text}");
            assert!(
                text.starts_with("GRUB_TERMINAL=\"console serial\"\n"),
                "{text}"
            );
        }
        assert_eq!(settings(&["tty0", "hvc0"]), screen);
        assert_eq!(settings::<&str>(&[]), screen);
    }
}
