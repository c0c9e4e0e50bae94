// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Privileges: credentials, what is done to other processes, namespaces, and what is set for the whole host.
 *
 * Tracepoints where there are some; else the return of the system call, with numbers from the saved registers and
 * the rest from kernel objects as far as any are left. Structs and strings in the caller's memory are the last
 * resort, and the record says so (SE_ACTOR_GRADE_USER). Each program first drops what nobody wants, by a number.
 *
 * What `op`, `arg`, `name` and `path` mean for each kind is in src/event/privilege.rs.
 */
#include "lib/entry.bpf.h"
#include "lib/privilege.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	CLONE_NEW_ANY = 0x7e020080, /* CLONE_NEWTIME, -NS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET */
	ID_16_NONE = 0xffff,
	SI_QUEUE = -1,
	SI_USER = 0,
	SI_TKILL = -6,
	SEND_SIG_PRIV = 1, /* in the place of a pointer: the kernel sends */
	REBOOT_RESTART2 = 0xa1b2c3d4,
	SHORT_STRING = 64,
	LONG_STRING = 256,
};

#define NSFS_MAGIC 0x6e736673ULL

/* How many ids the call takes. */
static __always_inline int ids_of(__u32 call)
{
	switch (call) {
	case SE_CALL_SETUID:
	case SE_CALL_SETGID:
	case SE_CALL_SETFSUID:
	case SE_CALL_SETFSGID:
	case SE_CALL_SETGROUPS:
	case SE_CALL_SETUID32:
	case SE_CALL_SETGID32:
	case SE_CALL_SETFSUID32:
	case SE_CALL_SETFSGID32:
	case SE_CALL_SETGROUPS32:
		return 1;
	case SE_CALL_SETREUID:
	case SE_CALL_SETREGID:
	case SE_CALL_SETREUID32:
	case SE_CALL_SETREGID32:
		return 2;
	case SE_CALL_SETRESUID:
	case SE_CALL_SETRESGID:
	case SE_CALL_SETRESUID32:
	case SE_CALL_SETRESGID32:
		return 3;
	}
	return 0;
}

static __always_inline bool is_fs_call(__u32 call)
{
	return call == SE_CALL_SETFSUID || call == SE_CALL_SETFSGID || call == SE_CALL_SETFSUID32 ||
	       call == SE_CALL_SETFSGID32;
}

/* The ids of the old 32-bit calls have 16 bits, and their highest one means "leave it". */
static __always_inline __u32 id_of(__u64 arg, bool is_16)
{
	if (!is_16)
		return arg;
	return (arg & ID_16_NONE) == ID_16_NONE ? (__u32)-1 : arg & ID_16_NONE;
}

/*
 * Every success is reported: whether it changed anything the process table knows, the old credentials are gone.
 * Only setfsuid() and setfsgid() tell the old value; file servers call them all day to set what is set.
 */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_creds, struct pt_regs *regs, long ret)
{
	__u32 call = se_syscall_call(regs);
	struct se_credentials *record;
	struct se_args args = {};
	int ids = ids_of(call);
	bool is_16;

	if (se_is_restart(ret))
		return 0;
	se_syscall_args(regs, &args);
	is_16 = args.compat && call >= SE_CALL_SETUID && call < SE_CALL_SETGROUPS;
	if (is_fs_call(call) && (__u32)ret == id_of(args.arg[0], is_16))
		return 0;
	record = se_reserve(SE_KIND_CREDENTIALS, struct se_credentials);
	if (!record)
		return 0;
	if (se_has_typed_current())
		se_task__fill(&record->task, se_current_typed(), true);
	else
		se_task__fill(&record->task, (void *)bpf_get_current_task(), false);
	record->hook = SE_HOOK_SYS_EXIT;
	record->call = call;
	record->error = is_fs_call(call) ? 0 : se_error(ret);
	record->asked[0] = ids > 0 ? id_of(args.arg[0], is_16) : -1;
	record->asked[1] = ids > 1 ? id_of(args.arg[1], is_16) : -1;
	record->asked[2] = ids > 2 ? id_of(args.arg[2], is_16) : -1;
	record->asked[3] = -1;
	se_submit(SE_KIND_CREDENTIALS, record);
	return 0;
}

