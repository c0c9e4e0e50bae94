// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Files on the middle rung: opened, closed, removed, renamed, linked and made, from the functions of the kernel's
 * file layer that every way in ends up in, be it a system call or an io_uring.
 *
 * Everything is the kernel's own: both ends of a rename or link are dentries, the file that went or was replaced is
 * described as it was, and a record is made only when the function has done its work. What these functions do for the
 * kernel itself, without a mount, is not reported: an NFS server, or a layer below an overlay.
 *
 *   open	do_dentry_open(), also for files that are executed
 *   close	__fput(), so at the last close of the open file, whoever held it, in the name of who let go last
 *   others	security_path_*() has the mount, vfs_*() the result
 */
#include "lib/file.bpf.h"
#include "lib/trampoline.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum se_open_mode {
	SE_FMODE_OPENED = 0x80000,
	SE_FMODE_NOACCOUNT = 0x20000000, /* the kernel's own, such as an overlay's for its layers */
	SE_O_ASKED = SE_O_CREAT | SE_O_EXCL | SE_O_TRUNC, /* an open file does not keep them */
};

enum se_rename_flag {
	SE_RENAME_EXCHANGE = 2,
};

/* Where arguments stand since mounts have maps of ids, which is then the first or second one. */
static __always_inline __u32 se_has_idmap(void)
{
	return se_args_vfs_unlink > 3;
}

static __always_inline void before_open(__u64 *ctx)
{
	struct file *file = (void *)se_arg(ctx, 0);
	__u32 flags = SE_LOAD(file, f_flags);
	struct se_pending *pending;

	if (!(flags & SE_O_ASKED) || SE_LOAD(file, f_mode) & SE_FMODE_NOACCOUNT)
		return;
	pending = se_pending__begin(SE_FILE_OPEN, file, NULL, NULL);
	if (pending)
		pending->flags = flags;
}

SE_TRAMPOLINE_PLAIN(se_t_open_in, "fentry/do_dentry_open", before_open)

static __always_inline bool se_is_opened(__u32 f_mode)
{
	return f_mode & SE_FMODE_OPENED && !(f_mode & (SE_FMODE_PATH | SE_FMODE_NOACCOUNT));
}

static __always_inline void on_open(__u64 *ctx, const enum se_walker walker)
{
	struct file *file = (void *)se_arg(ctx, 0);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_descriptor descriptor = {.id = (__u64)file};
	/* A close is looked at only if it was open for writing, so nothing else is to be forgotten. */
	const struct se_descriptor *kept = NULL;
	__u32 f_mode = SE_LOAD(file, f_mode), asked = 0;
	struct se_pending *pending;
	struct se_buf *buf;

	if (!se_is_opened(f_mode))
		return;
	if (f_mode & SE_FMODE_WRITE)
		kept = &descriptor;
	/* Else the compiler asks for the mode again where it should ask for the pointer, and verifiers before 6.2
	 * do not see that it means the same. */
	barrier_var(kept);
	pending = se_pending__end(SE_FILE_OPEN, file);
	if (pending)
		asked = pending->flags;
	buf = se_file__opened(SE_LANE_T_OPEN, SE_HOOK_FEXIT, SE_CALL_NONE, task, file, asked, kept,
			      walker);
	if (buf)
		se_trampoline__output(buf, buf->header.kind);
}

SE_TRAMPOLINE(se_t_open, "fexit/do_dentry_open", on_open)

static __always_inline void on_close(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_CLOSE,
					    .hook = SE_HOOK_FENTRY,
					    .kind = SE_KIND_FILE_CLOSE,
					    .op = SE_FILE_CLOSE};
	struct file *file = (void *)se_arg(ctx, 0);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_descriptor descriptor = {.id = (__u64)file};
	__u32 f_mode = SE_LOAD(file, f_mode);
	struct inode *inode;
	struct se_buf *buf;
	__u64 detail = 0;

	if (!(f_mode & SE_FMODE_WRITE) || !se_is_opened(f_mode))
		return;
	inode = SE_LOAD(file, f_inode);
	if ((SE_LOAD(inode, i_mode) & SE_S_IFMT) != SE_S_IFREG)
		return;
	if (bpf_map_lookup_elem(&se_writable, &descriptor)) {
		buf = se_file__closed(deed.lane, deed.hook, SE_CALL_NONE, task, &descriptor,
				      walker);
	} else {
		/* Left out when it was opened, or opened before the agent was there. */
		buf = se_file__of_object(&deed, task, SE_LOAD(file, f_path.mnt),
					 SE_LOAD(file, f_path.dentry), &detail, walker);
		if (buf)
			buf->file.flags |= SE_FILE_WRITTEN_UNSURE;
	}
	if (!buf)
		return;
	buf->file.open_flags = SE_LOAD(file, f_flags);
	se_trampoline__output(buf, SE_KIND_FILE_CLOSE);
}

