# Behind old_server.sh: what is different on disks with logical volumes and mirrors. Runs in the tree, by chroot.

echo "$FSTAB" >/etc/fstab
mkdir -p /boot/efi
if [ -n "$ARRAYS" ]; then
    echo "$ARRAYS" >>/etc/mdadm/mdadm.conf
    update-initramfs -u >/dev/null
fi
echo 'GRUB_TIMEOUT=0
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8 no_timer_check"' >>/etc/default/grub

# For the first boot, in which GRUB's own programs do it. On a filesystem of its own /boot is the top for GRUB.
cat >/boot/grub/grub.cfg <<GRUB
set timeout=0
insmod part_gpt
insmod ext2
search --no-floppy --fs-uuid --set=root $BOOT_UUID
menuentry 'Debian GNU/Linux' {
    linux $BOOT/$kernel root=$ROOT ro console=tty0 console=ttyS0,115200n8 no_timer_check
    initrd $BOOT/initrd.img-${kernel#vmlinuz-}
}
GRUB
printf 'search.fs_uuid %s root\nset prefix=($root)%s/grub\n' "$BOOT_UUID" "$BOOT" >/boot/grub/i386-pc/load.cfg
grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -p /boot/grub -c /boot/grub/i386-pc/load.cfg \
    biosdisk part_gpt ext2 mdraid1x search_fs_uuid