static __always_inline bool is_ptrace_wanted(__u32 request)
{
	switch (request) {
	case 0:	     /* TRACEME */
	case 4:	     /* POKETEXT */
	case 5:	     /* POKEDATA */
	case 6:	     /* POKEUSR */
	case 13:     /* SETREGS */
	case 15:     /* SETFPREGS */
	case 16:     /* ATTACH */
	case 19:     /* SETFPXREGS */
	case 0x4203: /* SETSIGINFO */
	case 0x4205: /* SETREGSET */
	case 0x4206: /* SEIZE */
	case 0x4212: /* SET_SYSCALL_INFO */
		return true;
	}
	return false;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_ptrace, struct pt_regs *regs, long ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_merge_key key = {};
	struct se_args args = {};
	struct se_buf *buf;
	__u32 request;

	se_syscall_args(regs, &args);
	request = args.arg[0];
	if (!is_ptrace_wanted(request))
		return 0;
	key.inode = (__u32)args.arg[1];
	key.detail = (__u64)request << 32 | (__u32)se_error(ret);
	buf = se_privilege__called(SE_KIND_PTRACE, regs, ret, &key);
	if (!buf)
		return 0;
	buf->privilege.op = request;
	/* Who asks to be traced names nobody: it is the parent who may. */
	if (request) {
		buf->privilege.arg[0] = args.arg[2];
		buf->privilege.arg[1] = args.arg[3];
		buf->privilege.arg[2] = (__u32)args.arg[1];
		se_target__fill(&buf->privilege.target, se_task_of(task, args.arg[1]));
	} else {
		se_target__fill(&buf->privilege.target, BPF_CORE_READ(task, real_parent));
	}
	se_privilege__submit(buf, SE_KIND_PTRACE);
	return 0;
}

/* Runtimes read their own memory this way, to survive bad addresses; only what is done to others is told. */
static __always_inline void on_process_memory(struct pt_regs *regs, long ret,
					      const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *target = NULL;
	__u32 call = se_syscall_call(regs);
	struct se_merge_key key = {};
	struct se_args args = {};
	struct file *file;
	struct se_buf *buf;

	se_syscall_args(regs, &args);
	if (call == SE_CALL_PIDFD_GETFD) {
		file = se_file_of(task, args.arg[0]);
		if (file)
			target = se_pidfd_task(file);
	} else {
		target = se_task_of(task, args.arg[0]);
	}
	if (target && BPF_CORE_READ(target, tgid) == BPF_CORE_READ(task, tgid))
		return;
	key.inode = target ? BPF_CORE_READ(target, start_boottime) : (__u32)args.arg[0];
	key.detail = (__u64)call << 32 | (__u32)se_error(ret);
	buf = se_privilege__called(SE_KIND_PROCESS_MEMORY, regs, ret, &key);
	if (!buf)
		return;
	se_target__fill(&buf->privilege.target, target);
	if (call == SE_CALL_PIDFD_GETFD) {
		buf->privilege.op = SE_OP_MEMORY_GETFD;
		buf->privilege.arg[1] = (__u32)args.arg[1];
		file = ret >= 0 ? se_file_of(task, ret) : NULL;
		if (file) {
			buf->privilege.arg[0] = ret;
			se_privilege__file(buf, task, file, walker);
		}
	} else {
		buf->privilege.op = call == SE_CALL_PROCESS_VM_READV ? SE_OP_MEMORY_READ
								     : SE_OP_MEMORY_WRITE;
		buf->privilege.arg[0] = ret >= 0 ? ret : 0;
		buf->privilege.arg[1] = (__u32)args.arg[0];
	}
	se_privilege__submit(buf, SE_KIND_PROCESS_MEMORY);
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_vm, struct pt_regs *regs, long ret)
{
	on_process_memory(regs, ret, SE_WALK_LOOP);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_vm_bnd, struct pt_regs *regs, long ret)
{
	on_process_memory(regs, ret, SE_WALK_BOUNDED);
	return 0;
}

