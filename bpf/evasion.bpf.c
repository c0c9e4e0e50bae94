// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Evasion: code that gets into the kernel, code in memory without a file, and ways around those who watch.
 *
 * Hooks and grades as in privilege.bpf.c; what `op`, `arg`, `name` and `path` mean is in src/event/privilege.rs.
 */
#include "lib/bpf_object.bpf.h"
#include "lib/entry.bpf.h"
#include "lib/memory.bpf.h"
#include "lib/privilege.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	TAINT_UNSIGNED = 13, /* a bit number */
	MEMFD_PREFIX = sizeof("memfd:") - 1,
	NAME_STRING = 256,
	SE_FMODE_WRITE = 2,

	PROT_READ = 1,
	PROT_WRITE = 2,
	PROT_EXEC = 4,
	MAP_SHARED = 1,
	MAP_TYPE = 15,
	MAP_ANONYMOUS = 32,
	READ_IMPLIES_EXEC = 0x400000,
};

/*
 * Loads and unloads that got as far as a module. The tracepoint is inside of the call that brought it, whose
 * descriptor still leads to the file.
 */
static __always_inline void on_module(struct module *module, __u32 op, __u32 hook,
				      const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_buf *buf = se_privilege__open(SE_LANE_TRACEPOINT, SE_KIND_MODULE, hook,
						SE_CALL_NONE, NULL);
	struct se_privilege *record;
	struct pt_regs *regs;
	struct file *file;

	if (!buf)
		return;
	record = &buf->privilege;
	record->op = op;
	record->arg[0] = BPF_CORE_READ(module, taints);
	if (bpf_core_field_exists(module->sig_ok))
		record->flags |= BPF_CORE_READ(module, sig_ok) ? SE_PRIVILEGE_SIGNED
							       : SE_PRIVILEGE_UNSIGNED;
	else if (record->arg[0] >> TAINT_UNSIGNED & 1)
		record->flags |= SE_PRIVILEGE_UNSIGNED;
	se_privilege__named(buf, &record->name, &module->name, sizeof(module->name));
	if (op == SE_OP_MODULE_UNLOAD) {
		record->flags |= SE_PRIVILEGE_UNLOAD;
	} else {
		regs = se_entry_regs(task);
		file = se_is_finit_module(regs) ? se_file_of(task, se_entry_first(regs)) : NULL;
		if (file)
			se_privilege__file(buf, task, file, walker);
		else
			record->flags |= SE_PRIVILEGE_FROM_MEMORY;
	}
	se_privilege__submit(buf, SE_KIND_MODULE);
}

SEC("tp_btf/module_load")
int SE_PROG(se_mod_load, struct module *module)
{
	on_module(module, SE_OP_MODULE_LOAD, SE_HOOK_MODULE_LOAD, SE_WALK_LOOP);
	return 0;
}

SEC("tp_btf/module_load")
int SE_PROG(se_mod_load_bnd, struct module *module)
{
	on_module(module, SE_OP_MODULE_LOAD, SE_HOOK_MODULE_LOAD, SE_WALK_BOUNDED);
	return 0;
}

SEC("tp_btf/module_free")
int SE_PROG(se_mod_free, struct module *module)
{
	on_module(module, SE_OP_MODULE_UNLOAD, SE_HOOK_MODULE_FREE, SE_WALK_BOUNDED);
	return 0;
}

/* Attempts that were refused. What worked is told by the tracepoints, with the module's name. */
static __always_inline void on_module_call(struct pt_regs *regs, long ret,
					   const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 call = se_syscall_call(regs);
	struct se_args args = {};
	struct se_buf *buf;
	struct file *file;

	if (!se_error(ret))
		return;
	buf = se_privilege__called(SE_KIND_MODULE, regs, ret, NULL);
	if (!buf)
		return;
	se_syscall_args(regs, &args);
	buf->privilege.op = SE_OP_MODULE_LOAD;
	if (call == SE_CALL_DELETE_MODULE) {
		buf->privilege.op = SE_OP_MODULE_UNLOAD;
		buf->privilege.flags |= SE_PRIVILEGE_UNLOAD;
		se_privilege__given(buf, &buf->privilege.name, args.arg[0], NAME_STRING);
	} else if (call == SE_CALL_INIT_MODULE) {
		buf->privilege.flags |= SE_PRIVILEGE_FROM_MEMORY;
	} else {
		file = se_file_of(task, args.arg[0]);
		if (file)
			se_privilege__file(buf, task, file, walker);
	}
	se_privilege__submit(buf, SE_KIND_MODULE);
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_module, struct pt_regs *regs, long ret)
{
	on_module_call(regs, ret, SE_WALK_LOOP);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_mod_bnd, struct pt_regs *regs, long ret)
{
	on_module_call(regs, ret, SE_WALK_BOUNDED);
	return 0;
}

