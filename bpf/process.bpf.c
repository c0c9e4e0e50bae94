// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Processes: exec, failed exec, fork, exit, the control groups they live in, and a snapshot of
 * those that already run.
 *
 * BTF tracepoints throughout (5.8): they cost nothing where they are not, see every way into the
 * kernel, 32-bit calls and io_uring included, and hand over typed pointers. Only a failed exec has
 * no tracepoint of its own and is taken at the return of the system call, see syscall.bpf.c.
 *
 * Programs that walk paths exist twice, with bpf_loop() and with a bounded loop for kernels before
 * 5.17. The user side loads one of the two.
 */
#include "lib/args.bpf.h"
#include "lib/image.bpf.h"
#include "lib/syscall.bpf.h"
#include "lib/task.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* True for "/dev/fd/N", which bprm->fdpath holds when execveat() got a descriptor and no name. */
static __always_inline bool is_fd_alone(const char *fdpath)
{
	char text[20] = {};

	if (bpf_probe_read_kernel_str(text, sizeof(text), fdpath) <= 0)
		return false;
#pragma unroll
	for (int i = sizeof("/dev/fd/") - 1; i < sizeof(text); i++) {
		if (text[i] == '/')
			return false;
		if (!text[i])
			return true;
	}
	return false;
}

static __always_inline void on_exec(struct task_struct *task, pid_t old_pid,
				    struct linux_binprm *bprm, const enum se_walker walker)
{
	struct se_exec_buf *buf = se_begin(SE_KIND_EXEC, &se_exec_bufs, struct se_exec_buf, exec);
	const char *filename = bprm->filename;
	const char *interp = bprm->interp;
	const char *fdpath = bprm->fdpath;
	struct se_header *header;
	struct se_exec *exec;

	if (!buf)
		return;
	exec = &buf->exec;
	header = &exec->header;
	se_task__fill(&exec->task, task, true);
	se_image__fill(&exec->image, header, se_exec_room, &buf->walk, task, walker);

	exec->argc = bprm->argc;
	exec->envc = bprm->envc;
	if (old_pid != task->pid)
		exec->old_tid = old_pid;
	if (BPF_CORE_READ_BITFIELD(bprm, secureexec))
		exec->flags |= SE_EXEC_SECURE;
	if (fdpath && is_fd_alone(fdpath))
		exec->flags |= SE_EXEC_BY_FD;

	if (se_append_string(header, se_exec_room, &exec->filename, filename, SE_PATH_MAX))
		exec->flags |= SE_EXEC_FILENAME_CUT;
	if (interp != filename) {
		exec->flags |= SE_EXEC_SCRIPT;
		se_append_string(header, se_exec_room, &exec->interp, interp, SE_PATH_MAX);
	}
	se_exec__fill_args(exec, task->mm->arg_start, task->mm->arg_end);
	se_exec__fill_env(exec, task->mm->env_start, task->mm->env_end);
	se_output(header, SE_KIND_EXEC, se_exec_room + SE_CHUNK);
}