SE_TRAMPOLINE(se_t_close, "fentry/__fput", on_close)

/* A directory entry is about to be made or removed: the hooks have it as (directory, entry, ...). */
static __always_inline struct se_pending *se_entry__begin(__u64 *ctx, __u32 op)
{
	struct path *directory = (void *)se_arg(ctx, 0);
	struct dentry *dentry = (void *)se_arg(ctx, 1);

	return se_pending__begin(op, dentry, SE_LOAD(directory, mnt), dentry);
}

/* The same, and the file is there before. */
static __always_inline void se_entry__begin_removal(__u64 *ctx, __u32 op)
{
	struct se_pending *pending = se_entry__begin(ctx, op);
	struct dentry *dentry = (void *)se_arg(ctx, 1);

	if (pending)
		se_object__fill(&pending->object, SE_LOAD(dentry, d_inode), dentry);
}

/* An entry is gone. */
static __always_inline void on_removed(const struct se_deed *deed, struct dentry *dentry,
				       const enum se_walker walker)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_pending *pending = se_pending__end(deed->op, dentry);
	struct se_object *object;
	struct se_buf *buf;
	__u32 flags;

	if (!pending)
		return;
	buf = se_file__of_object(deed, task, pending->mnt, dentry, NULL, walker);
	if (!buf)
		return;
	object = &buf->file.object;
	flags = object->flags;
	*object = pending->object;
	object->flags |= flags & (SE_OBJECT_PATH_CUT | SE_OBJECT_PATH_DETACHED);
	/* It was described before one of its names went. A directory has no other. */
	if (deed->op == SE_FILE_RMDIR)
		object->nlink = 0;
	else if (object->nlink)
		object->nlink--;
	if (!object->nlink)
		object->flags |= SE_OBJECT_DELETED;
	se_trampoline__output(buf, deed->kind);
}

static __always_inline void before_unlink(__u64 *ctx)
{
	se_entry__begin_removal(ctx, SE_FILE_UNLINK);
}

SE_TRAMPOLINE_PLAIN(se_t_unlink_in, "fentry/security_path_unlink", before_unlink)

static __always_inline void on_unlink(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_UNLINK,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_DELETE,
					    .op = SE_FILE_UNLINK};

	if (!se_is_refused(se_arg(ctx, se_args_vfs_unlink)))
		on_removed(&deed, (void *)se_arg(ctx, 1 + se_has_idmap()), walker);
}

SE_TRAMPOLINE(se_t_unlink, "fexit/vfs_unlink", on_unlink)

static __always_inline void before_rmdir(__u64 *ctx)
{
	se_entry__begin_removal(ctx, SE_FILE_RMDIR);
}

SE_TRAMPOLINE_PLAIN(se_t_rmdir_in, "fentry/security_path_rmdir", before_rmdir)

/*
 * vfs_rmdir() may be a part of its caller, so that nothing can be put on it. It ends here if it has worked.
 */
static __always_inline void on_rmdir(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_RMDIR,
					    .hook = SE_HOOK_FENTRY,
					    .kind = SE_KIND_FILE_DELETE,
					    .op = SE_FILE_RMDIR};

	on_removed(&deed, (void *)se_arg(ctx, 0), walker);
}

SE_TRAMPOLINE(se_t_rmdir, "fentry/d_delete", on_rmdir)

