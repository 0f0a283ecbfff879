use super::*;
use crate::files::tests::Tree;

/// The rules of such a file, as `who`, `who free` and `who held`.
fn told(text: &str) -> Vec<String> {
    let found = read(&Tree(&[(MAIN, text)]));
    let rules = found.rules.iter().map(|rule| {
        let what = match (rule.held, rule.without_password) {
            (true, _) => " held",
            (false, true) => " free",
            (false, false) => "",
        };
        format!("{}{what}", rule.who)
    });
    rules.collect()
}

#[test]
fn whoever_may_run_everything_as_root_is_found() {
    let tree = Tree(&[
        (
            MAIN,
            "Defaults env_reset\nDefaults secure_path=\"/usr/sbin:/usr/bin\"\n\
             User_Alias ADMINS = ann, bob : OTHERS = carl\nCmnd_Alias X = /bin/ls\n\
             root ALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n\
             ADMINS ALL=(root) NOPASSWD: SETENV: \\\n  ALL\n\
             deploy ALL=(ALL) NOPASSWD: /usr/bin/systemctl restart shop\n\
             dbuser ALL=(postgres) ALL\nelse other=(ALL) ALL\n#gone ALL=(ALL) ALL\n\
             @includedir /etc/sudoers.d\n",
        ),
        (
            "/etc/sudoers.d/90-cloud",
            "debian ALL=(ALL) NOPASSWD:ALL # made by cloud-init\n",
        ),
        ("/etc/sudoers.d/90-cloud.bak", "mallory ALL=(ALL) ALL\n"),
        (
            "/etc/sudoers.d/more",
            "%sudo ALL=(ALL) NOPASSWD: ALL\n#1001 ALL = ALL\n",
        ),
    ]);
    let found = read(&tree);
    let rules: Vec<(&str, bool)> = found
        .rules
        .iter()
        .map(|sudoer| (sudoer.who.as_str(), sudoer.without_password))
        .collect();
    let expected = [
        ("root", false),
        ("ann", true),
        ("bob", true),
        ("debian", true),
        ("%sudo", true),
        ("#1001", false),
    ];
    assert_eq!(rules, expected);
    assert_eq!(found.asks, Asks::Own);
    assert_eq!(found.uncounted, ["/etc/sudoers: else other=(ALL) ALL"]);
}

