//! Lists as they come out for a host that the test invents.

use super::*;

/// A host where /var/run is a link to /run, and /etc/shadow and /usr/bin/backup are there.
fn host() -> Host {
    Host {
        canonical: Box::new(|path| {
            let text = path.to_str()?;
            Some(PathBuf::from(text.replace("/var/run/", "/run/")))
        }),
        identity: Box::new(|path| match path.to_str()? {
            "/etc/shadow" => Some(FileId::new(7, libc::makedev(8, 1))),
            "/usr/bin/backup" => Some(FileId::new(9, libc::makedev(259, 0x12345))),
            _ => None,
        }),
        groups: Box::new(
            |path| if path == Path::new("/system.slice/a.service") { vec![40, 41] } else { vec![] },
        ),
        user: Box::new(|name| (name == "backup").then_some(34)),
    }
}

fn lists(watch: &[&str], skip: &[&str], own: &[&str]) -> Lists {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    let filter = Filter {
        watch_paths: texts(watch),
        skip_paths: texts(skip),
        own_directories: own.iter().map(PathBuf::from).collect(),
        ..Filter::default()
    };
    let (lists, remarks) = Lists::of(&filter, &host(), &mut Numbers::default());
    assert_eq!(remarks, [""; 0]);
    lists
}

fn path(lists: &Lists, path: &str) -> (u32, u32) {
    lists.paths[path.as_bytes()]
}

/// What the trie of the kernel finds for a directory: the longest entry that its key begins with.
fn found(lists: &Lists, directory: &str) -> Option<(u32, u32)> {
    let mut key = directory.as_bytes().to_vec();
    key.resize(252, 0);
    let fitting = lists.paths.iter().filter(|(prefix, _)| key.starts_with(prefix));
    fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, verdict)| *verdict)
}

#[test]
fn a_file_is_looked_for_in_its_directory_and_not_below() {
    let lists = lists(&["/etc/shadow", "/etc/gshadow", "/vmlinuz"], &[], &[]);
    let (watch, number) = found(&lists, "/etc/").unwrap();
    assert_eq!(watch, HAS_NAMES);
    assert_eq!(lists.names[&(number, "shadow".into())], FILE | READ);
    assert_eq!(lists.names[&(number, "gshadow".into())], FILE | READ);
    assert_eq!(found(&lists, "/etc/ssh/"), None);
    let (_, root) = found(&lists, "/").unwrap();
    assert_ne!(root, number);
    assert_eq!(found(&lists, "/home/"), None);
    // 8:1 as the kernel keeps it.
    assert_eq!(lists.files, BTreeMap::from([(FileId { inode: 7, dev: 8 << 20 | 1 }, READ)]));
}

#[test]
fn the_longer_directory_counts_and_files_inherit_it() {
    let lists = lists(&["/var/lib/kubelet/pki/", "/srv/"], &["/var/", "/srv/noise"], &[]);
    assert_eq!(found(&lists, "/var/log/"), Some((SKIP, 0)));
    assert_eq!(found(&lists, "/var/lib/kubelet/pki/x/"), Some((READ, 0)));
    assert_eq!(found(&lists, "/home/"), None);
    let (watch, number) = found(&lists, "/srv/").unwrap();
    assert_eq!(watch, READ | HAS_NAMES);
    assert_eq!(lists.names[&(number, "noise".into())], FILE | SKIP);
    assert_eq!(found(&lists, "/srv/www/"), Some((READ, 0)));
    assert!(lists.files.is_empty(), "a hard link to what is skipped is not skipped");
}

#[test]
fn own_directories_keep_what_is_said_above_them() {
    let lists = lists(&["/var/log/"], &[], &["/var/log/sentineledge"]);
    assert_eq!(path(&lists, "/var/log/"), (READ, 0));
    assert_eq!(path(&lists, "/var/log/sentineledge/"), (READ | OWN, 0));
}

#[test]
fn a_path_through_a_link_is_entered_where_it_leads_too() {
    let lists = lists(&["/var/run/secrets/", "/var/run/x/token"], &[], &[]);
    for prefix in ["/run/secrets/", "/var/run/secrets/"] {
        assert_eq!(found(&lists, prefix), Some((READ, 0)), "{prefix}");
    }
    let (_, number) = found(&lists, "/run/x/").unwrap();
    assert_eq!(lists.names[&(number, "token".into())], FILE | READ);
}

