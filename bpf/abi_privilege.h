/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Records of privileges and credentials. Part of abi.h, which includes it where its structs are known. */
#ifndef SE_ABI_PRIVILEGE_H
#define SE_ABI_PRIVILEGE_H

/* Another process that something was done to. */
struct se_target {
	__u64 start_ns;
	__u32 pid;
	__u32 tid;
	__u32 uid;
	__u32 flags; /* enum se_task_flag */
	__u8 comm[16];
};

/* What was done, of the kinds whose `op` is no number of the kernel's interface; src/event/privilege.rs has the others. */
enum se_privilege_op {
	SE_OP_MEMORY_READ = 1, /* process_memory */
	SE_OP_MEMORY_WRITE = 2,
	SE_OP_MEMORY_GETFD = 3,
	SE_OP_MODULE_LOAD = 1,
	SE_OP_MODULE_UNLOAD = 2,
	SE_OP_KEXEC_LOAD = 1,
	SE_OP_KEXEC_FILE_LOAD = 2,
	SE_OP_MEMFD_CREATE = 1,
	SE_OP_MEMFD_SECRET = 2,
	SE_OP_EXEC_MMAP = 1, /* memory_exec */
	SE_OP_EXEC_MPROTECT = 2,
	SE_OP_NS_UNSHARE = 1,
	SE_OP_NS_SETNS = 2,
	SE_OP_KEY_ADD = 1000, /* keyring; below are the numbers of KEYCTL_* */
	SE_OP_KEY_REQUEST = 1001,
	SE_OP_NAME_HOST = 1,
	SE_OP_NAME_DOMAIN = 2,
	SE_OP_CLOCK_SET = 1,
	SE_OP_CLOCK_ADJUST = 2,
	SE_OP_SWAP_ON = 1,
	SE_OP_SWAP_OFF = 2,
};

/* What the kernel knows an object of BPF by; ids of each type are counted on their own. */
enum se_bpf_type {
	SE_BPF_MAP = 1,
	SE_BPF_PROGRAM = 2,
	SE_BPF_LINK = 3,
};

struct se_bpf_id {
	__u32 type; /* enum se_bpf_type */
	__u32 id;
};

/* Privileges and evasion: who did what to whom, with the arguments by kind; src/event/privilege.rs says which. */
struct se_privilege {
	struct se_header header;
	struct se_actor actor;
	__u64 arg[8];
	struct se_target target; /* all zero: none */
	struct se_object object; /* the file behind it, if there is one */
	__u32 op;		 /* by kind: request, command, option */
	__s32 error;
	__u32 flags; /* enum se_privilege_flag */
	__u32 pad;
	struct se_str name;
	struct se_str path; /* of object */
};

enum se_privilege_flag {
	SE_PRIVILEGE_SIGNED = 1,     /* module: signature checked and good */
	SE_PRIVILEGE_UNSIGNED = 2,   /* module: none, or a bad one */
	SE_PRIVILEGE_OWN_OBJECT = 4, /* bpf: a map or program of the agent */
	SE_PRIVILEGE_ANONYMOUS = 8,  /* memory: not backed by a file */
	SE_PRIVILEGE_WRITTEN = 16, /* memory: was writable, or a private mapping that was written to */
	SE_PRIVILEGE_WRITE_EXEC = 32, /* memory: writable and executable at once */
	SE_PRIVILEGE_FLIP = 64,	      /* memory: from writable to executable */
	SE_PRIVILEGE_LEAVES = 128,    /* namespace: setns, into somebody else's */
	SE_PRIVILEGE_FROM_MEMORY = 256, /* module, kexec: image came from memory and no file is known */
	SE_PRIVILEGE_UNLOAD = 512,
	SE_PRIVILEGE_UNSURE = 1024, /* memory: what backs it could not be looked at */
};

/* Credentials of a task, as struct cred has them. */
struct se_creds {
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_inheritable;
	__u64 cap_bounding;
	__u64 cap_ambient;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 suid;
	__u32 sgid;
	__u32 fsuid;
	__u32 fsgid;
	__u32 user_ns;
	__u32 securebits;
};

/* The task has the new credentials. Without SE_CREDENTIALS_OLD the old ones are left to the process table. */
struct se_credentials {
	struct se_header header;
	struct se_task task;
	struct se_creds old;
	__s32 error;
	__u32 flags;	/* enum se_credentials_flag */
	__u32 hook;	/* enum se_hook */
	__u32 call;	/* enum se_call */
	__u32 asked[4]; /* ids as given, in the caller's namespace; setgroups(): how many */
};

enum se_credentials_flag {
	SE_CREDENTIALS_OLD = 1, /* `old` is known from the kernel */
	SE_CREDENTIALS_IO_URING = 2,
};

#endif
