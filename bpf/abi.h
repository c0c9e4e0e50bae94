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

#include "abi_calls.h"
#include "abi_filter.h"

/* What `--version` and capture files call the kernel ABI. Raise it with every change of a record. */
enum se_abi {
	SE_ABI_VERSION = 2,
};

/* Every kind of record: name, number, struct. Everything else about kinds is derived from this. */
/* clang-format off */
#define SE_KINDS(X) \
	X(EXEC, 1, se_exec) \
	X(EXEC_FAILED, 2, se_exec_failed) \
	X(FORK, 3, se_fork) \
	X(EXIT, 4, se_exit) \
	X(CGROUP, 5, se_cgroup) \
	X(SNAPSHOT, 6, se_snapshot) \
	X(FILE_OPEN, 7, se_file) \
	X(FILE_READ, 8, se_file) \
	X(FILE_CLOSE, 9, se_file) \
	X(FILE_RENAME, 10, se_file) \
	X(FILE_DELETE, 11, se_file) \
	X(FILE_LINK, 12, se_file) \
	X(FILE_MKDIR, 13, se_file) \
	X(FILE_MODE, 14, se_file) \
	X(FILE_OWNER, 15, se_file) \
	X(FILE_XATTR, 16, se_file) \
	X(FILE_TRUNCATE, 17, se_file) \
	X(FILE_TIMES, 18, se_file) \
	X(MOUNT, 19, se_file) \
	X(NET_CONNECT, 20, se_net) \
	X(NET_ACCEPT, 21, se_net) \
	X(NET_BIND, 22, se_net) \
	X(NET_LISTEN, 23, se_net) \
	X(NET_FLOW, 24, se_net) \
	X(NET_SOCKET, 25, se_net) \
	X(NET_DNS, 26, se_net) \
	X(CREDENTIALS, 27, se_credentials) \
	X(PTRACE, 28, se_privilege) \
	X(PROCESS_MEMORY, 29, se_privilege) \
	X(MODULE, 30, se_privilege) \
	X(KEXEC, 31, se_privilege) \
	X(BPF, 32, se_privilege) \
	X(PERF_EVENT, 33, se_privilege) \
	X(USERFAULTFD, 34, se_privilege) \
	X(MEMFD, 35, se_privilege) \
	X(MEMORY_EXEC, 36, se_privilege) \
	X(NAMESPACE, 37, se_privilege) \
	X(IO_URING, 38, se_privilege) \
	X(SIGNAL, 39, se_privilege) \
	X(PRCTL, 40, se_privilege) \
	X(KEYRING, 41, se_privilege) \
	X(HOST_NAME, 42, se_privilege) \
	X(CLOCK, 43, se_privilege) \
	X(SWAP, 44, se_privilege) \
	X(REBOOT, 45, se_privilege)
/* clang-format on */

/* clang-format off */
enum se_kind {
#define X(name, number, record) SE_KIND_##name = number,
	SE_KINDS(X)
#undef X
	SE_KIND_MAX = 46,
};
/* clang-format on */

/* Kinds that go through the bulk ring, a bit each: files, network and memory. All others are critical. */
#define SE_BULK_KINDS                                                                             \
	(0xfffULL << SE_KIND_FILE_OPEN | 0x7fULL << SE_KIND_NET_CONNECT | 1ULL << SE_KIND_MEMFD | \
	 1ULL << SE_KIND_MEMORY_EXEC)

/*
 * Where an attempted record went; the rows of the counter map. For every kind
 * ATTEMPTED = FILTERED + DEDUPLICATED + SUMMARISED + RATE_LIMITED + RING_FULL + SUBMITTED.
 */
