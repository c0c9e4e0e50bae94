/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Events of files from requests of an io_uring: what file.bpf.c makes of system calls, with names that are the
 * kernel's copies.
 */
#ifndef SE_REQUEST_FILE_BPF_H
#define SE_REQUEST_FILE_BPF_H

#include "file.bpf.h"
#include "request.bpf.h"

enum se_request_file {
	SE_REQUEST_EXCHANGE = 2, /* RENAME_EXCHANGE */
	SE_REQUEST_LNK = 0120777,
	SE_REQUEST_BADF = -9,
};

/* Hands out a record that was made for the current task: who submitted the request is who acted. */
static __always_inline void se_request__hand_out(struct se_request *kept, struct se_buf *buf,
						 bool pending)
{
	__u32 flags = buf->file.actor.flags &
		      (SE_ACTOR_WATCHED | SE_ACTOR_ARGUMENT_SWAP | SE_ACTOR_TRIMMED);

	buf->file.actor = kept->actor;
	buf->file.actor.flags |= flags;
	if (pending)
		buf->file.flags |= SE_FILE_PENDING;
	se_output(&buf->header, buf->header.kind, SE_RECORD_MAX);
}

/* Names are compared by their bytes, as no link was followed to them: good enough to tell what is watched. */
static __always_inline bool se_request__is_watched(struct se_request *kept, struct se_buf *buf)
{
	struct se_watch_path *path = (void *)buf->tail;
	struct se_watch_name *name = (void *)(path + 1);
	struct se_verdict *verdict;
	__u32 last = kept->name_bytes, *found, directory = 0;

	__builtin_memset(path, 0, sizeof(*path) + sizeof(*name));
#pragma clang loop unroll(disable)
	for (int i = 0; i <= SE_NAME_MAX && last; i++) {
		__u32 before = (last - 1) & (SE_PATH_MAX - 1);

		barrier_var(before);
		before &= SE_PATH_MAX - 1;
		if (kept->name[before] == '/')
			break;
		last--;
	}
	bpf_probe_read_kernel_str(path->path, sizeof(path->path) - 1, kept->name);
	path->prefix_bits = sizeof(path->path) * 8;
	verdict = bpf_map_lookup_elem(&se_watch_paths, path);
	if (verdict) {
		if (verdict->watch & SE_WATCH_READ)
			return true;
		directory = verdict->directory;
	}
	barrier_var(last);
	last &= SE_PATH_MAX - 1;
	bpf_probe_read_kernel_str(name->name, sizeof(name->name), (void *)kept->name + last);
	found = bpf_map_lookup_elem(&se_watch_names, name);
	if (found && *found & SE_WATCH_READ)
		return true;
	if (!directory)
		return false;
	name->directory = directory;
	found = bpf_map_lookup_elem(&se_watch_names, name);
	return found && *found & SE_WATCH_READ;
}

static __always_inline struct task_struct *se_request__task(struct se_request *kept)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	/* The ring outlived the task, and a thread of the kernel tidies up. */
	return BPF_CORE_READ(task, flags) & SE_PF_KTHREAD ? kept->task : task;
}

/*
 * The functions below make the event of a request that was done with the result `res`, or of one that is not done
 * yet (`pending`). They are global, so that the verifier looks at each once and not once for every program, and
 * each has a stack of its own.
 */

static __always_inline void se_request__keep_from(struct se_from *from, struct se_start *at,
						  struct task_struct *task, __s32 dirfd,
						  const __u8 *name)
{
	se_start(at, task, dirfd, (__u64)name, false);
	from->mnt = at->mnt;
	from->dentry = at->dentry;
	from->inode = SE_LOAD(at->dentry, d_inode, i_ino);
}

/*
 * Keeps where the names of a request that was just submitted start from. The request may be done only after the program
 * has closed the descriptor of the directory, or has ended, and then nothing else tells.
 */
__noinline int se_request__keep_starts(struct se_request *kept, __u32 lane)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_buf *buf = se_file__buf(lane);

	if (!kept || !buf)
		return 0;
	se_request__keep_from(&kept->from, &buf->at, task, kept->dfd, kept->name);
	switch (kept->opcode) {
	case SE_OP_RENAMEAT:
	case SE_OP_LINKAT:
	case SE_OP_SYMLINKAT:
		se_request__keep_from(&kept->other_from, &buf->other, task, kept->other_dfd,
				      kept->other);
	}
	return 0;
}

/*
 * Finds where a name starts from. Once a thread of the kernel tidies up, what was the submitter's may be another
 * task's.
 */