/* The end of what made an entry, `at` says which argument; the record with the file that is there now. */
static __always_inline struct se_buf *on_made(__u64 *ctx, const struct se_deed *deed, __u32 at,
					      __u32 arguments, const enum se_walker walker)
{
	struct dentry *dentry = (void *)se_arg(ctx, at);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_pending *pending = se_pending__end(deed->op, dentry);
	__u64 result = se_arg(ctx, arguments);
	struct se_buf *buf;

	if (!pending || se_is_refused(result))
		return NULL;
	/* A file system may have put another dentry in place, which vfs_mkdir() returns since 6.15. */
	if (deed->op == SE_FILE_MKDIR && result >> 32)
		dentry = (void *)result;
	if (deed->op != SE_FILE_MKNOD)
		return se_file__of_object(deed, task, pending->mnt, dentry, NULL, walker);
	/* A pipe may be noise when it is used, but not when it is made: its directory decides. */
	buf = se_file__buf(deed->lane);
	if (!buf)
		return NULL;
	se_start_object(&buf->at, pending->mnt, SE_LOAD(dentry, d_parent));
	buf->at.object = 0;
	buf->at.name = (__u64)SE_LOAD(dentry, d_name.name);
	bpf_probe_read_kernel(&buf->at.first, 1, (void *)buf->at.name);
	buf = se_file__done(deed, task, buf, false, false, NULL, walker);
	if (!buf)
		return NULL;
	buf->file.object.flags &= ~SE_OBJECT_PATH_JOINED;
	se_object__fill(&buf->file.object, SE_LOAD(dentry, d_inode), dentry);
	return buf;
}

static __always_inline void before_mkdir(__u64 *ctx)
{
	se_entry__begin(ctx, SE_FILE_MKDIR);
}

SE_TRAMPOLINE_PLAIN(se_t_mkdir_in, "fentry/security_path_mkdir", before_mkdir)

static __always_inline void on_mkdir(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_MKDIR,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_MKDIR,
					    .op = SE_FILE_MKDIR};
	struct se_buf *buf = on_made(ctx, &deed, 1 + se_has_idmap(), se_args_vfs_mkdir, walker);

	if (buf)
		se_trampoline__output(buf, SE_KIND_FILE_MKDIR);
}

SE_TRAMPOLINE(se_t_mkdir, "fexit/vfs_mkdir", on_mkdir)

/* Also called for each file that an open makes, which ends in no vfs_mknod(). */
static __always_inline void before_mknod(__u64 *ctx)
{
	se_entry__begin(ctx, SE_FILE_MKNOD);
}

SE_TRAMPOLINE_PLAIN(se_t_mknod_in, "fentry/security_path_mknod", before_mknod)

static __always_inline void on_mknod(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_MKNOD,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_MKDIR,
					    .op = SE_FILE_MKNOD};
	struct se_buf *buf = on_made(ctx, &deed, 1 + se_has_idmap(), se_args_vfs_mknod, walker);

	if (buf)
		se_trampoline__output(buf, SE_KIND_FILE_MKDIR);
}

SE_TRAMPOLINE(se_t_mknod, "fexit/vfs_mknod", on_mknod)

static __always_inline void before_symlink(__u64 *ctx)
{
	se_entry__begin(ctx, SE_FILE_SYMLINK);
}

SE_TRAMPOLINE_PLAIN(se_t_symln_in, "fentry/security_path_symlink", before_symlink)

static __always_inline void on_symlink(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_SYMLINK,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_LINK,
					    .op = SE_FILE_SYMLINK};
	struct se_buf *buf = on_made(ctx, &deed, 1 + se_has_idmap(), se_args_vfs_symlink, walker);

	if (!buf)
		return;
	se_append_string(&buf->header, SE_ROOM, &buf->file.other,
			 (void *)se_arg(ctx, 2 + se_has_idmap()), SE_PATH_MAX);
	se_trampoline__output(buf, SE_KIND_FILE_LINK);
}

SE_TRAMPOLINE(se_t_symln, "fexit/vfs_symlink", on_symlink)

static __always_inline void before_link(__u64 *ctx)
{
	struct path *directory = (void *)se_arg(ctx, 1);
	void *entry = (void *)se_arg(ctx, 2);

	se_pending__begin(SE_FILE_LINK, entry, SE_LOAD(directory, mnt), (void *)se_arg(ctx, 0));
}

SE_TRAMPOLINE_PLAIN(se_t_link_in, "fentry/security_path_link", before_link)

