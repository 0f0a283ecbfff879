//! Who gets into an OS by ssh and becomes root there, as far as its files say.

use serde::{Deserialize, Serialize};

/// A line of the ssh server's configuration that counts, `sshd_config`(5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The file that it is in.
    pub path: String,
    /// The criteria of the `Match` that it is below, as written.
    pub condition: Option<String>,
    /// The keyword, as written.
    pub keyword: String,
    /// Its values, without quotes.
    pub values: Vec<String>,
}

/// What decides about it in one OS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Doors {
    /// There is an ssh server.
    pub server: bool,
    /// Nothing starts it at boot, and it does not run: nobody gets in by it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// Its OpenSSH release; `None` where that is not known.
    pub release: Option<(u32, u32)>,
    /// Its configuration, in the order in which it counts.
    pub settings: Vec<Setting>,
    /// Where it listens, as `Port` and `ListenAddress`, where systemd does so for it: then what the
    /// configuration says of places does not count. Empty where it listens by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub socket: Vec<Setting>,
    /// Units of systemd's that it is started by, of an image: those that are there. Empty where nobody looked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// What the server itself says that holds for some, who may have a `Match` to themselves: by the user's
    /// name. Goes before [`Doors::settings`].
    pub in_force: Vec<(String, Vec<Setting>)>,
    /// By what else people may get in that is not counted, one each: programs that hand out keys, directories
    /// of accounts.
    pub elsewhere: Vec<String>,
    /// Servers that listen besides and whose settings are not read, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// There is a sudo.
    pub sudo: bool,
    /// Who becomes root by it: of the rules that are about somebody the last one counts.
    pub sudoers: Vec<Sudoer>,
    /// Whose password it asks for.
    pub sudo_asks: Asks,
    /// Who becomes root by doas, where there is one; the last rule counts here too.
    pub doas: Vec<Sudoer>,
}

impl Doors {
    /// Whether there is a server by which people get in and whose settings are known.
    pub fn is_read(&self) -> bool {
        self.server && !self.off
    }

    /// Whether people get in by ssh at all.
    pub fn is_open(&self) -> bool {
        self.is_read() || !self.unread.is_empty()
    }
}

/// A rule about who may run anything as root, sudoers(5) and doas.conf(5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sudoer {
    /// A user's name, or a group's behind `%`; `#1000` and `%#27` are numbers, `ALL` is everybody.
    pub who: String,
    /// It asks for no password.
    pub without_password: bool,
    /// It takes something away (`!`, `deny`): whoever it is about does not become root by it, nor by a rule
    /// before it, as far as is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// Whose password sudo asks for, where a rule does not say that it asks for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asks {
    /// Their own.
    #[default]
    Own,
    /// Root's (`rootpw`, `targetpw`, `runaspw`).
    Root,
    /// Nobody's (`!authenticate`).
    Nobody,
}

/// The keys that let somebody in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Whose.
    pub user: String,
    /// Those that lead to a shell.
    pub keys: Vec<PublicKey>,
    /// Others: each has a command of its own and nothing else.
    pub forced: usize,
    /// The new OS will have the files, kept or copied.
    pub stay: bool,
    /// The lines of those that lead to a shell, with their options; none where somebody else may write
    /// the file.
    #[serde(default)]
    pub lines: Vec<String>,
}

/// The ssh server of the RAM environment, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RamSsh {
    /// What it is told; `None` where there is none.
    pub server: Option<RamServer>,
    /// Why it is so, in words.
    pub reason: String,
}

/// What the ssh server of the RAM environment is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RamServer {
    /// Ports that it listens on, where no addresses are named.
    pub ports: Vec<u16>,
    /// Addresses that it listens on, each with its port; all of the machine's where none is named.
    pub addresses: Vec<String>,
    /// Files of the old OS with the private host keys that it shows.
    pub host_keys: Vec<String>,
    /// Patterns of users and of where they come from, as `AllowUsers` has them; nothing is asked of
    /// that kind where none is named.
    pub allowed: Vec<String>,
    /// Whom it lets in.
    pub people: Vec<RamLogin>,
}

