/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The one contract between the kernel side and the user side: kinds, records, limits and knobs.
 *
 * A record is a fixed part, one of the structs below, followed by a tail of bytes. The fixed part
 * addresses pieces of the tail by (offset, length), the offset counted from the start of the record.
 * Every record starts with struct se_header, whose `len` is the length of the whole record.
 *
 * The Rust types are generated from this file (abi.bpf.c anchors it, src/kernel/abi.rs includes the
 * result), so nothing here is typed twice. That asks for: only __u8 to __u64, __s32, __s64, arrays of
 * them and our own structs; named enums with explicit values; named padding; sizes that are
 * multiples of 8. Numbers are never reused.
 *
 * Include vmlinux.h first.
 */
#ifndef SE_ABI_H
#define SE_ABI_H

/* What `--version` and capture files call the kernel ABI. Raise it with every change of a record. */
enum se_abi {
	SE_ABI_VERSION = 1,
};

/* Every kind of record: name, number, struct. Everything else about kinds is derived from this. */
#define SE_KINDS(X)                       \
	X(EXEC, 1, se_exec)               \
	X(EXEC_FAILED, 2, se_exec_failed) \
	X(FORK, 3, se_fork)               \
	X(EXIT, 4, se_exit)               \
	X(CGROUP, 5, se_cgroup)           \
	X(SNAPSHOT, 6, se_snapshot)

/* clang-format off */
enum se_kind {
#define X(name, number, record) SE_KIND_##name = number,
	SE_KINDS(X)
#undef X
	SE_KIND_MAX = 7,
};
/* clang-format on */

/*
 * Where an attempted record went; the rows of the counter map. For every kind
 * ATTEMPTED = FILTERED + DEDUPLICATED + SUMMARISED + RING_FULL + SUBMITTED.
 */
enum se_outcome {
	SE_ATTEMPTED = 0,
	SE_SUBMITTED = 1,
	SE_RING_FULL = 2,
	SE_FILTERED = 3,
	SE_DEDUPLICATED = 4,
	SE_SUMMARISED = 5,
	SE_OUTCOME_MAX = 6,
};

enum se_limit {
	SE_PATH_MAX = 4096,
	SE_COMM_LEN = 16,
	SE_TTY_NAME_LEN = 16,
	/* Path components walked where bpf_loop() is missing (before 5.17), and where it is there. */
	SE_DEPTH_BOUNDED = 128,
	SE_DEPTH_LOOP = 2048,
	SE_ARGS_MAX = 131072,
	SE_ARGS_DEFAULT = 32768,
	SE_ENV_MAX = 32768,
	/* Arguments of a failed exec come from user memory, pointer by pointer. */
	SE_FAILED_ARGS_MAX = 32,
	SE_FAILED_ARGS_BYTES = 4096,
};

/* A piece of the record's tail. Absent: both 0. A path's or name's terminating NUL is not counted. */
struct se_str {
	__u32 off;
	__u32 len;
};

struct se_header {
	__u64 ts_ns; /* boot clock, the moment of the event */
	__u32 len;   /* whole record, tail included */
	__u16 kind;  /* enum se_kind */
	__u16 cpu;
};

/* What is known of the acting task at the moment of the event, all of it from kernel memory. */
struct se_task {
	__u64 start_ns;	       /* boot clock, start of the thread group's leader */
	__u64 parent_start_ns; /* the same of the real parent */
	__u64 leader_start_ns; /* the same of the session's leader, 0 if it is gone */
	__u64 cgroup_id;       /* default hierarchy; if the task sits in its root, see hierarchy */
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_inheritable;
	__u64 cap_bounding;
	__u64 cap_ambient;
	__u32 pid; /* thread group id as the host sees it */
	__u32 tid;
	__u32 ppid; /* real parent, as the host sees it */
	__u32 sid;  /* session leader's pid */
	__u32 pgid;
	__u32 ns_pid; /* as the task's own pid namespace sees it */
	__u32 ns_tid;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 suid;
	__u32 sgid;
	__u32 fsuid;
	__u32 fsgid;
	__u32 loginuid;	 /* 0xffffffff: unset */
	__u32 sessionid; /* audit session, 0xffffffff: unset */
	__u32 mnt_ns;
	__u32 pid_ns;
	__u32 net_ns;
	__u32 user_ns;
	__u32 uts_ns;
	__u32 ipc_ns;
	__u32 cgroup_ns;
	__u32 hierarchy; /* id of the cgroup hierarchy that cgroup_id belongs to, 0: the default one */
	__u32 flags;	 /* enum se_task_flag */
	__u32 tty_major; /* 0 with tty_minor 0: no controlling terminal */
	__u32 tty_minor;
	__u8 tty_name[16];
	__u8 comm[16];
};

enum se_task_flag {
	SE_TASK_KTHREAD = 1,
	SE_TASK_COMPAT = 2,  /* has a 32-bit address space; not known of an exit before 6.16 */
	SE_TASK_SECCOMP = 4, /* a seccomp filter is installed */
	SE_TASK_NO_NEW_PRIVS = 8,
	SE_TASK_AGENT = 16, /* the agent itself, or a child of it */
};