#[test]
fn each_form_of_a_rule_is_read_as_sudo_reads_it() {
    for (text, expected) in [
        // What every Debian and Red Hat has.
        (
            "Defaults\tenv_reset\nDefaults\tmail_badpass\nDefaults use_pty\n\
             Defaults !visiblepw\nDefaults always_set_home\n\
             # Host alias specification\nroot\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n",
            &["root", "%sudo"][..],
        ),
        ("ann ALL=(ALL) ALL : SHOP=(bob) ALL", &["ann"]),
        ("ann ALL=(ALL) /bin/ls : SHOP=(ALL) /bin/su, ALL", &[]),
        ("ann ALL=(ALL) /bin/echo a\\:b !c, ALL", &["ann"]),
        ("ann ALL=(postgres) ALL, !/bin/su\nann ALL=(ALL) ALL", &["ann"]),
        ("ann ALL=ALL", &["ann"]),
        ("ann ALL=(postgres) /bin/ls, (root) NOPASSWD : ALL", &["ann free"]),
        ("ann ALL=(ALL) NOPASSWD: /bin/ls, PASSWD: ALL", &["ann"]),
        ("ann ALL=(ALL) ALL, NOPASSWD: /sbin/reboot", &["ann"]),
        ("ann ALL=(root) /bin/ls, (postgres) ALL", &[]),
        ("ann ALL=(postgres, #0) ALL", &["ann"]),
        ("ann ALL=(:wheel) ALL", &[]),
        ("ann ALL=(ALL) CWD=/srv ALL", &[]),
        ("ann ALL=(ALL) NOPASSWD: /bin/su -", &[]),
        ("ALL ALL=(ALL) NOPASSWD: ALL", &["ALL free"]),
        ("%#27 ALL=(ALL) ALL", &["%#27"]),
        ("\"%domain users\", %domain\\ admins ALL=(ALL) ALL", &["%domain users", "%domain admins"]),
        (
            "User_Alias A = B, carl\nUser_Alias B = ann\nRunas_Alias R = root\nCmnd_Alias C = ALL\nA ALL=(R) C",
            &["ann", "carl"],
        ),
        // A name that stands for itself.
        ("User_Alias A = A\nA ALL=(ALL) ALL", &["A"]),
        ("Defaults runas_default=oracle\nann ALL=ALL\nbob ALL=(root) ALL", &["bob"]),
        // The last rule counts.
        ("ann ALL=(ALL) NOPASSWD: ALL\nann ALL=(ALL) ALL", &["ann"]),
        ("ann ALL=(ALL) ALL\nann ALL=(ALL) NOPASSWD: ALL", &["ann free"]),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

#[test]
fn a_rule_that_takes_something_away_holds_whom_it_is_about() {
    for (text, expected) in [
        ("ann ALL=(ALL, !root) ALL", &["ann held"][..]),
        ("ann ALL=(ALL) ALL, !/bin/su", &["ann held"]),
        ("%wheel, !bob ALL=(ALL) ALL", &["%wheel held", "bob held"]),
        ("ann ALL=(ALL) ALL\nann ALL=(ALL) !/bin/su", &["ann held"]),
        ("ann ALL=(ALL) ALL, !/bin/su\nann ALL=(ALL) ALL", &["ann"]),
        (
            "Cmnd_Alias C = ALL, !/bin/su\nann ALL=(ALL) C",
            &["ann held"],
        ),
        (
            "User_Alias A = ann, !bob\nA ALL=(ALL) ALL",
            &["ann held", "bob held"],
        ),
        ("ann shop=(ALL) ALL, !/bin/su", &["ann held"]),
        ("ann ALL=(ALL) NOEXEC: ALL", &["ann held"]),
        (
            "Defaults noexec\nann ALL=(ALL) ALL\nbob ALL=(ALL) EXEC: ALL",
            &["ann held", "bob"],
        ),
    ] {
        assert_eq!(told(text), expected, "{text}");
        let found = read(&Tree(&[(MAIN, text)]));
        assert_ne!(found.uncounted, [""; 0], "{text}");
    }
    let named = read(&Tree(&[(
        MAIN,
        "+ops ALL=(ALL) ALL\nann SHOPS = (ALL) ALL # x\n",
    )]));
    assert_eq!(named.rules, []);
    assert_eq!(
        named.uncounted,
        [
            "/etc/sudoers: +ops ALL=(ALL) ALL",
            "/etc/sudoers: ann SHOPS = (ALL) ALL"
        ]
    );
}

#[test]
fn whose_password_is_asked_for_is_read() {
    let asks = |text: &str| read(&Tree(&[(MAIN, text)])).asks;
    for (text, expected) in [
        ("Defaults env_reset, rootpw", Asks::Root),
        ("Defaults targetpw # as SUSE has it", Asks::Root),
        ("Defaults>root runaspw", Asks::Root),
        ("Defaults rootpw\nDefaults !rootpw", Asks::Own),
        ("Defaults:ann rootpw", Asks::Own),
        ("Defaults !authenticate", Asks::Nobody),
        ("Defaults passprompt=\"rootpw, %u: \"", Asks::Own),
    ] {
        assert_eq!(asks(text), expected, "{text}");
    }
    for (text, expected) in [
        (
            "Defaults !authenticate\nann ALL=(ALL) ALL\nbob ALL=(ALL) PASSWD: ALL",
            &["ann free", "bob"][..],
        ),
        (
            "ann, bob ALL=(ALL) ALL\nDefaults:ann, carl !authenticate",
            &["ann free", "bob"],
        ),
        (
            "ann, bob ALL=(ALL) ALL\nDefaults:bob rootpw",
            &["ann", "bob held"],
        ),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}
