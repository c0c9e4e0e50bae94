/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Files that are open for writing, by descriptor, so that a close can say whether they were written to.
 *
 * At the return of close() the descriptor means nothing any more and nobody tells which file it was. So what an
 * open for writing gave is kept until then, with the file's length and times, and compared with what the inode
 * has by now. Nothing here is held: dentry, mount and inode are addresses, and what is found there counts
 * only if it still is what it was.
 *
 * Not seen: descriptors that came by dup(), fcntl(), fork() or a socket, and those that close_range(), dup2(), exec or
 * the end of the process close. An entry that is left over from such a close goes when a file is opened under its
 * number, or is pushed out by newer ones. A change that leaves the length alone and falls into the clock tick of the
 * change before the open leaves no trace; the user side knows by `arg[0]`, the time of the open.
 */
#ifndef SE_WRITTEN_BPF_H
#define SE_WRITTEN_BPF_H

#include "object.bpf.h"

/* What a close is recognised by: a process and its descriptor, or where the hook has it, 0 and the struct file. */
struct se_descriptor {
	__u64 start_ns;
	__u64 id;
};

enum {
	SE_WRITTEN_HINTS = 16384,
};

struct se_written {
	__u64 opened_ns;
	struct file *file; /* NULL: nothing is open there any more */
	struct vfsmount *mnt;
	struct dentry *dentry;
	struct inode *inode;
	struct super_block *sb;
	__u32 generation;
	__u32 pad;
	struct se_object object; /* as it was when it was opened */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct se_descriptor);
	__type(value, struct se_written);
} se_writable SEC(".maps") __weak;

static __always_inline bool se_written_is_wanted(void)
{
	return se_kinds >> SE_KIND_FILE_CLOSE & 1;
}

static __always_inline void se_descriptor__fill(struct se_descriptor *dst, struct task_struct *task,
						__u32 fd)
{
	dst->start_ns = SE_LOAD(task, group_leader, start_boottime);
	dst->id = (__u64)(__u32)SE_LOAD(task, tgid) << 32 | fd;
}

/*
 * How many entries there may be whose keys share a number, so that most closes and opens for reading need not
 * look for theirs. What is pushed out of the map is not subtracted, which costs a look in vain.
 */
struct se_written_hints {
	__u32 count[SE_WRITTEN_HINTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct se_written_hints);
} se_written_hint SEC(".maps") __weak;

static __always_inline __u32 *se_written_hint_of(const struct se_descriptor *descriptor)
{
	__u64 mixed = (descriptor->id ^ descriptor->start_ns) * 0x9e3779b97f4a7c15ULL;
	struct se_written_hints *hints;
	__u32 zero = 0;

	hints = bpf_map_lookup_elem(&se_written_hint, &zero);
	return hints ? &hints->count[(mixed >> 40) & (SE_WRITTEN_HINTS - 1)] : NULL;
}

/* The entry of the descriptor, NULL if there is none. It may be an empty one, with no file. */
static __always_inline struct se_written *se_written_of(const struct se_descriptor *descriptor)
{
	__u32 *hint = se_written_hint_of(descriptor);

	if (!hint || !*hint)
		return NULL;
	return bpf_map_lookup_elem(&se_writable, descriptor);
}

/* The number has another meaning now. The entry stays: the next file that is opened will have the number again. */
static __always_inline void se_written__forget(const struct se_descriptor *descriptor)
{
	struct se_written *written;

	if (!se_written_is_wanted())
		return;
	written = se_written_of(descriptor);
	if (written)
		written->file = NULL;
}

/* The file was opened for writing. */
static __always_inline void se_written__remember(const struct se_descriptor *descriptor,
						 struct file *file, struct vfsmount *mnt,
						 struct dentry *dentry, struct inode *inode)
{
	struct se_written *old, written = {};
	__u32 *hint;

	if (!se_written_is_wanted())
		return;
	if ((SE_LOAD(inode, i_mode) & SE_S_IFMT) != SE_S_IFREG) {
		se_written__forget(descriptor);
		return;
	}
	se_object__fill(&written.object, inode, dentry);
	written.opened_ns = bpf_ktime_get_boot_ns();
	written.file = file;
	written.mnt = mnt;
	written.dentry = dentry;
	written.inode = inode;
	written.sb = SE_LOAD(inode, i_sb);
	written.generation = SE_LOAD(inode, i_generation);
	old = se_written_of(descriptor);
	if (old) {
		*old = written;
		return;
	}
	hint = se_written_hint_of(descriptor);
	if (hint && !bpf_map_update_elem(&se_writable, descriptor, &written, BPF_ANY))
		__sync_fetch_and_add(hint, 1);
}

/* The inode is still the one that was opened. */
static __always_inline bool se_written_has_inode(const struct se_written *written)
{
	struct inode *inode = written->inode;

	return SE_LOAD(inode, i_ino) == written->object.inode &&
	       SE_LOAD(inode, i_sb) == written->sb &&
	       SE_LOAD(inode, i_generation) == written->generation;
}

/* ... and the way to it is too. */
static __always_inline bool se_written_has_path(const struct se_written *written)
{
	return SE_LOAD(written->dentry, d_inode) == written->inode &&
	       SE_LOAD(written->mnt, mnt_sb) == SE_LOAD(written->dentry, d_sb);
}

/* Other descriptors still mean the same open file, which is not closed yet. */
static __always_inline bool se_written_is_open(const struct se_written *written)
{
	struct file *file = written->file;
	const struct file___counted *counted = (void *)file;
	const struct file___referenced *referenced = (void *)file;

	if (SE_LOAD(file, f_inode) != written->inode ||
	    SE_LOAD(file, f_path.dentry) != written->dentry)
		return false;
	if (bpf_core_field_exists(counted->f_count))
		return (__s64)BPF_CORE_READ(counted, f_count.counter) > 0;
	return (__s64)BPF_CORE_READ(referenced, f_ref.refcnt.counter) >= 0;
}

/* What has become of the contents: enum se_file_flag. */
static __always_inline __u32 se_written_flags(const struct se_written *written,
					      const struct se_object *now)
{
	const struct se_object *then = &written->object;

	if (!now->inode)
		return SE_FILE_WRITTEN_UNSURE;
	if (then->mtime_ns != now->mtime_ns)
		return SE_FILE_WRITTEN;
	/* Without a name its end cuts it to nothing. */
	if (!now->nlink)
		return SE_FILE_WRITTEN_UNSURE;
	if (then->size_bytes != now->size_bytes)
		return SE_FILE_WRITTEN;
	/* The times may have been set back; or the writing is still to come, through another descriptor. */
	if (then->ctime_ns != now->ctime_ns || se_written_is_open(written))
		return SE_FILE_WRITTEN_UNSURE;
	return 0;
}

#endif