SEC("tp_btf/sched_process_exec")
int SE_PROG(se_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	on_exec(se_typed(task), old_pid, bprm, SE_WALK_LOOP);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int SE_PROG(se_exec_bnd, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	on_exec(se_typed(task), old_pid, bprm, SE_WALK_BOUNDED);
	return 0;
}

static __always_inline void on_failed_exec(struct pt_regs *regs, long ret,
					   const enum se_walker walker)
{
	struct se_failed_buf *buf;
	struct se_exec_failed *failed;
	struct se_args args = {};
	__u64 filename, argv;
	struct se_header *header;
	struct task_struct *task;
	struct fs_struct *fs;
	__u32 cwd = 0;
	long n;
	void *to;

	if (ret >= 0 || se_is_restart(ret))
		return;
	se_syscall_args(regs, &args);
	filename = args.arg[0];
	argv = args.arg[1];
	if (se_syscall_call(regs) == SE_CALL_EXECVEAT) {
		filename = args.arg[1];
		argv = args.arg[2];
	}
	buf = se_begin(SE_KIND_EXEC_FAILED, &se_failed_bufs, struct se_failed_buf, failed);
	if (!buf)
		return;
	failed = &buf->failed;
	header = &failed->header;
	failed->error = ret;

	if (se_has_typed_current()) {
		task = se_current_typed();
		se_task__fill(&failed->task, task, true);
	} else {
		task = (void *)bpf_get_current_task();
		se_task__fill(&failed->task, task, false);
	}
	fs = BPF_CORE_READ(task, fs);
	se_append_path(header, SE_FAILED_ROOM, &failed->cwd, &cwd, SE_EXEC_FAILED_CWD_CUT, 0,
		       &buf->walk, task, BPF_CORE_READ(fs, pwd.mnt), BPF_CORE_READ(fs, pwd.dentry),
		       walker);
	failed->flags |= cwd;

	to = se_room(header, SE_FAILED_ROOM);
	if (to) {
		n = bpf_probe_read_user_str(to, SE_PATH_MAX, (void *)filename);
		if (n > 0) {
			failed->filename.off = header->len;
			failed->filename.len = n - 1;
			se_grow(header, n - 1);
			if (n == SE_PATH_MAX)
				failed->flags |= SE_EXEC_FAILED_FILENAME_CUT;
		} else {
			failed->flags |= SE_EXEC_FAILED_FILENAME_FAULT;
		}
	}
	se_exec_failed__fill_args(failed, argv, args.compat);
	se_output(header, SE_KIND_EXEC_FAILED, SE_FAILED_ROOM + SE_CHUNK);
}

/* Called by se_sys_exit, as all programs on sys_exit but that one. */
SEC("tp_btf/sys_exit")
int SE_PROG(se_exec_failed, struct pt_regs *regs, long ret)
{
	on_failed_exec(regs, ret, SE_WALK_LOOP);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_failed_bnd, struct pt_regs *regs, long ret)
{
	on_failed_exec(regs, ret, SE_WALK_BOUNDED);
	return 0;
}

static __always_inline void on_fork(struct task_struct *parent, struct task_struct *child)
{
	struct se_fork *fork;

	/* A thread. */
	if (child->pid != child->tgid)
		return;
	fork = se_reserve(SE_KIND_FORK, struct se_fork);
	if (!fork)
		return;
	se_task__fill(&fork->task, child, true);
	fork->creator_start_ns = parent->group_leader->start_boottime;
	fork->creator_pid = parent->tgid;
	fork->creator_tid = parent->pid;
	se_submit(SE_KIND_FORK, fork);
}

SEC("tp_btf/sched_process_fork")
int SE_PROG(se_fork, struct task_struct *parent, struct task_struct *child)
{
	on_fork(se_typed(parent), se_typed(child));
	return 0;
}

/*
 * Before 6.16 the tracepoint does not tell whether the group is dead. The count of live threads does,
 * but threads that exit at the same time may all find it at zero: each takes itself off before any of
 * them comes here. So the first to leave a mark reports. That there is just one thread left is no
 * proof that no other one reported: it may be gone already.
 */
static __always_inline bool is_last_thread(struct task_struct *task)
{
	struct se_exited key;
	__u8 seen = 1;

	if (task->signal->live.counter)
		return false;
	key.start_ns = task->group_leader->start_boottime;
	key.pid = task->tgid;
	/* Until 6.3 the upper half of the result is undefined (d7ba4cc900bf). */
	return (int)bpf_map_update_elem(&se_exits, &key, &seen, BPF_NOEXIST) != -17 /* EEXIST */;
}

static __always_inline void on_exit(struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct signal_struct *signal = task->signal;
	struct se_exit *exit = se_reserve(SE_KIND_EXIT, struct se_exit);

	if (!exit)
		return;
	se_task__fill(&exit->task, task, true);
	exit->cpu_ns = task->se.sum_exec_runtime + signal->sum_sched_runtime;
	exit->utime_ns = task->utime + signal->utime;
	exit->stime_ns = task->stime + signal->stime;
	/* A leader that exited earlier stays until now, and its times with it. */
	if (leader != task) {
		exit->cpu_ns += leader->se.sum_exec_runtime;
		exit->utime_ns += leader->utime;
		exit->stime_ns += leader->stime;
	}
	exit->max_rss_bytes = (__u64)signal->maxrss * se_page_bytes;
	exit->status = signal->flags & SE_SIGNAL_GROUP_EXIT ? signal->group_exit_code
							    : leader->exit_code;
	se_submit(SE_KIND_EXIT, exit);
}

SEC("tp_btf/sched_process_exit")
int SE_PROG(se_exit, struct task_struct *task)
{
	struct trace_event_raw_sched_process_exit___dead *raw = NULL;
	bool last;

	if (bpf_core_field_exists(raw->group_dead))
		last = ctx[1] & 0xff;
	else
		last = is_last_thread(task);
	if (last)
		on_exit(se_typed(task));
	return 0;
}

static __always_inline void on_cgroup(struct cgroup *cgroup, const char *path, __u32 op)
{
	struct se_cgroup_buf *buf = se_begin(SE_KIND_CGROUP, &se_cgroup_bufs, struct se_cgroup_buf,
					     cgroup);

	if (!buf)
		return;
	buf->cgroup.id = cgroup->kn->id;
	buf->cgroup.hierarchy = cgroup->root->hierarchy_id;
	buf->cgroup.op = op;
	se_append_string(&buf->cgroup.header, sizeof(buf->cgroup), &buf->cgroup.path, path,
			 SE_CGROUP_PATH_MAX);
	se_output(&buf->cgroup.header, SE_KIND_CGROUP, sizeof(*buf));
}

SEC("tp_btf/cgroup_mkdir")
int SE_PROG(se_cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	on_cgroup(cgroup, path, SE_CGROUP_MKDIR);
	return 0;
}

/*
 * Not cgroup_rmdir: a directory can be removed while tasks in it are still exiting. The release
 * comes after the last of them is gone, so the id can be resolved for every event of theirs.
 */
SEC("tp_btf/cgroup_release")
int SE_PROG(se_cgroup_rel, struct cgroup *cgroup, const char *path)
{
	on_cgroup(cgroup, path, SE_CGROUP_RELEASE);
	return 0;
}

SEC("tp_btf/cgroup_rename")
int SE_PROG(se_cgroup_ren, struct cgroup *cgroup, const char *path)
{
	on_cgroup(cgroup, path, SE_CGROUP_RENAME);
	return 0;
}

/*
 * Every process that runs. Other than in the tracepoints the task is not the current one and goes
 * on while it is read; a mix of before and after an exec at the same moment is put right by that
 * exec's own record.
 */
static __always_inline void on_snapshot(struct bpf_iter__task *ctx, const enum se_walker walker)
{
	struct task_struct *task = ctx->task;
	struct se_snapshot_buf *buf;
	struct se_header *header;
	__u32 zero = 0, len;

	if (!task)
		return;
	task = se_typed(task);
	if (task->pid != task->tgid || !task->signal->live.counter)
		return;
	buf = bpf_map_lookup_elem(&se_snap_buf, &zero);
	if (!buf)
		return;
	header = &buf->snapshot.header;
	__builtin_memset(&buf->snapshot, 0, sizeof(buf->snapshot));
	se_stamp(header, SE_KIND_SNAPSHOT, sizeof(buf->snapshot));
	se_task__fill(&buf->snapshot.task, task, true);
	se_image__fill(&buf->snapshot.image, header, SE_SNAPSHOT_ROOM, &buf->walk, task, walker);

	len = *(volatile __u32 *)&header->len;
	if (len > SE_SNAPSHOT_ROOM + SE_CHUNK)
		return;
	/* A record that does not fit is not lost: the kernel calls again for it with an empty
	 * buffer. */
	if (bpf_seq_write(ctx->meta->seq, &buf->snapshot, len))
		return;
	se_count(SE_KIND_SNAPSHOT, SE_ATTEMPTED);
	se_count(SE_KIND_SNAPSHOT, SE_SUBMITTED);
}

SEC("iter/task")
int se_snapshot(struct bpf_iter__task *ctx)
{
	on_snapshot(ctx, SE_WALK_LOOP);
	return 0;
}

SEC("iter/task")
int se_snap_bnd(struct bpf_iter__task *ctx)
{
	on_snapshot(ctx, SE_WALK_BOUNDED);
	return 0;
}