static __always_inline void on_kexec(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	bool has_file = se_syscall_call(regs) == SE_CALL_KEXEC_FILE_LOAD;
	struct se_buf *buf = se_privilege__called(SE_KIND_KEXEC, regs, ret, NULL);
	struct se_args args = {};
	struct file *file;

	if (!buf)
		return;
	se_syscall_args(regs, &args);
	buf->privilege.op = has_file ? SE_OP_KEXEC_FILE_LOAD : SE_OP_KEXEC_LOAD;
	if (has_file) {
		buf->privilege.arg[0] = args.arg[4];
		file = se_file_of(task, args.arg[0]);
		if (file)
			se_privilege__file(buf, task, file, walker);
	} else {
		buf->privilege.flags |= SE_PRIVILEGE_FROM_MEMORY;
		buf->privilege.arg[0] = args.arg[3];
		buf->privilege.arg[1] = args.arg[1];
	}
	se_privilege__submit(buf, SE_KIND_KEXEC);
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_kexec, struct pt_regs *regs, long ret)
{
	on_kexec(regs, ret, SE_WALK_LOOP);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_kexec_bnd, struct pt_regs *regs, long ret)
{
	on_kexec(regs, ret, SE_WALK_BOUNDED);
	return 0;
}

/* Commands of bpf(). */
enum {
	MAP_LOOKUP = 1,
	MAP_UPDATE = 2,
	MAP_DELETE = 3,
	MAP_NEXT_KEY = 4,
	PROG_LOAD = 5,
	OBJ_PIN = 6,
	OBJ_GET = 7,
	PROG_ATTACH = 8,
	PROG_DETACH = 9,
	PROG_TEST_RUN = 10,
	PROG_BY_ID = 13,
	MAP_BY_ID = 14,
	RAW_TRACEPOINT = 17,
	MAP_LOOKUP_AND_DELETE = 21,
	MAP_FREEZE = 22,
	MAP_LOOKUP_BATCH = 24,
	MAP_DELETE_BATCH = 27,
	LINK_CREATE = 28,
	LINK_UPDATE = 29,
	LINK_BY_ID = 30,
	LINK_DETACH = 34,
	PROG_BIND_MAP = 35,
	TOKEN_CREATE = 36,

	ATTR_BATCH_FD = 36, /* where in the attributes of a batch the descriptor is */
	ATTR_PROG_NAME = 48,
};

/* What is told of anybody's programs. */
static __always_inline bool is_bpf_told(__u32 command)
{
	switch (command) {
	case PROG_LOAD:
	case OBJ_PIN:
	case OBJ_GET:
	case PROG_ATTACH:
	case PROG_DETACH:
	case RAW_TRACEPOINT:
	case LINK_CREATE:
	case LINK_UPDATE:
	case LINK_DETACH:
	case TOKEN_CREATE:
		return true;
	}
	return false;
}

/* What is told only if it is done to an object of the agent. */
static __always_inline bool is_bpf_guarded(__u32 command)
{
	switch (command) {
	case MAP_LOOKUP ... MAP_NEXT_KEY:
	case PROG_TEST_RUN:
	case PROG_BY_ID:
	case MAP_BY_ID:
	case MAP_LOOKUP_AND_DELETE:
	case MAP_FREEZE:
	case MAP_LOOKUP_BATCH ... MAP_DELETE_BATCH:
	case LINK_BY_ID:
	case PROG_BIND_MAP:
		return true;
	}
	return false;
}

static __always_inline __u32 type_by_id(__u32 command)
{
	switch (command) {
	case PROG_BY_ID:
		return SE_BPF_PROGRAM;
	case MAP_BY_ID:
		return SE_BPF_MAP;
	case LINK_BY_ID:
		return SE_BPF_LINK;
	}
	return 0;
}

