/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Keys and values of the maps by which the user side says what is wanted. Part of abi.h, whose rules hold. */
#ifndef SE_ABI_FILTER_H
#define SE_ABI_FILTER_H

/* What the program on the return of system calls looks at first, by the kernel's number of the call. */
enum se_route {
	SE_ROUTE_ANY = 1,
	SE_ROUTE_FAILED = 2, /* also if the call failed */
	SE_ROUTE_ONLY_FAILED = 4,
};

/* What events are left out by; ports are those of either end. */
enum se_skip {
	SE_SKIP_EXECUTABLE = 1,
	SE_SKIP_CGROUP = 2,
	SE_SKIP_USER = 4,
	SE_SKIP_PORT = 8,
};

/* Keys and values of the maps that hold the configured filters, see lib/filter.bpf.h. */
struct se_watch_path {
	__u32 prefix_bits;
	__u8 path[252]; /* of a directory, with the slash at its end */
};

struct se_watch_name {
	__u32 directory; /* as in se_verdict, 0: any */
	__u8 name[60];
};

enum se_watch {
	SE_WATCH_READ = 1,	 /* reads of what is below are reported */
	SE_WATCH_SKIP = 2,	 /* nothing of what is below is reported */
	SE_WATCH_PROCFS = 4,	 /* name: only on procfs */
	SE_WATCH_DIRECTORY = 8,	 /* name: of a directory, for everything below */
	SE_WATCH_FILE = 16,	 /* name: of a file */
	SE_WATCH_HAS_NAMES = 32, /* path: se_watch_name has entries for this directory */
	SE_WATCH_OWN = 64,	 /* path: nothing is reported of what the agent itself does below */
};

struct se_verdict {
	__u32 watch;	 /* enum se_watch */
	__u32 directory; /* number by which names of this directory are looked up, 0: none */
};

struct se_file_id {
	__u64 inode;
	__u32 dev; /* as in super_block.s_dev */
	__u32 pad;
};

/*
 * Equal events within a window are one event with a count. There are two maps of them, used in turn: the
 * user side flips se_switches.window, waits until no program can still be at the old one, and empties it.
 */
struct se_merge_key {
	__u64 start_ns;
	__u64 inode;
	__u64 detail; /* what else must be equal, by kind */
	__u32 pid;
	__u32 dev;
	__u32 kind;
	__u32 pad;
};

struct se_merge {
	__u64 first_ns; /* with cpu: the header of the record that was submitted for the first of them */
	__u64 last_ns;
	__u64 count; /* further ones */
	__u32 cpu;
	__u32 pad;
};

/* What the user side turns while the programs run; one value. */
struct se_switches {
	__u32 window;	  /* 0 or 1: the map of se_merge in use */
	__u32 generation; /* of the watch lists; what was cached of an older one is void */
};

#endif