#[test]
fn names_are_of_files_of_directories_or_of_procfs() {
    let lists =
        lists(&["*/.netrc", "*/.aws/", "/proc/*/mem", "/proc/*/environ", "*/environ"], &["*/.git/"], &[]);
    let name = |name: &str| lists.names[&(0, name.to_owned())];
    assert_eq!(name(".netrc"), FILE | READ);
    assert_eq!(name(".aws"), DIRECTORY | READ);
    assert_eq!(name("mem"), FILE | PROCFS | READ);
    assert_eq!(name("environ"), FILE | READ, "anywhere says more than on procfs");
    assert_eq!(name(".git"), DIRECTORY | SKIP);
}

#[test]
fn a_directory_keeps_its_number() {
    let mut numbers = Numbers::default();
    let of = |watch: &[&str], numbers: &mut Numbers| {
        let watch_paths = watch.iter().map(|&text| text.to_owned()).collect();
        Lists::of(&Filter { watch_paths, ..Filter::default() }, &host(), numbers).0
    };
    let before = of(&["/b/x"], &mut numbers);
    let after = of(&["/a/x", "/b/x"], &mut numbers);
    assert_eq!(found(&before, "/b/"), found(&after, "/b/"));
    assert_ne!(found(&after, "/a/"), found(&after, "/b/"));
}

#[test]
fn exclusions_are_looked_up_and_what_is_missing_is_said() {
    let filter = Filter {
        skip_executables: vec!["/usr/bin/backup".into(), "/usr/bin/gone".into()],
        skip_cgroups: vec!["/system.slice/a.service".into(), "/no.slice".into()],
        skip_users: vec![1000],
        skip_user_names: vec!["backup".into(), "nobody-at-all".into()],
        skip_ports: vec![53],
        ..Filter::default()
    };
    let (lists, remarks) = Lists::of(&filter, &host(), &mut Numbers::default());
    assert_eq!(lists.executables, BTreeSet::from([FileId { inode: 9, dev: 259 << 20 | 0x12345 }]));
    assert_eq!(lists.groups, BTreeSet::from([40, 41]));
    assert_eq!(lists.users, BTreeSet::from([34, 1000]));
    assert_eq!(
        remarks,
        [
            "[filter] skip_executables: there is no /usr/bin/gone",
            "[filter] skip_cgroups: there is no control group /no.slice",
            "[filter] skip_users: there is no user nobody-at-all"
        ]
    );
    let ports = &lists.tables()[6];
    assert_eq!(ports.keys().collect::<Vec<_>>(), [&53_u32.to_ne_bytes().to_vec()]);
}

#[test]
fn keys_are_laid_out_as_the_kernel_side_builds_them() {
    let lists = lists(&["/etc/shadow", "/srv/", "*/x"], &[], &[]);
    let [names, inodes, paths, ..] = lists.tables();
    let bits = |key: &Vec<u8>| u32::from_ne_bytes([key[0], key[1], key[2], key[3]]);
    let prefixes: Vec<_> = paths.keys().map(|key| (bits(key), key[4..12].to_vec())).collect();
    assert!(prefixes.contains(&(6 * 8, b"/etc/\0\0\0".to_vec())), "{prefixes:?}");
    assert!(prefixes.contains(&(5 * 8, b"/srv/\0\0\0".to_vec())), "{prefixes:?}");
    assert!(paths.keys().all(|key| key.len() == 256) && paths.values().all(|value| value.len() == 8));
    assert!(names.keys().all(|key| key.len() == 64) && names.values().all(|value| value.len() == 4));
    assert!(inodes.keys().all(|key| key.len() == 16));
}

#[test]
fn this_host_answers() {
    let host = Host::this(None);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "x").unwrap();
    std::os::unix::fs::symlink(&file, directory.path().join("link")).unwrap();
    let id = (host.identity)(&file).unwrap();
    assert_eq!((host.identity)(&directory.path().join("link")), Some(id));
    assert_eq!(id.inode, fs::metadata(&file).unwrap().ino());
    assert_eq!((host.identity)(&directory.path().join("none")), None);
    assert_eq!((host.user)("root"), Some(0));
    fs::create_dir_all(directory.path().join("a/b")).unwrap();
    assert_eq!(groups(&directory.path().join("a")).len(), 2);
}