/* The program a process runs, from its mm and the inode of its executable. */
struct se_image {
	__u64 inode;
	__s64 mtime_ns; /* wall clock */
	__s64 ctime_ns;
	__u64 size_bytes;
	__u64 fs_magic;
	__u32 dev_major;
	__u32 dev_minor;
	__u32 mode; /* file type, setuid, setgid, sticky and permission bits */
	__u32 owner_uid;
	__u32 owner_gid;
	__u32 nlink; /* 0: deleted */
	__u32 flags; /* enum se_image_flag */
	__u32 pad;
	struct se_str exe; /* from the dentry, up to the root of the task's mount namespace */
	struct se_str cwd;
};

enum se_image_flag {
	SE_IMAGE_MEMFD = 1,
	SE_IMAGE_OVERLAY = 2,	    /* lives on overlayfs */
	SE_IMAGE_OVERLAY_UPPER = 4, /* ... in its upper layer: written since the container started */
	SE_IMAGE_EXE_CUT = 8, /* path longer than the buffer or deeper than the walk: the head is missing */
	SE_IMAGE_CWD_CUT = 16,
	SE_IMAGE_EXE_DETACHED = 32, /* the walk did not end in the mount namespace's root */
	SE_IMAGE_CWD_DETACHED = 64,
	SE_IMAGE_CWD_DELETED = 128,
	SE_IMAGE_NONE = 256, /* no executable: a kernel thread */
};

struct se_exec {
	struct se_header header;
	struct se_task task;
	struct se_image image;
	__u64 args_len; /* bytes between mm->arg_start and mm->arg_end, whatever part of it is below */
	__u64 env_len;
	__u32 argc;
	__u32 envc;
	__u32 old_tid; /* the thread that called execve, if it was not the leader: its tid until then */
	__u32 flags;		 /* enum se_exec_flag */
	struct se_str filename;	 /* as given to execve, kernel copy: the script when one is run */
	struct se_str interp;	 /* the interpreter a script names; absent if no script is run */
	struct se_str args_head; /* as laid out in memory, each ended by a NUL */
	struct se_str args_tail; /* the end of it, if args_len is over the limit */
	struct se_str env;	 /* each ended by a NUL, its head up to the limit */
};

enum se_exec_flag {
	SE_EXEC_SCRIPT = 1,
	SE_EXEC_SECURE = 2,	/* AT_SECURE: setuid, setgid or file capabilities took effect */
	SE_EXEC_ARGS_CUT = 4,	/* args_len is over the limit; head and tail are kept */
	SE_EXEC_ARGS_FAULT = 8, /* a page was not there; what is missing is not in the record */
	SE_EXEC_ENV_CUT = 16,
	SE_EXEC_ENV_FAULT = 32,
	SE_EXEC_FILENAME_CUT = 64,
	SE_EXEC_BY_FD = 128, /* execveat() with an empty path, or fexecve() */
};

/* Path and arguments come from user memory when the call returns: grade `user`. */
struct se_exec_failed {
	struct se_header header;
	struct se_task task;
	__s32 error; /* negative errno */
	__u32 flags; /* enum se_exec_failed_flag */
	__u32 args_count;
	__u32 pad;
	struct se_str filename;
	struct se_str args; /* each ended by a NUL */
	struct se_str cwd;
};

enum se_exec_failed_flag {
	SE_EXEC_FAILED_ARGS_CUT = 1,
	SE_EXEC_FAILED_FILENAME_FAULT = 2, /* the memory was not readable: the kernel saw EFAULT too, or it was unmapped */
	SE_EXEC_FAILED_CWD_CUT = 4,
	SE_EXEC_FAILED_FILENAME_CUT = 8,
};

/* The task is the child; the creator is who called clone, even if CLONE_PARENT gave another parent. */
struct se_fork {
	struct se_header header;
	struct se_task task;
	__u64 creator_start_ns;
	__u32 creator_pid;
	__u32 creator_tid;
};

/* Written once a process, when its last thread exits. */
struct se_exit {
	struct se_header header;
	struct se_task task;
	__u64 cpu_ns;	/* run time of all threads, as the scheduler counts it */
	__u64 utime_ns; /* as sampled by ticks */
	__u64 stime_ns;
	__u64 max_rss_bytes;
	__u32 status; /* as wait() reports it: code << 8 | core dumped 0x80 | signal */
	__u32 pad;
};

enum se_cgroup_op {
	SE_CGROUP_MKDIR = 1,
	SE_CGROUP_RELEASE = 2,
	SE_CGROUP_RENAME = 3,
};

/* Cgroups come and go: keeps the user side's table of paths right without asking anybody. */
struct se_cgroup {
	struct se_header header;
	__u64 id;
	__u32 hierarchy; /* 0: the default one */
	__u32 op;	 /* enum se_cgroup_op */
	struct se_str path;
};

/* One of these for every process that runs when the agent starts, from the task iterator. */
struct se_snapshot {
	struct se_header header;
	struct se_task task;
	struct se_image image;
};

/* Sizes as clang sees them; asserted in Rust at compile time. */
enum se_size {
	SE_SIZE_HEADER = sizeof(struct se_header),
	SE_SIZE_TASK = sizeof(struct se_task),
	SE_SIZE_IMAGE = sizeof(struct se_image),
	SE_SIZE_EXEC = sizeof(struct se_exec),
	SE_SIZE_EXEC_FAILED = sizeof(struct se_exec_failed),
	SE_SIZE_FORK = sizeof(struct se_fork),
	SE_SIZE_EXIT = sizeof(struct se_exit),
	SE_SIZE_CGROUP = sizeof(struct se_cgroup),
	SE_SIZE_SNAPSHOT = sizeof(struct se_snapshot),
};

#endif