static __always_inline void se_request__start(struct se_start *at, struct task_struct *task,
					      __s32 dirfd, const __u8 *name,
					      const struct se_from *from)
{
	struct task_struct *current_task = (void *)bpf_get_current_task();
	bool tidies = BPF_CORE_READ(current_task, flags) & SE_PF_KTHREAD;

	se_start(at, task, dirfd, (__u64)name, false);
	if ((tidies || !at->mnt) && from->inode &&
	    SE_LOAD(from->dentry, d_inode, i_ino) == from->inode) {
		at->mnt = from->mnt;
		at->dentry = from->dentry;
	}
}

/* Room for a descriptor, as the stack has none left. What is written last in a record comes later. */
static __always_inline struct se_descriptor *se_request__descriptor(struct se_buf *buf)
{
	return (void *)(buf->tail + SE_TAIL_BYTES);
}

/* An open that returned a descriptor; 1 if that means nothing any more. */
__noinline int se_request__opened(struct se_request *kept, int res, __u32 lane)
{
	struct se_buf *buf = se_file__buf(lane);
	struct se_descriptor *descriptor;
	struct task_struct *task;
	struct file *file;
	bool follows;

	if (!kept || !buf)
		return 0;
	descriptor = se_request__descriptor(buf);
	task = se_request__task(kept);
	if (kept->slot) {
		/* Either the one that was asked for, or any. */
		__u32 slot = kept->slot == SE_REQUEST_ANY_SLOT ? res : kept->slot - 1;

		file = se_request__direct(kept->completion.ring, slot);
		descriptor->start_ns = (__u64)kept->completion.ring;
		descriptor->id = SE_DIRECT | slot;
	} else {
		file = se_file_of(task, res);
		se_descriptor__fill(descriptor, task, res);
	}
	if (!file)
		return 1;
	buf = se_file__opened(lane, SE_HOOK_IO_URING_COMPLETE, SE_CALL_NONE, task, file,
			      kept->value, descriptor, SE_WALK_LOOP);
	if (!buf)
		return 0;
	follows = !(buf->file.open_flags & SE_O_NOFOLLOW) &&
		  !(buf->file.op == SE_FILE_CREATE && kept->value & SE_O_EXCL);
	if (!(buf->file.open_flags & SE_O_TMPFILE))
		se_file__compare_given(buf, (__u64)kept->name, false, follows, SE_WALK_LOOP);
	se_request__hand_out(kept, buf, false);
	return 0;
}

__noinline int se_request__closed(struct se_request *kept, __u32 lane, __u32 pending)
{
	struct se_buf *buf = se_file__buf(lane);
	struct se_descriptor *descriptor;
	struct task_struct *task;

	if (!kept || !buf)
		return 0;
	descriptor = se_request__descriptor(buf);
	task = se_request__task(kept);
	if (kept->slot) {
		descriptor->start_ns = (__u64)kept->completion.ring;
		descriptor->id = SE_DIRECT | (kept->slot - 1);
	} else {
		se_descriptor__fill(descriptor, task, kept->fd);
	}
	buf = se_file__closed(lane, SE_HOOK_IO_URING_COMPLETE, SE_CALL_NONE, task, descriptor,
			      SE_WALK_LOOP);
	if (buf)
		se_request__hand_out(kept, buf, pending);
	return 0;
}

/*
 * What is reported by what the request names: all but opens and closes, and opens whose file is not known, as they are
 * not done yet or the descriptor is closed again.
 */
