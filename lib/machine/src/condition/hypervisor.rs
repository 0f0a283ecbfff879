//! Hypervisors that matter to the choice of an entry and are no Xen, by the name that their firmware has
//! for the machine.

use std::fs;

/// Vendor and product by DMI (SMBIOS, type 1), and what people call that.
const NAMES: [(&str, &str, &str); 1] = [("Microsoft Corporation", "Virtual Machine", "Hyper-V")];

/// Reads it; `None` where it is none of those.
pub fn read() -> Option<String> {
    let text =
        |name: &str| fs::read_to_string(format!("/sys/class/dmi/id/{name}")).unwrap_or_default();
    name(&text("sys_vendor"), &text("product_name")).map(str::to_owned)
}

fn name(vendor: &str, product: &str) -> Option<&'static str> {
    let known = NAMES.iter();
    let mut known = known.filter(|(v, p, _)| (vendor.trim(), product.trim()) == (*v, *p));
    known.next().map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_by_vendor_and_product() {
        for (vendor, product, expected) in [
            (
                "Microsoft Corporation\n",
                "Virtual Machine\n",
                Some("Hyper-V"),
            ),
            // A computer of the same maker.
            ("Microsoft Corporation\n", "Surface Pro\n", None),
            ("QEMU\n", "Standard PC (i440FX + PIIX, 1996)\n", None),
            ("", "", None),
        ] {
            assert_eq!(name(vendor, product), expected, "{vendor}{product}");
        }
    }
}