/// Somebody whom it lets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RamLogin {
    /// The name, as in the old OS.
    pub user: String,
    /// The lines of their keys, with their options.
    pub keys: Vec<String>,
}

/// A public key, RFC 4253, section 6.6, as a line of `authorized_keys` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Its type: `ssh-ed25519`, `ssh-rsa`…
    pub kind: String,
    /// The key in base64.
    pub blob: String,
    /// The fingerprint, as ssh prints it: `SHA256:…`.
    pub fingerprint: String,
    /// The length of an RSA key's modulus.
    pub bits: Option<u32>,
    /// It holds from some places only, or until some time (`from=`, `expiry-time=`).
    pub narrowed: bool,
}

/// Somebody who is promised to get into the new OS: what the first boot asks its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Who.
    pub user: String,
    /// They are root, about whom the server has a word of its own.
    pub is_root: bool,
    /// Keys that are taken; none where they are not promised to get in by one.
    pub keys: Vec<PublicKey>,
    /// They are promised to get in with a password.
    pub password: bool,
    /// The server's settings or every one of the keys tell where they may come from: what it says to the
    /// machine itself may not be what it says to them.
    pub by_origin: bool,
}

/// What the new OS's ssh server is promised to say of itself, once it is told everything, as the plan reads what it is
/// told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Its OpenSSH release; `None` where that is not known.
    pub release: Option<(u32, u32)>,
    /// The connection that it is asked about: from where, and to which address and port.
    pub session: Session,
    /// The files that were counted with, by path.
    pub files: Vec<String>,
    /// Of whom.
    pub people: Vec<Promised>,
}

/// What it is promised to say of one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promised {
    /// Who.
    pub user: String,
    /// They are root.
    pub is_root: bool,
    /// They are promised to get in by a key, and become root.
    pub key: bool,
    /// They are promised to get in with a password, and become root.
    pub password: bool,
    /// The settings that hold for them, without conditions, in the order in which they count.
    pub settings: Vec<Setting>,
}

/// The connection by which the operator is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who logged in, by `SUDO_USER`, else `USER`.
    pub user: String,
    /// The server's address, by `SSH_CONNECTION`.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The client's address.
    #[serde(default)]
    pub client: String,
    /// The client's port.
    #[serde(default)]
    pub client_port: u16,
    /// How they logged in, by the server's log: with a key of this fingerprint, or with a password.
    #[serde(default)]
    pub by: Option<LoggedIn>,
}

/// How somebody logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoggedIn {
    /// With a key: its fingerprint, `SHA256:…`, or `MD5:…` of servers before OpenSSH 6.8.
    Key(String),
    /// With a certificate.
    Certificate,
    /// With a password.
    Password,
}

/// A way in that ends in a root shell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Way {
    /// Who logs in.
    pub user: String,
    /// By what means.
    pub means: Means,
    /// And becomes root.
    pub root: Becoming,
}

/// How somebody logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Means {
    /// With a key.
    Key,
    /// With a password.
    Password,
}

/// How somebody who is in becomes root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Becoming {
    /// They are.
    Is,
    /// By sudo, without a password.
    Sudo,
    /// By sudo, with their own password.
    SudoWithPassword,
    /// By doas, without a password.
    Doas,
    /// By doas, with their own password.
    DoasWithPassword,
    /// By su, with root's password.
    Su,
}

impl std::fmt::Display for Way {
    /// For people: `debian by key, root by sudo`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let means = match self.means {
            Means::Key => "key",
            Means::Password => "password",
        };
        let root = match self.root {
            Becoming::Is => "",
            Becoming::Sudo => ", root by sudo",
            Becoming::SudoWithPassword => ", root by sudo with a password",
            Becoming::Doas => ", root by doas",
            Becoming::DoasWithPassword => ", root by doas with a password",
            Becoming::Su => ", root by su with root's password",
        };
        write!(f, "{} by {means}{root}", self.user)
    }
}