/*
 * Sent by a process, and to another one. The kernel's own signals have other codes. Those of its timers and
 * queues a process may put into a siginfo as well, to look like them; then it is inside of one of three calls.
 */
SEC("tp_btf/signal_generate")
int SE_PROG(se_signal, int sig, struct kernel_siginfo *info, struct task_struct *target, int group,
	    int result)
{
	__u64 special = ((__u64 *)ctx)[1];
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_merge_key key = {};
	struct se_privilege *record;
	int code = SI_USER;

	if (special == SEND_SIG_PRIV || BPF_CORE_READ(task, tgid) == BPF_CORE_READ(target, tgid))
		return 0;
	if (special)
		code = BPF_CORE_READ(info, si_code);
	if (code > 0 || BPF_CORE_READ(task, flags) & SE_PF_KTHREAD)
		return 0;
	if (code != SI_USER && code != SI_QUEUE && code != SI_TKILL &&
	    !se_is_sigqueueinfo(se_entry_regs(task)))
		return 0;
	key.inode = BPF_CORE_READ(target, start_boottime);
	key.detail = (__u64)sig << 32 | BPF_CORE_READ(target, pid);
	record = se_privilege__reserve(SE_KIND_SIGNAL, SE_HOOK_SIGNAL_GENERATE, &key);
	if (!record)
		return 0;
	record->op = sig;
	record->arg[0] = (__s64)code;
	record->arg[1] = group;
	record->arg[2] = result;
	se_target__fill(&record->target, target);
	se_submit(SE_KIND_SIGNAL, record);
	return 0;
}

/*
 * A process gives itself another name: its leader, whose name is what others see. An exec does so too, and the
 * kernel names its threads; neither is meant.
 */