/* The descriptor of the object that a command is about: what it made, or what it was given. -1: none. */
static __always_inline __s32 descriptor_of(__u32 command, const __u32 *words, __u64 attr, long ret)
{
	__s32 fd = -1;

	switch (command) {
	case PROG_LOAD:
	case OBJ_GET:
	case RAW_TRACEPOINT:
	case LINK_CREATE:
	case PROG_BY_ID:
	case MAP_BY_ID:
	case LINK_BY_ID:
		return ret;
	case TOKEN_CREATE:
		return -1;
	case OBJ_PIN:
		return words[2];
	case PROG_ATTACH:
	case PROG_DETACH:
		return words[1];
	case MAP_LOOKUP_BATCH ... MAP_DELETE_BATCH:
		bpf_probe_read_user(&fd, sizeof(fd), (void *)attr + ATTR_BATCH_FD);
		return fd;
	}
	return words[0];
}

/*
 * The agent's own work with its maps is not told: nobody else can do it under its pid, and there is some every
 * second. What it loads and attaches is, and marked.
 */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_bpf, struct pt_regs *regs, long ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_bpf_object object = {};
	struct se_merge_key key = {};
	__u32 words[4] = {}, command;
	struct se_args args = {};
	bool is_guarded, is_own;
	struct file *file;
	struct se_buf *buf;
	__u64 attr;
	__s32 fd;

	se_syscall_args(regs, &args);
	command = args.arg[0];
	attr = args.arg[1];
	is_guarded = is_bpf_guarded(command);
	if (!is_guarded && !is_bpf_told(command))
		return 0;
	if (is_guarded && BPF_CORE_READ(task, tgid) == se_agent_tgid)
		return 0;
	bpf_probe_read_user(words, sizeof(words), (void *)attr);
	fd = descriptor_of(command, words, attr, ret);
	file = fd >= 0 ? se_file_of(task, fd) : NULL;
	if (file)
		se_bpf_object__fill(&object, file);
	if (is_guarded && !object.id.type) {
		object.id.type = type_by_id(command);
		object.id.id = words[0];
	}
	is_own = se_bpf_is_own(&object.id);
	if (is_guarded && !is_own)
		return 0;
	/* A list of everything there is asks for one object after the other. */
	key.inode = type_by_id(command) ? 0 : object.id.id;
	key.detail = (__u64)command << 32 | (__u32)se_error(ret);
	buf = se_privilege__called(SE_KIND_BPF, regs, ret, is_guarded ? &key : NULL);
	if (!buf)
		return 0;
	buf->privilege.op = command;
	buf->privilege.arg[0] = object.id.id;
	buf->privilege.arg[1] = object.id.type;
	buf->privilege.arg[2] = object.subtype;
	if (command == PROG_ATTACH || command == PROG_DETACH || command == LINK_CREATE)
		buf->privilege.arg[3] = words[2] + 1ULL;
	buf->privilege.arg[4] = object.tag;
	buf->privilege.arg[5] = object.program;
	if (is_own)
		buf->privilege.flags |= SE_PRIVILEGE_OWN_OBJECT;
	if (object.name) {
		se_privilege__named(buf, &buf->privilege.name, object.name, SE_COMM_LEN);
	} else if (command == PROG_LOAD) {
		/* Refused: there is no program, only what was asked for. */
		buf->privilege.arg[1] = SE_BPF_PROGRAM;
		buf->privilege.arg[2] = words[0];
		se_privilege__given(buf, &buf->privilege.name, attr + ATTR_PROG_NAME, SE_COMM_LEN);
	}
	if (command == OBJ_PIN || command == OBJ_GET || command == RAW_TRACEPOINT)
		se_privilege__given(buf, &buf->privilege.path, (__u64)words[1] << 32 | words[0],
				    SE_PATH_MAX);
	se_privilege__submit(buf, SE_KIND_BPF);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_perf, struct pt_regs *regs, long ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct perf_event___attr *event;
	struct se_merge_key key = {};
	struct file___private *file;
	struct se_args args = {};
	__u64 config = 0;
	struct se_buf *buf;
	__u32 type = 0;

	se_syscall_args(regs, &args);
	file = ret >= 0 ? (void *)se_file_of(task, ret) : NULL;
	if (file) {
		event = BPF_CORE_READ(file, private_data);
		type = BPF_CORE_READ(event, attr.type);
		config = BPF_CORE_READ(event, attr.config);
	} else {
		bpf_probe_read_user(&type, sizeof(type), (void *)args.arg[0]);
		bpf_probe_read_user(&config, sizeof(config), (void *)args.arg[0] + 8);
	}
	/* One for each CPU is usual. */
	key.inode = config;
	key.detail = (__u64)args.arg[1] << 32 | (type ^ (__u32)se_error(ret) << 16);
	buf = se_privilege__called(SE_KIND_PERF_EVENT, regs, ret, &key);
	if (!buf)
		return 0;
	if (!file)
		buf->privilege.actor.flags |= SE_ACTOR_GRADE_USER;
	buf->privilege.op = type;
	buf->privilege.arg[0] = config;
	buf->privilege.arg[1] = (__s64)(__s32)args.arg[1];
	buf->privilege.arg[2] = (__s64)(__s32)args.arg[2];
	buf->privilege.arg[3] = args.arg[4];
	se_target__fill(&buf->privilege.target, se_task_of(task, args.arg[1]));
	se_privilege__submit(buf, SE_KIND_PERF_EVENT);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_uffd, struct pt_regs *regs, long ret)
{
	struct se_buf *buf = se_privilege__called(SE_KIND_USERFAULTFD, regs, ret, NULL);
	struct se_args args = {};

	if (!buf)
		return 0;
	se_syscall_args(regs, &args);
	buf->privilege.arg[0] = args.arg[0];
	se_privilege__submit(buf, SE_KIND_USERFAULTFD);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_memfd, struct pt_regs *regs, long ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	bool is_secret = se_syscall_call(regs) == SE_CALL_MEMFD_SECRET;
	struct se_merge_key key = {};
	const unsigned char *name;
	struct se_args args = {};
	struct file *file;
	struct se_buf *buf;

	if (ret < 0)
		return 0;
	file = se_file_of(task, ret);
	if (!file)
		return 0;
	se_syscall_args(regs, &args);
	name = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	/* Those of a name are alike; its first letters stand for it. */
	bpf_probe_read_kernel(&key.inode, sizeof(key.inode), name + MEMFD_PREFIX);
	key.detail = is_secret ? args.arg[0] : 1ULL << 32 | args.arg[1];
	buf = se_privilege__called(SE_KIND_MEMFD, regs, ret, &key);
	if (!buf)
		return 0;
	buf->privilege.op = is_secret ? SE_OP_MEMFD_SECRET : SE_OP_MEMFD_CREATE;
	buf->privilege.arg[0] = (__u32)(is_secret ? args.arg[0] : args.arg[1]);
	se_privilege__object(buf, file);
	if (!is_secret)
		se_privilege__named(buf, &buf->privilege.name, name + MEMFD_PREFIX, NAME_STRING);
	se_privilege__submit(buf, SE_KIND_MEMFD);
	return 0;
}