enum se_outcome {
	SE_ATTEMPTED = 0,
	SE_SUBMITTED = 1,
	SE_RING_FULL = 2,
	SE_FILTERED = 3,
	SE_DEDUPLICATED = 4,
	SE_SUMMARISED = 5,
	SE_RATE_LIMITED = 6, /* over the limit of the bulk ring */
	SE_OUTCOME_MAX = 7,
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
	/* Room of the tables from the kernel's number of a system call to ours. */
	SE_NR_MAX = 1024,
	SE_NR_32_MAX = 512,
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

/*
 * Who acted, for the kinds that are many: what the process table cannot know, and no more. A third of
 * struct se_task in size and less in cost, as all of it is plain loads.
 */
struct se_actor {
	__u64 start_ns;
	__u64 parent_start_ns;
	__u64 cgroup_id;
	__u64 cap_effective;
	__u32 pid;
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 fsuid;
	__u32 fsgid;
	__u32 loginuid;
	__u32 mnt_ns;
	__u32 net_ns;
	__u32 user_ns;
	__u32 hierarchy;
	__u32 flags; /* enum se_task_flag and enum se_actor_flag */
	__u32 hook;  /* enum se_hook */
	__u32 call;  /* enum se_call, 0 where the hook is no system call */
	__u32 merged; /* 0 from the kernel side. Else the record stands for so many more, see se_merge */
	__u8 comm[16];
};

/* Bits beside those of enum se_task_flag. */
enum se_actor_flag {
	SE_ACTOR_IO_URING = 0x100,	/* the operation came through an io_uring */
	SE_ACTOR_GRADE_USER = 0x200,	/* a path or address was read from user memory */
	SE_ACTOR_ARGUMENT_SWAP = 0x400, /* user memory and the kernel's object differ */
	SE_ACTOR_WATCHED = 0x800,	/* matched a watch list */
	SE_ACTOR_TRIMMED = 0x1000,	/* a string of the record was cut to its room */
};

/* Which hook made the record. Numbers are never reused; src/event/hook.rs has the names. */
enum se_hook {
	SE_HOOK_NONE = 0,
	SE_HOOK_SYS_EXIT = 1,
	SE_HOOK_IO_URING_COMPLETE = 2,
	SE_HOOK_LSM = 3,
	SE_HOOK_FENTRY = 4,
	SE_HOOK_FEXIT = 5,
	SE_HOOK_CGROUP_CONNECT = 6,
	SE_HOOK_CGROUP_SENDMSG = 7,
	SE_HOOK_CGROUP_BIND = 8,
	SE_HOOK_CGROUP_POST_BIND = 9,
	SE_HOOK_CGROUP_SOCK_CREATE = 10,
	SE_HOOK_CGROUP_SOCK_RELEASE = 11,
	SE_HOOK_CGROUP_SKB = 12,
	SE_HOOK_INET_SOCK_SET_STATE = 13,
	SE_HOOK_MODULE_LOAD = 14,
	SE_HOOK_MODULE_FREE = 15,
	SE_HOOK_TASK_RENAME = 16,
	SE_HOOK_SIGNAL_GENERATE = 17,
	SE_HOOK_IO_URING_CREATE = 18,
	SE_HOOK_PROCESS_EXIT = 19,
	SE_HOOK_MAX = 20,
};

/* A file as the kernel holds it. All zero: not known. */
struct se_object {
	__u64 inode;
	__u64 fs_magic;
	__u64 size_bytes;
	__s64 mtime_ns;
	__s64 ctime_ns;
	__u32 dev_major;
	__u32 dev_minor;
	__u32 mode; /* type and permissions */
	__u32 uid;
	__u32 gid;
	__u32 nlink;
	__u32 flags; /* enum se_object_flag */
	__u32 pad;
};

enum se_object_flag {
	SE_OBJECT_PATH_CUT = 1, /* the head of the path is missing */
	SE_OBJECT_PATH_DETACHED = 2,
	SE_OBJECT_DELETED = 4,
	SE_OBJECT_MEMFD = 8,
	SE_OBJECT_OVERLAY = 16,
	SE_OBJECT_OVERLAY_UPPER = 32,
	SE_OBJECT_PATH_JOINED = 64, /* directory from the kernel, rest from user memory, not resolved */
	SE_OBJECT_PATH_FAULT = 128, /* the path in user memory was not readable */
};

/* What was done to a file; several of them in one kind. */
enum se_file_op {
	SE_FILE_OPEN = 1,
	SE_FILE_CREATE = 2, /* the open made the file */
	SE_FILE_CLOSE = 3,
	SE_FILE_RENAME = 4,
	SE_FILE_EXCHANGE = 5, /* both names stay and swap what they mean */
	SE_FILE_UNLINK = 6,
	SE_FILE_RMDIR = 7,
	SE_FILE_LINK = 8,
	SE_FILE_SYMLINK = 9,
	SE_FILE_MKDIR = 10,
	SE_FILE_MKNOD = 11,
	SE_FILE_CHMOD = 12,
	SE_FILE_CHOWN = 13,
	SE_FILE_SETXATTR = 14,
	SE_FILE_REMOVEXATTR = 15,
	SE_FILE_TRUNCATE = 16,
	SE_FILE_UTIMES = 17,
	SE_FILE_MOUNT = 18,
	SE_FILE_UMOUNT = 19,
	SE_FILE_PIVOT_ROOT = 20,
	SE_FILE_CHROOT = 21,
	SE_FILE_MOVE_MOUNT = 22,
	SE_FILE_OP_MAX = 23,
};

/*
 * Everything that is done to files. `path` is the file, or where it was; `other` where it is now (rename),
 * the new name (link), the content (symlink), the source (mount), where the old root goes (pivot_root).
 */
struct se_file {
	struct se_header header;
	struct se_actor actor;
	struct se_object object; /* the file after the operation, before it if it is gone */
	struct se_object before; /* the same before, or what the operation replaced; see flags */
	__u64 arg[2];		 /* mount flags; times set, wall clock ns (access, modification) */
	__u32 op;		 /* enum se_file_op */
	__s32 error;
	__u32 open_flags; /* O_*, as the kernel keeps them */
	__u32 flags;	  /* enum se_file_flag */
	struct se_str path;
	struct se_str other;
	struct se_str name;  /* extended attribute, or file system type */
	struct se_str given; /* path in user memory, where it is not what the kernel used */
};

enum se_file_flag {
	SE_FILE_BEFORE = 1,	    /* `before` is known */
	SE_FILE_WRITTEN = 2,	    /* close: contents changed since the open */
	SE_FILE_WRITTEN_UNSURE = 4, /* close: whether they changed is not known */
	SE_FILE_OTHER_CUT = 8,
	SE_FILE_OTHER_JOINED = 16,
	SE_FILE_OTHER_FAULT = 32,
	SE_FILE_REPLACED = 64, /* rename: the new name meant another file before, which is `before` */
	SE_FILE_PENDING = 128, /* io_uring: asked for; whether it worked nobody is told */
};

enum se_net_op {
	SE_NET_CONNECT = 1,
	SE_NET_DATAGRAM = 2, /* first datagram to this peer from a socket that is not connected */
	SE_NET_ACCEPT = 3,
	SE_NET_BIND = 4,
	SE_NET_LISTEN = 5,
	SE_NET_END = 6, /* of a flow */
	SE_NET_SOCKET = 7,
	SE_NET_DNS_QUERY = 8,
	SE_NET_DNS_ANSWER = 9,
	SE_NET_OP_MAX = 10,
};

/* Addresses are in network byte order, IPv4 in the first four bytes; ports in host byte order. */
struct se_net {
	struct se_header header;
	struct se_actor actor;
	__u64 cookie; /* of the socket; 0: not known */
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 packets_sent;
	__u64 packets_received;
	__u64 duration_ns;
	__u8 local[16];
	__u8 remote[16];
	__u8 given[16];	   /* address in user memory, where it is not what the kernel used */
	__u32 op;	   /* enum se_net_op */
	__s32 error;	   /* negative errno, 0: worked */
	__u32 family;	   /* AF_* */
	__u32 socket_type; /* SOCK_* without its flags */
	__u32 protocol;	   /* IPPROTO_*, or an Ethernet protocol for packet sockets */
	__u32 local_port;
	__u32 remote_port;
	__u32 given_port;
	__u32 backlog;
	__u32 flags; /* enum se_net_flag */
	__u32 ifindex;
	__u32 pad;
	struct se_str path;    /* Unix socket, an abstract one with its leading NUL */
	struct se_str payload; /* DNS message */
};

enum se_net_flag {
	SE_NET_INCOMING = 1, /* flow: the other side opened it */
	SE_NET_PENDING = 2,  /* connect: not decided when the call returned */
	SE_NET_PAYLOAD_CUT = 4,
	SE_NET_TCP = 8,	     /* DNS over TCP */
	SE_NET_UNOWNED = 16, /* no task is known: seen in an interrupt */
};

/* Which programs of the network the others can rely on. */
enum se_net_part {
	SE_NET_PART_CONNECT = 1, /* control group hooks of connect and sendmsg */
	SE_NET_PART_BIND = 2,	 /* ... of bind */
	SE_NET_PART_ACCEPT = 4,	 /* somebody sees accepted sockets together with the task */
	SE_NET_PART_CREATE = 8,	 /* control group hook of socket */
};

#include "abi_privilege.h"

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
	SE_SIZE_WATCH_PATH = sizeof(struct se_watch_path),
	SE_SIZE_WATCH_NAME = sizeof(struct se_watch_name),
	SE_SIZE_VERDICT = sizeof(struct se_verdict),
	SE_SIZE_FILE_ID = sizeof(struct se_file_id),
	SE_SIZE_MERGE_KEY = sizeof(struct se_merge_key),
	SE_SIZE_MERGE = sizeof(struct se_merge),
	SE_SIZE_SWITCHES = sizeof(struct se_switches),
	SE_SIZE_ACTOR = sizeof(struct se_actor),
	SE_SIZE_OBJECT = sizeof(struct se_object),
	SE_SIZE_FILE = sizeof(struct se_file),
	SE_SIZE_NET = sizeof(struct se_net),
	SE_SIZE_TARGET = sizeof(struct se_target),
	SE_SIZE_PRIVILEGE = sizeof(struct se_privilege),
	SE_SIZE_CREDS = sizeof(struct se_creds),
	SE_SIZE_CREDENTIALS = sizeof(struct se_credentials),
	SE_SIZE_BPF_ID = sizeof(struct se_bpf_id),
};

#endif
