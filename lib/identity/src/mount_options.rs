//! Options of mount(8), by filesystem: which of them the kernels from 4.4 to 6.12 take.
//!
//! An option that ends in `=` takes a value. An unknown option makes a mount fail, and with it
//! the boot; so unknown ones are refused while the old OS still runs.

/// What mount(8), systemd.mount(5) or the kernel's own layer above filesystems take.
const GENERIC: &str = "\
    defaults auto noauto user users nouser owner group rw ro exec noexec suid nosuid dev nodev \
    sync async dirsync atime noatime diratime nodiratime relatime norelatime strictatime \
    nostrictatime lazytime nolazytime iversion noiversion mand nomand silent loud _netdev nofail \
    bind rbind private rprivate shared rshared slave rslave unbindable runbindable loop loop= \
    offset= sizelimit= context= fscontext= defcontext= rootcontext= helper= uhelper=";

const EXT: &str = "\
    acl noacl user_xattr nouser_xattr errors= data= data_err= commit= barrier nobarrier barrier= \
    discard nodiscard delalloc nodelalloc journal_checksum nojournal_checksum journal_async_commit \
    journal_dev= journal_path= norecovery noload stripe= inode_readahead_blks= auto_da_alloc \
    noauto_da_alloc auto_da_alloc= max_batch_time= min_batch_time= journal_ioprio= bsddf minixdf \
    grpid bsdgroups nogrpid sysvgroups resuid= resgid= sb= quota noquota usrquota grpquota \
    prjquota usrjquota= grpjquota= jqfmt= dioread_lock dioread_nolock block_validity \
    noblock_validity dax dax= init_itable init_itable= noinit_itable max_dir_size_kb= i_version \
    nombcache mb_optimize_scan= oldalloc orlov bh nobh debug";

const XFS: &str = "\
    allocsize= attr2 noattr2 discard nodiscard grpid bsdgroups nogrpid sysvgroups filestreams \
    ikeep noikeep inode32 inode64 largeio nolargeio logbufs= logbsize= logdev= rtdev= noalign \
    norecovery nouuid quota noquota usrquota uquota uqnoenforce qnoenforce grpquota gquota \
    gqnoenforce prjquota pquota pqnoenforce sunit= swidth= swalloc wsync dax dax=";

const BTRFS: &str = "\
    acl noacl autodefrag noautodefrag barrier nobarrier commit= compress compress= compress-force \
    compress-force= datacow nodatacow datasum nodatasum degraded device= discard discard= \
    nodiscard enospc_debug noenospc_debug fatal_errors= flushoncommit noflushoncommit \
    metadata_ratio= max_inline= treelog notreelog nologreplay norecovery rescue= skip_balance \
    space_cache space_cache= nospace_cache clear_cache ssd nossd ssd_spread nossd_spread subvol= \
    subvolid= thread_pool= user_subvol_rm_allowed rescan_uuid_tree usebackuproot";

const FAT: &str = "\
    uid= gid= umask= dmask= fmask= allow_utime= codepage= iocharset= shortname= utf8 utf8= \
    uni_xlate uni_xlate= nonumtail nonumtail= check= errors= flush discard quiet showexec \
    sys_immutable usefree tz= time_offset= dos1xfloppy nfs nfs= rodir debug dots nodots";

const EXFAT: &str = "\
    uid= gid= umask= dmask= fmask= allow_utime= iocharset= errors= discard keep_last_dots sys_tz \
    time_offset=";

const NTFS: &str = "\
    uid= gid= umask= dmask= fmask= nls= iocharset= discard force sparse nohidden sys_immutable \
    windows_names showmeta acl prealloc permissions locale= utf8 big_writes streams_interface= \
    inherit";

const DISC: &str = "\
    uid= gid= mode= dmode= umask= iocharset= utf8 norock nojoliet unhide undelete check= cruft \
    map= block= bs= session= sbsector= overriderockperm novrs nostrict noadinicb adinicb shortad \
    longad anchor= hide showassoc nocompress";

const NFS: &str = "\
    soft softerr softreval nosoftreval hard intr nointr timeo= retrans= rsize= wsize= ac noac \
    acregmin= acregmax= acdirmin= acdirmax= actimeo= bg fg retry= nconnect= max_connect= rdirplus \
    nordirplus rdirplus= proto= tcp udp rdma port= mountport= mountproto= mounthost= mountvers= \
    mountaddr= namlen= nfsvers= vers= v3 v4 v4.0 v4.1 v4.2 minorversion= clientaddr= addr= lock \
    nolock local_lock= cto nocto acl noacl sec= sharecache nosharecache resvport noresvport \
    lookupcache= migration nomigration fsc fsc= nofsc sloppy trunkdiscovery notrunkdiscovery \
    xprtsec= write= posix noposix";