/* Under this personality whatever can be read can be executed. */
static __always_inline bool is_made_executable(__u64 prot)
{
	struct task_struct___privilege *task = (void *)bpf_get_current_task();

	if (prot & PROT_EXEC)
		return true;
	return prot & PROT_READ && BPF_CORE_READ(task, personality) & READ_IMPLIES_EXEC;
}

static __always_inline bool is_memfd(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);

	return se_is_memfd(sb, BPF_CORE_READ(sb, s_magic), BPF_CORE_READ(file, f_path.dentry));
}

/*
 * Memory that can be executed now and whose content nobody vouches for: anonymous, writable too, written to, or
 * a file in memory. A file's pages as they are, which is what the loader of programs maps, are left out.
 */
static __always_inline void on_executable(struct pt_regs *regs, long ret, struct se_args *args,
					  __u32 op, __u64 address, const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 prot = args->arg[2], map_flags = op == SE_OP_EXEC_MMAP ? args->arg[3] : 0;
	struct se_merge_key key = {};
	struct se_area area = {};
	struct se_buf *buf;
	struct file *file;
	__u32 flags = 0;

	if (!se_is_wanted(SE_KIND_MEMORY_EXEC))
		return;
	if (!se_error(ret))
		se_area__find(&area, address, walker);
	file = area.file;
	if (area.is_known) {
		/* Not what the personality made of it for this kind of file. */
		if (!(area.flags & SE_VM_EXEC))
			return;
		if (!file)
			flags |= SE_PRIVILEGE_ANONYMOUS;
		if (area.flags & SE_VM_WRITE)
			flags |= SE_PRIVILEGE_WRITE_EXEC | SE_PRIVILEGE_WRITTEN;
		else if (area.copied || area.flags & SE_VM_ACCOUNT)
			flags |= SE_PRIVILEGE_WRITTEN;
		/* It was mapped already, and not as it is now. */
		if (op == SE_OP_EXEC_MPROTECT && flags & SE_PRIVILEGE_WRITTEN)
			flags |= SE_PRIVILEGE_FLIP;
		if (file && area.flags & SE_VM_SHARED &&
		    BPF_CORE_READ(file, f_mode) & SE_FMODE_WRITE)
			flags |= SE_PRIVILEGE_WRITTEN;
		if (!flags && !is_memfd(file))
			return;
	} else {
		if (op == SE_OP_EXEC_MMAP && map_flags & MAP_ANONYMOUS)
			flags |= SE_PRIVILEGE_ANONYMOUS;
		if (prot & PROT_WRITE)
			flags |= SE_PRIVILEGE_WRITE_EXEC | SE_PRIVILEGE_WRITTEN;
		if (op == SE_OP_EXEC_MMAP && !flags)
			return;
		flags |= SE_PRIVILEGE_UNSURE;
	}
	if (file)
		key.inode = BPF_CORE_READ(file, f_inode, i_ino);
	key.detail = (__u64)flags << 32 | op << 16 | (__u8)prot << 8 | (__u8)-se_error(ret);
	buf = se_privilege__called(SE_KIND_MEMORY_EXEC, regs, ret, &key);
	if (!buf)
		return;
	buf->privilege.op = op;
	buf->privilege.flags = flags;
	buf->privilege.arg[0] = address;
	buf->privilege.arg[1] = args->arg[1];
	buf->privilege.arg[2] = (__u32)prot;
	buf->privilege.arg[3] = (__u32)map_flags;
	if (file)
		se_privilege__file(buf, task, file, walker);
	se_privilege__submit(buf, SE_KIND_MEMORY_EXEC);
}

