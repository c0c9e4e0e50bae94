//! Facts about the host that every event carries.

/// The kernel's id of this boot, from `/proc/sys/kernel/random/boot_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// The usual text, 8-4-4-4-12 hexadecimal digits.
    pub fn text(&self) -> String {
        let hex: String = self.0.iter().map(|b| format!("{b:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// From the usual text; anything but 32 hexadecimal digits and hyphens is refused.
    pub fn parse(text: &str) -> Option<BootId> {
        let digits: Vec<u8> = text.trim().bytes().filter(|&b| b != b'-').collect();
        let mut id = [0; 16];
        if digits.len() != 32 {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(BootId(id))
    }
}

/// Facts about the host, read once at start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// `host.name`: the kernel's node name, or NODE_NAME when that is set.
    pub name: String,
    /// `host.hostname`: the kernel's node name.
    pub hostname: String,
    /// `host.id`: machine id, if the host has one.
    pub id: Option<String>,
    /// `host.architecture`.
    pub architecture: String,
    /// `host.os.kernel`: the kernel release.
    pub kernel: String,
    /// `host.os.name`, from os-release.
    pub os_name: Option<String>,
    /// `host.os.version`, from os-release.
    pub os_version: Option<String>,
    /// This boot.
    pub boot_id: BootId,
    /// `host.ip`.
    pub ip: Vec<String>,
}
