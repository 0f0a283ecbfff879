# Makes a tiny old server one with every door that an ssh server has. Runs there as root; PAM and sudo are there, the
# public halves of the keys are in this script's environment.
set -eu

person() { # NAME NUMBER HASH
    echo "$1:x:$2:$2::/home/$1:/bin/sh" >>/etc/passwd
    echo "$1:x:$2:" >>/etc/group
    echo "$1:$3:19000:0:99999:7:::" >>/etc/shadow
    mkdir -p "/home/$1"
}
keys() { # NAME LINE: in their home
    mkdir -p "/home/$1/.ssh"
    echo "$2" >"/home/$1/.ssh/authorized_keys"
    chown -R "$1:$1" "/home/$1"
    chmod -R go-w "/home/$1"
}
# As clouds make them: nobody has a password.
person debian 1001 '!'
person carol 1002 '!'
person dave 1003 '!'
person erin 1004 '!'
person frank 1005 '!'
person mallory 1006 '!'
person gina 1007 '!'
echo 'sftponly:x:1100:frank' >>/etc/group
keys debian "$KEY"
keys frank "$KEY"
keys mallory "$KEY"
keys gina "$KEY"

# A machine in a cloud: root is told to come as somebody else, who has no password and becomes root all the same.
echo "no-port-forwarding,command=\"echo log in as debian; exit 42\" $KEY" >/root/.ssh/authorized_keys
echo 'debian ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/90-cloud-init-users
chmod 440 /etc/sudoers.d/90-cloud-init-users

# Keys outside of homes, keys that a program hands out, certificates.
mkdir -p /etc/ssh/authorized_keys /etc/ssh/principals /usr/local/bin /data/keys
echo "$KEY" >/etc/ssh/authorized_keys/carol
echo "$USERS_AUTHORITY" >/etc/ssh/users-authority.pub
echo deploy >/etc/ssh/principals/erin
cat >/usr/local/bin/keys-of <<PROGRAM
#!/bin/sh
[ "\$1" != dave ] || echo '$KEY'
PROGRAM
chmod 755 /usr/local /usr/local/bin /usr/local/bin/keys-of
cat >/etc/ssh/sshd_config.d/50-keys.conf <<'CONFIG'
AuthorizedKeysCommand /usr/local/bin/keys-of %u
AuthorizedKeysCommandUser nobody
CONFIG
# The host's own key lies with the data, with a certificate.
echo "$HOST_KEY" >/data/keys/host_ed25519
chmod 600 /data/keys/host_ed25519
ssh-keygen -y -f /data/keys/host_ed25519 >/data/keys/host_ed25519.pub
echo "$HOST_CERTIFICATE" >/etc/ssh/host-cert.pub

# Where frank leaves his files, and cannot leave from.
mkdir -p /srv/sftp/in
chown frank:frank /srv/sftp/in

cat >/etc/ssh/sshd_config <<'CONFIG'
Include /etc/ssh/sshd_config.d/*.conf
Port 22
Port 2222
ListenAddress 10.0.2.15
HostKey /data/keys/host_ed25519
HostCertificate /etc/ssh/host-cert.pub
PasswordAuthentication no
ChallengeResponseAuthentication no
UsePAM yes
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys/%u
TrustedUserCAKeys /etc/ssh/users-authority.pub
AuthorizedPrincipalsFile /etc/ssh/principals/%u
AllowUsers root debian carol dave erin frank mallory alice
DenyUsers mallory
Subsystem sftp /usr/lib/openssh/sftp-server
Match Group sftponly
    ForceCommand internal-sftp
    ChrootDirectory /srv/sftp
    AllowTcpForwarding no
CONFIG
sshd -t