SEC("tp_btf/task_rename")
int SE_PROG(se_rename, struct task_struct *task, const char *name)
{
	struct task_struct___privilege *more = (void *)task;
	struct task_struct *current = (void *)bpf_get_current_task();
	__u32 flags = BPF_CORE_READ(task, flags);
	__u64 old[SE_COMM_LEN / 8] = {}, new[SE_COMM_LEN / 8] = {};
	struct se_buf *buf;

	if (BPF_CORE_READ_BITFIELD_PROBED(more, in_execve) ||
	    flags & (SE_PF_KTHREAD | SE_PF_IO_WORKER) ||
	    BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0;
	/* As strings: before 5.17 the rest of a longer name may stand behind the NUL. */
	bpf_core_read_str(old, sizeof(old), &task->comm);
	bpf_probe_read_kernel_str(new, sizeof(new), name);
	if (old[0] == new[0] && old[1] == new[1])
		return 0;
	buf = se_privilege__open(SE_LANE_TRACEPOINT, SE_KIND_PRCTL, SE_HOOK_TASK_RENAME,
				 SE_CALL_NONE, NULL);
	if (!buf)
		return 0;
	buf->privilege.op = 15; /* PR_SET_NAME */
	if (BPF_CORE_READ(current, tgid) != BPF_CORE_READ(task, tgid) ||
	    BPF_CORE_READ(current, pid) != BPF_CORE_READ(task, pid))
		se_target__fill(&buf->privilege.target, task);
	se_privilege__named(buf, &buf->privilege.name, name, SE_COMM_LEN);
	se_privilege__submit(buf, SE_KIND_PRCTL);
	return 0;
}

/* Options by which a process hides, keeps rights or changes its face. Those that give up rights are left out. */
static __always_inline bool is_option_wanted(__u32 option)
{
	switch (option) {
	case 4:		 /* SET_DUMPABLE */
	case 8:		 /* SET_KEEPCAPS */
	case 22:	 /* SET_SECCOMP */
	case 28:	 /* SET_SECUREBITS */
	case 35:	 /* SET_MM */
	case 47:	 /* CAP_AMBIENT */
	case 0x59616d61: /* SET_PTRACER */
		return true;
	}
	return false;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_prctl, struct pt_regs *regs, long ret)
{
	struct se_merge_key key = {};
	struct se_args args = {};
	struct se_buf *buf;
	__u32 option;

	se_syscall_args(regs, &args);
	option = args.arg[0];
	/* Of the ambient set only raising; asking and lowering are harmless. */
	if (!is_option_wanted(option) || (option == 47 && args.arg[1] != 2))
		return 0;
	key.inode = args.arg[1] ^ args.arg[2] << 32;
	key.detail = (__u64)option << 32 | (__u32)se_error(ret);
	buf = se_privilege__called(SE_KIND_PRCTL, regs, ret, &key);
	if (!buf)
		return 0;
	buf->privilege.op = option;
	buf->privilege.arg[0] = args.arg[1];
	buf->privilege.arg[1] = args.arg[2];
	buf->privilege.arg[2] = args.arg[3];
	buf->privilege.arg[3] = args.arg[4];
	se_privilege__submit(buf, SE_KIND_PRCTL);
	return 0;
}

/* Those that do not touch a key: where a keyring is, what a key is called, what the kernel can. */
static __always_inline bool is_keyctl_idle(__u32 operation)
{
	return operation == 0 /* GET_KEYRING_ID */ || operation == 6 /* DESCRIBE */ ||
	       operation == 24 /* PKEY_QUERY */ || operation == 31 /* CAPABILITIES */;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_keys, struct pt_regs *regs, long ret)
{
	__u32 call = se_syscall_call(regs), operation;
	__u64 type = 0, description = 0;
	struct se_merge_key key = {};
	struct se_args args = {};
	struct se_buf *buf;

	se_syscall_args(regs, &args);
	operation = args.arg[0];
	if (call == SE_CALL_KEYCTL) {
		if (is_keyctl_idle(operation))
			return 0;
		if (operation == 1 /* JOIN_SESSION_KEYRING */) {
			description = args.arg[1];
		} else if (operation == 10 /* SEARCH */) {
			type = args.arg[2];
			description = args.arg[3];
		}
		key.inode = args.arg[1] ^ args.arg[2] << 32;
	} else {
		operation = call == SE_CALL_ADD_KEY ? SE_OP_KEY_ADD : SE_OP_KEY_REQUEST;
		type = args.arg[0];
		description = args.arg[1];
		key.inode = (__u32)ret;
	}
	key.detail = (__u64)operation << 32 | (__u32)se_error(ret);
	buf = se_privilege__called(SE_KIND_KEYRING, regs, ret, &key);
	if (!buf)
		return 0;
	buf->privilege.op = operation;
	buf->privilege.arg[0] = ret >= 0 ? ret : 0;
	if (call == SE_CALL_KEYCTL) {
		buf->privilege.arg[1] = description == args.arg[1] ? 0 : (__s64)(__s32)args.arg[1];
		buf->privilege.arg[2] = args.arg[2];
		buf->privilege.arg[3] = args.arg[3];
	}
	se_privilege__given(buf, &buf->privilege.path, type, SHORT_STRING);
	se_privilege__given(buf, &buf->privilege.name, description, LONG_STRING);
	se_privilege__submit(buf, SE_KIND_KEYRING);
	return 0;
}

/* The namespaces that the task is in now, beside those in every actor. */
static __always_inline void fill_namespaces(struct se_privilege *dst, struct task_struct *task)
{
	struct nsproxy *nsproxy = BPF_CORE_READ(task, nsproxy);
	struct nsproxy___more *more = (void *)nsproxy;

	dst->arg[2] = BPF_CORE_READ(nsproxy, uts_ns, ns.inum);
	dst->arg[3] = BPF_CORE_READ(nsproxy, ipc_ns, ns.inum);
	dst->arg[4] = BPF_CORE_READ(more, pid_ns_for_children, ns.inum);
	dst->arg[5] = BPF_CORE_READ(nsproxy, cgroup_ns, ns.inum);
	if (bpf_core_field_exists(more->time_ns))
		dst->arg[6] = BPF_CORE_READ(more, time_ns, ns.inum);
}

/* unshare() and setns(). A clone into new namespaces shows in the fork event of the child, which names them all. */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_ns, struct pt_regs *regs, long ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	bool is_setns = se_syscall_call(regs) == SE_CALL_SETNS;
	struct ns_common *entered = NULL;
	struct ns_common___ops *named;
	struct inode___private *inode;
	struct se_args args = {};
	struct file *file;
	struct se_buf *buf;

	se_syscall_args(regs, &args);
	/* Without one of those flags it is about threads and open files only. */
	if (!is_setns && !(args.arg[0] & CLONE_NEW_ANY))
		return 0;
	buf = se_privilege__called(SE_KIND_NAMESPACE, regs, ret, NULL);
	if (!buf)
		return 0;
	fill_namespaces(&buf->privilege, task);
	if (!is_setns) {
		buf->privilege.op = SE_OP_NS_UNSHARE;
		buf->privilege.arg[0] = args.arg[0] & CLONE_NEW_ANY;
		goto out;
	}
	buf->privilege.op = SE_OP_NS_SETNS;
	buf->privilege.flags |= SE_PRIVILEGE_LEAVES;
	buf->privilege.arg[0] = args.arg[1] & CLONE_NEW_ANY;
	file = se_file_of(task, args.arg[0]);
	if (!file)
		goto out;
	inode = (void *)BPF_CORE_READ(file, f_inode);
	if (BPF_CORE_READ((struct inode *)inode, i_sb, s_magic) == NSFS_MAGIC) {
		entered = BPF_CORE_READ(inode, i_private);
		named = (void *)entered;
		buf->privilege.arg[1] = BPF_CORE_READ(entered, inum);
		se_privilege__named(buf, &buf->privilege.name, BPF_CORE_READ(named, ops, name),
				    SHORT_STRING);
	} else {
		/* By a pidfd: into all the namespaces of that process that the flags name. */
		se_target__fill(&buf->privilege.target, se_pidfd_task(file));
	}
out:
	se_privilege__submit(buf, SE_KIND_NAMESPACE);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_uts, struct pt_regs *regs, long ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	bool is_domain = se_syscall_call(regs) == SE_CALL_SETDOMAINNAME;
	struct uts_namespace___name *uts;
	struct se_args args = {};
	struct se_buf *buf = se_privilege__called(SE_KIND_HOST_NAME, regs, ret, NULL);

	if (!buf)
		return 0;
	uts = (void *)BPF_CORE_READ(task, nsproxy, uts_ns);
	buf->privilege.op = is_domain ? SE_OP_NAME_DOMAIN : SE_OP_NAME_HOST;
	buf->privilege.arg[0] = BPF_CORE_READ((struct uts_namespace *)uts, ns.inum);
	if (ret < 0) {
		/* The name that was refused; it has a length and no NUL. */
		void *dst = se_room(&buf->header, SE_ROOM);
		__u64 len;

		se_syscall_args(regs, &args);
		len = args.arg[1];
		buf->privilege.actor.flags |= SE_ACTOR_GRADE_USER;
		if (dst && len && len <= SHORT_STRING &&
		    !bpf_probe_read_user(dst, len, (void *)args.arg[0])) {
			buf->privilege.name.off = buf->header.len;
			buf->privilege.name.len = len;
			se_grow(&buf->header, len);
		}
	} else if (is_domain) {
		se_privilege__named(buf, &buf->privilege.name, &uts->name.domainname,
				    SHORT_STRING + 1);
	} else {
		se_privilege__named(buf, &buf->privilege.name, &uts->name.nodename,
				    SHORT_STRING + 1);
	}
	se_privilege__submit(buf, SE_KIND_HOST_NAME);
	return 0;
}