/* Refused by a security module, which is worth telling; not by what the caller got wrong. */
static __always_inline bool is_failed_otherwise(long ret)
{
	return se_error(ret) && ret != -1 /* EPERM */ && ret != -13 /* EACCES */;
}

static __always_inline void on_mmap(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct se_args args = {};

	se_syscall_args(regs, &args);
#if defined(__TARGET_ARCH_x86)
	/* The oldest of them takes its arguments as a struct of 32-bit numbers. */
	if (args.compat && se_syscall_call(regs) == SE_CALL_MMAP) {
		__u32 given[4] = {};

		bpf_probe_read_user(given, sizeof(given), (void *)args.arg[0]);
		args.arg[1] = given[1];
		args.arg[2] = given[2];
		args.arg[3] = given[3];
	}
#endif
	if (!is_made_executable(args.arg[2]) || is_failed_otherwise(ret))
		return;
	on_executable(regs, ret, &args, SE_OP_EXEC_MMAP, args.compat ? (__u32)ret : ret, walker);
}

static __always_inline void on_mprotect(struct pt_regs *regs, long ret, const enum se_walker walker)
{
	struct se_args args = {};

	se_syscall_args(regs, &args);
	if (!is_made_executable(args.arg[2]) || is_failed_otherwise(ret))
		return;
	on_executable(regs, ret, &args, SE_OP_EXEC_MPROTECT, args.arg[0], walker);
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_mmap, struct pt_regs *regs, long ret)
{
	on_mmap(regs, ret, SE_WALK_LOOP);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_mmap_bnd, struct pt_regs *regs, long ret)
{
	on_mmap(regs, ret, SE_WALK_BOUNDED);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_mprot, struct pt_regs *regs, long ret)
{
	on_mprotect(regs, ret, SE_WALK_LOOP);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_mprot_bnd, struct pt_regs *regs, long ret)
{
	on_mprotect(regs, ret, SE_WALK_BOUNDED);
	return 0;
}