const CIFS: &str = "\
    username= user= pass= password= credentials= cred= domain= dom= workgroup= uid= gid= forceuid \
    noforceuid forcegid noforcegid cruid= backupuid= backupgid= port= servern= netbiosname= \
    file_mode= dir_mode= ip= addr= iocharset= setuids nosetuids perm noperm dynperm nodynperm \
    cache= directio strictcache mapchars nomapchars mapposix nomapposix intr nointr hard soft acl \
    noacl cifsacl nocase ignorecase sec= seal sign brl nobrl sfu nosfu serverino noserverino unix \
    linux posix nounix nolinux noposix posixpaths noposixpaths vers= rsize= wsize= bsize= \
    multiuser actimeo= acregmax= acdirmax= closetimeo= echo_interval= nosharesock mfsymlinks \
    persistenthandles nopersistenthandles resilienthandles noresilienthandles snapshot= \
    prefixpath= guest unc= locallease fsc rdma multichannel nomultichannel max_channels= \
    handletimeout= idsfromsid modefromsid nodfs nohandlecache retrans= tcpnodelay witness \
    domainauto max_credits= user_xattr nouser_xattr";

const TMPFS: &str = "\
    size= nr_blocks= nr_inodes= mode= uid= gid= mpol= huge= inode32 inode64 noswap";

const HUGETLBFS: &str = "size= nr_inodes= mode= uid= gid= pagesize= min_size=";

const OVERLAY: &str = "\
    lowerdir= upperdir= workdir= redirect_dir= index= nfs_export= xino= metacopy= volatile \
    userxattr default_permissions uuid= verity=";

const NINEP: &str = "\
    trans= version= msize= cache= access= uname= aname= dfltuid= dfltgid= port= posixacl cachetag= \
    noextend nodevmap debug= afid=";

const SWAP: &str = "sw pri= discard discard=";

/// Options by filesystem.
const BY_FILESYSTEM: &[(&[&str], &str)] = &[
    (&["ext2", "ext3", "ext4"], EXT),
    (&["xfs"], XFS),
    (&["btrfs"], BTRFS),
    (&["vfat", "msdos"], FAT),
    (&["exfat"], EXFAT),
    (&["ntfs", "ntfs3", "ntfs-3g"], NTFS),
    (&["iso9660", "udf"], DISC),
    (&["nfs", "nfs4"], NFS),
    (&["cifs", "smb3"], CIFS),
    (&["tmpfs", "ramfs"], TMPFS),
    (&["hugetlbfs"], HUGETLBFS),
    (&["overlay"], OVERLAY),
    (&["9p"], NINEP),
    (&["swap"], SWAP),
];

/// What becomes of an option.
#[derive(Debug, PartialEq, Eq)]
pub enum Translated {
    /// It stays as it is.
    As(String),
    /// It goes: nothing of the new OS reads it, and nothing is lost.
    Dropped,
    /// Nobody in the new OS takes it.
    Unknown,
}

/// What becomes of an option of a filesystem.
pub fn translate(fstype: &str, option: &str) -> Translated {
    let name = match option.split_once('=') {
        Some((name, _)) => &option[..=name.len()],
        None => option,
    };
    match name {
        // Of mountall, which waited for everything unless told otherwise; systemd does too.
        "nobootwait" | "optional" => return Translated::As("nofail".to_owned()),
        "bootwait" | "showthrough" | "timeout=" => return Translated::Dropped,
        // systemd once read its options from comments. Other comments tell programs such as
        // cloud-init whose line it is, and the new OS's line is nobody's.
        "comment=" => {
            return match option.strip_prefix("comment=systemd.") {
                Some(rest) => Translated::As(format!("x-systemd.{rest}")),
                None => Translated::Dropped,
            }
        }
        _ => {}
    }
    // A program of its own mounts it and knows its options.
    let fuse = fstype == "fuse" || fstype.starts_with("fuse.");
    let known = |table: &str| table.split_ascii_whitespace().any(|option| option == name);
    let own = BY_FILESYSTEM
        .iter()
        .any(|(types, options)| types.contains(&fstype) && known(options));
    let mount = name.starts_with("x-") || name.starts_with("X-");
    if fuse || own || mount || known(GENERIC) {
        Translated::As(option.to_owned())
    } else {
        Translated::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_by_filesystem() {
        let cases = [
            ("ext4", "noatime", "noatime"),
            ("ext4", "errors=remount-ro", "errors=remount-ro"),
            ("ext4", "errors", "?"),
            ("ext4", "noatime=1", "?"),
            ("ext3", "usrjquota=aquota.user", "usrjquota=aquota.user"),
            ("ext4", "inode64", "?"),
            ("xfs", "inode64", "inode64"),
            ("xfs", "nobarrier", "?"),
            ("xfs", "delaylog", "?"),
            ("btrfs", "subvol=@home", "subvol=@home"),
            ("ext4", "nobootwait", "nofail"),
            ("ext4", "optional", "nofail"),
            ("ext4", "bootwait", ""),
            ("auto", "comment=cloudconfig", ""),
            ("nfs", "comment=systemd.automount", "x-systemd.automount"),
            ("nfs4", "x-systemd.requires=a", "x-systemd.requires=a"),
            ("cifs", "credentials=/root/c", "credentials=/root/c"),
            ("swap", "sw", "sw"),
            ("ext4", "sw", "?"),
            ("fuse.sshfs", "reconnect", "reconnect"),
            ("fusex", "reconnect", "?"),
            ("ext4", "", "?"),
        ];
        for (fstype, option, expected) in cases {
            let found = match translate(fstype, option) {
                Translated::As(text) => text,
                Translated::Dropped => String::new(),
                Translated::Unknown => "?".to_owned(),
            };
            assert_eq!(found, expected, "{fstype} {option}");
        }
    }
}