/* A signed number of the caller's memory, as wide as its longs. */
static __always_inline __s64 given_long(__u64 address, bool narrow)
{
	__s64 wide = 0;
	__s32 half = 0;

	if (!narrow) {
		bpf_probe_read_user(&wide, sizeof(wide), (void *)address);
		return wide;
	}
	bpf_probe_read_user(&half, sizeof(half), (void *)address);
	return half;
}

/* struct timex has its numbers at other places where longs are narrow. The kernel has written the time into it. */
static __always_inline void fill_adjustment(struct se_privilege *dst, __u64 timex, __u32 modes,
					    bool narrow)
{
	const __u32 long_bytes = narrow ? 4 : 8;
	__u32 status = 0;
	__s64 fraction;

	bpf_probe_read_user(&status, sizeof(status), (void *)timex + long_bytes * 5);
	dst->arg[1] = given_long(timex + long_bytes * 9, narrow);
	fraction = given_long(timex + long_bytes * 10, narrow);
	dst->arg[2] = status & 0x2000 /* STA_NANO */ ? fraction : fraction * 1000;
	dst->arg[3] = modes;
	dst->arg[4] = given_long(timex + long_bytes, narrow);
	dst->arg[5] = given_long(timex + long_bytes * 2, narrow);
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_clock, struct pt_regs *regs, long ret)
{
	__u32 call = se_syscall_call(regs), modes = 0;
	bool narrow, adjusts, has_clock;
	struct se_args args = {};
	struct se_buf *buf;
	__u64 given;

	se_syscall_args(regs, &args);
	has_clock = call == SE_CALL_CLOCK_SETTIME || call == SE_CALL_CLOCK_SETTIME64 ||
		    call == SE_CALL_CLOCK_ADJTIME || call == SE_CALL_CLOCK_ADJTIME64;
	adjusts = call == SE_CALL_ADJTIMEX || call == SE_CALL_CLOCK_ADJTIME ||
		  call == SE_CALL_CLOCK_ADJTIME64;
	narrow = args.compat && call != SE_CALL_CLOCK_SETTIME64 && call != SE_CALL_CLOCK_ADJTIME64;
	given = has_clock ? args.arg[1] : args.arg[0];
	/* Without a mode it only asks. */
	if (adjusts) {
		bpf_probe_read_user(&modes, sizeof(modes), (void *)given);
		if (!modes)
			return 0;
	}
	buf = se_privilege__called(SE_KIND_CLOCK, regs, ret, NULL);
	if (!buf)
		return 0;
	buf->privilege.actor.flags |= SE_ACTOR_GRADE_USER;
	buf->privilege.op = adjusts ? SE_OP_CLOCK_ADJUST : SE_OP_CLOCK_SET;
	buf->privilege.arg[0] = has_clock ? (__s64)(__s32)args.arg[0] : 0;
	if (adjusts) {
		fill_adjustment(&buf->privilege, given, modes, narrow);
	} else if (given) {
		buf->privilege.arg[1] = given_long(given, narrow);
		if (call != SE_CALL_STIME)
			buf->privilege.arg[2] = given_long(given + (narrow ? 4 : 8), narrow);
		if (call == SE_CALL_SETTIMEOFDAY)
			buf->privilege.arg[2] *= 1000;
	}
	/* settimeofday() may set the time zone alone. */
	if (call == SE_CALL_SETTIMEOFDAY && !given)
		buf->privilege.arg[6] = 1;
	se_privilege__submit(buf, SE_KIND_CLOCK);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_swap, struct pt_regs *regs, long ret)
{
	bool is_on = se_syscall_call(regs) == SE_CALL_SWAPON;
	struct se_args args = {};
	struct se_buf *buf = se_privilege__called(SE_KIND_SWAP, regs, ret, NULL);

	if (!buf)
		return 0;
	se_syscall_args(regs, &args);
	buf->privilege.op = is_on ? SE_OP_SWAP_ON : SE_OP_SWAP_OFF;
	buf->privilege.arg[0] = is_on ? (__u32)args.arg[1] : 0;
	se_privilege__given(buf, &buf->privilege.path, args.arg[0], SE_PATH_MAX);
	se_privilege__submit(buf, SE_KIND_SWAP);
	return 0;
}

/* One that succeeds and ends this kernel never returns, so it cannot be seen here. */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_reboot, struct pt_regs *regs, long ret)
{
	struct se_args args = {};
	struct se_buf *buf = se_privilege__called(SE_KIND_REBOOT, regs, ret, NULL);

	if (!buf)
		return 0;
	se_syscall_args(regs, &args);
	buf->privilege.op = args.arg[2];
	if (buf->privilege.op == REBOOT_RESTART2)
		se_privilege__given(buf, &buf->privilege.name, args.arg[3], LONG_STRING);
	se_privilege__submit(buf, SE_KIND_REBOOT);
	return 0;
}
