# Picks what a tiny OS needs for logins as Debian has them, into /doors: PAM, sudo, the ssh client, and the server's
# own configuration. Runs in a Debian tree, by chroot, and leaves the rest of it as it is.
set -eu

out=/doors
mkdir -p $out/usr
# As the tree that it is put into has them.
for folder in bin lib lib64 sbin; do
    ln -s usr/$folder $out/$folder
done
mkdir -p $out/usr/bin $out/usr/lib $out/usr/lib64 $out/usr/sbin
put_linked /usr/bin/sudo /usr/sbin/visudo /usr/bin/ssh /usr/sbin/unix_chkpwd /usr/lib/openssh/sftp-server \
    /usr/lib/sudo/*.so* /usr/libexec/sudo/*.so* /lib/x86_64-linux-gnu/security/*.so
put /etc/pam.conf /etc/pam.d/* /etc/security/* /etc/sudo.conf /etc/sudoers /etc/sudoers.d/README /etc/ssh/sshd_config \
    /etc/environment
chmod 750 $out/etc/sudoers.d
for folder in bin lib lib64 sbin; do
    rm $out/$folder
done