__noinline int se_request__done(struct se_request *kept, __u32 lane, __u32 pending)
{
	struct se_deed deed = {lane, SE_HOOK_IO_URING_COMPLETE, SE_CALL_NONE};
	volatile struct se_request *said = kept;
	struct se_buf *buf = se_file__buf(lane);
	struct se_start content = {};
	bool two, follows;
	struct task_struct *task;

	if (!kept || !buf)
		return 0;
	task = se_request__task(kept);
	se_request__start(&buf->at, task, kept->dfd, kept->name, &kept->from);
	switch (kept->opcode) {
	case SE_OP_OPENAT:
	case SE_OP_OPENAT2:
		kept->kind = SE_KIND_FILE_OPEN;
		kept->op = SE_FILE_OPEN;
		if (!(kept->value & (SE_O_ACCMODE | SE_O_CREAT | SE_O_TRUNC))) {
			if (!se_request__is_watched(kept, buf))
				return 0;
			kept->kind = SE_KIND_FILE_READ;
		}
		kept->follows = !(kept->value & SE_O_NOFOLLOW);
		break;
	case SE_OP_RENAMEAT:
		kept->kind = SE_KIND_FILE_RENAME;
		se_directories__moved();
		kept->op = kept->flags & SE_REQUEST_EXCHANGE ? SE_FILE_EXCHANGE : SE_FILE_RENAME;
		kept->two = true;
		break;
	case SE_OP_LINKAT:
		kept->kind = SE_KIND_FILE_LINK;
		kept->op = SE_FILE_LINK;
		if (kept->flags & SE_AT_EMPTY_PATH && !kept->name_bytes)
			buf->at.object = 1;
		kept->two = true;
		break;
	case SE_OP_SYMLINKAT:
		kept->kind = SE_KIND_FILE_LINK;
		kept->op = SE_FILE_SYMLINK;
		se_request__start(&buf->at, task, kept->other_dfd, kept->other, &kept->other_from);
		break;
	case SE_OP_UNLINKAT:
		kept->kind = SE_KIND_FILE_DELETE;
		kept->op = kept->flags & SE_AT_REMOVEDIR ? SE_FILE_RMDIR : SE_FILE_UNLINK;
		break;
	case SE_OP_MKDIRAT:
		kept->kind = SE_KIND_FILE_MKDIR;
		kept->op = SE_FILE_MKDIR;
		break;
	case SE_OP_FTRUNCATE:
		kept->kind = SE_KIND_FILE_TRUNCATE;
		kept->op = SE_FILE_TRUNCATE;
		se_start_object(&buf->at, NULL, NULL);
		se_start_file(&buf->at, kept->file);
		break;
	case SE_OP_FSETXATTR:
		kept->kind = SE_KIND_FILE_XATTR;
		kept->op = SE_FILE_SETXATTR;
		se_start_object(&buf->at, NULL, NULL);
		se_start_file(&buf->at, kept->file);
		break;
	case SE_OP_SETXATTR:
		kept->kind = SE_KIND_FILE_XATTR;
		kept->op = SE_FILE_SETXATTR;
		kept->follows = true;
		break;
	}
	/* Read back, as numbers that the verifier does not know: else it follows each operation through all of the rest. */
	deed.kind = said->kind;
	deed.op = said->op;
	two = said->two;
	follows = said->follows;
	if (two)
		se_request__start(&buf->other, task, kept->other_dfd, kept->other,
				  &kept->other_from);
	buf = se_file__done(&deed, task, buf, two, follows,
			    kept->opcode == SE_OP_FTRUNCATE ? &kept->value : NULL, SE_WALK_LOOP);
	if (!buf)
		return 0;
	switch (kept->opcode) {
	case SE_OP_OPENAT:
	case SE_OP_OPENAT2:
		if (!(kept->value & (SE_O_ACCMODE | SE_O_CREAT | SE_O_TRUNC)))
			buf->file.actor.flags |= SE_ACTOR_WATCHED;
		buf->file.open_flags = kept->value;
		break;
	case SE_OP_RENAMEAT:
		buf->file.arg[0] = kept->flags;
		break;
	case SE_OP_SYMLINKAT:
		buf->file.object.mode = SE_REQUEST_LNK;
		content.name = (__u64)kept->name;
		if (!se_append_name(&buf->header, &buf->file.other, &content, SE_PATH_MAX))
			buf->file.flags |= SE_FILE_OTHER_FAULT;
		break;
	case SE_OP_MKDIRAT:
		buf->file.object.mode = SE_S_IFDIR;
		buf->file.object.mode |= kept->flags & ~BPF_CORE_READ(task, fs, umask) & 01777;
		break;
	case SE_OP_FTRUNCATE:
		buf->file.arg[0] = kept->value;
		break;
	case SE_OP_SETXATTR:
	case SE_OP_FSETXATTR:
		buf->file.arg[0] = kept->value;
		content.name = (__u64)kept->other;
		se_append_name(&buf->header, &buf->file.name, &content, SE_NAME_ROOM);
		break;
	}
	se_request__hand_out(kept, buf, pending);
	return 0;
}

static __always_inline void se_request__report(struct se_request *kept, int res, __u32 lane,
					       bool pending)
{
	bool opens = kept->opcode == SE_OP_OPENAT || kept->opcode == SE_OP_OPENAT2;

	/* A descriptor is gone whatever a close returns; of all others only what worked is an event. */
	if (kept->opcode == SE_OP_CLOSE) {
		if (res != SE_REQUEST_BADF)
			se_request__closed(kept, lane, pending);
		return;
	}
	if (res < 0 || (opens && !pending && !se_request__opened(kept, res, lane)))
		return;
	se_request__done(kept, lane, pending);
}

#endif