static __always_inline void on_link(__u64 *ctx, const enum se_walker walker)
{
	static const struct se_deed deed = {.lane = SE_LANE_T_LINK,
					    .hook = SE_HOOK_FEXIT,
					    .kind = SE_KIND_FILE_LINK,
					    .op = SE_FILE_LINK};
	struct dentry *entry = (void *)se_arg(ctx, 2 + se_has_idmap());
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_pending *pending = se_pending__end(SE_FILE_LINK, entry);
	struct se_buf *buf = se_file__buf(SE_LANE_T_LINK);

	if (!buf || !pending || se_is_refused(se_arg(ctx, se_args_vfs_link)))
		return;
	/* No link leads to another mount. */
	se_start_object(&buf->at, pending->mnt, pending->dentry);
	se_start_object(&buf->other, pending->mnt, entry);
	buf = se_file__done(&deed, task, buf, true, false, NULL, walker);
	if (!buf)
		return;
	se_trampoline__output(buf, SE_KIND_FILE_LINK);
}

SE_TRAMPOLINE(se_t_link, "fexit/vfs_link", on_link)

/* (directory, entry, new directory, new entry, flags) */
static __always_inline void before_rename(__u64 *ctx)
{
	struct path *directory = (void *)se_arg(ctx, 0);
	struct dentry *dentry = (void *)se_arg(ctx, 1);
	struct dentry *target = (void *)se_arg(ctx, 3);
	struct inode *replaced = SE_LOAD(target, d_inode);
	struct se_pending *pending = se_pending__begin(SE_FILE_RENAME, dentry,
						       SE_LOAD(directory, mnt), dentry);

	if (!pending)
		return;
	pending->directory = SE_LOAD(dentry, d_parent);
	pending->flags = se_arg(ctx, 4);
	se_object__fill(&pending->object, SE_LOAD(dentry, d_inode), dentry);
	se_object__fill(&pending->replaced, replaced, target);
	/* Afterwards the entry has its new name. */
	bpf_probe_read_kernel_str(pending->name, sizeof(pending->name),
				  SE_LOAD(dentry, d_name.name));
}

SE_TRAMPOLINE_PLAIN(se_t_rename_in, "fentry/security_path_rename", before_rename)

static __always_inline bool is_directory(struct dentry *dentry)
{
	struct inode *inode = SE_LOAD(dentry, d_inode);

	return (SE_LOAD(inode, i_mode) & SE_S_IFMT) == SE_S_IFDIR;
}

static __always_inline void on_rename(__u64 *ctx, const enum se_walker walker)
{
	struct se_deed deed = {.lane = SE_LANE_T_RENAME,
			       .hook = SE_HOOK_FEXIT,
			       .kind = SE_KIND_FILE_RENAME,
			       .op = SE_FILE_RENAME};
	struct renamedata *renamed = (void *)se_arg(ctx, 0);
	struct dentry *dentry = SE_LOAD(renamed, old_dentry);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct se_pending *pending = se_pending__end(SE_FILE_RENAME, dentry);
	struct se_buf *buf = se_file__buf(SE_LANE_T_RENAME);

	if (se_is_refused(se_arg(ctx, 1)))
		return;
	if (is_directory(dentry) || is_directory(SE_LOAD(renamed, new_dentry)))
		se_directories__moved();
	if (!buf || !pending)
		return;
	/* Two names of one file: the kernel has done nothing and says that it worked. */
	if (pending->object.inode == pending->replaced.inode &&
	    pending->object.dev_major == pending->replaced.dev_major &&
	    pending->object.dev_minor == pending->replaced.dev_minor)
		return;
	if (pending->flags & SE_RENAME_EXCHANGE)
		deed.op = SE_FILE_EXCHANGE;
	se_start_object(&buf->at, pending->mnt, pending->directory);
	buf->at.object = 0;
	buf->at.name = (__u64)pending->name;
	buf->at.first = pending->name[0];
	se_start_object(&buf->other, pending->mnt, dentry);
	buf = se_file__done(&deed, task, buf, true, false, NULL, walker);
	if (!buf)
		return;
	/* The name that it had in its directory leads nowhere else. */
	buf->file.object.flags &= ~SE_OBJECT_PATH_JOINED;
	se_object__fill(&buf->file.object, SE_LOAD(dentry, d_inode), dentry);
	if (pending->replaced.inode) {
		buf->file.before = pending->replaced;
		buf->file.flags |= SE_FILE_BEFORE | SE_FILE_REPLACED;
	}
	se_trampoline__output(buf, SE_KIND_FILE_RENAME);
}

SE_TRAMPOLINE(se_t_rename, "fexit/vfs_rename", on_rename)
