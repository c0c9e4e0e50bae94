/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Paths by name: where a hook has no object but the string that a call was given, and where it starts from.
 *
 * The start comes from the kernel: the directory of the descriptor, the working directory, or for an
 * absolute path the task's root, so that the path of a chroot stands in front. The string is put behind it as
 * it is. Links and dots in it are not resolved, so nothing is left out because of where such a path seems
 * to lead; se_start_is_noise() says when it cannot lead elsewhere.
 */
#ifndef SE_NAME_BPF_H
#define SE_NAME_BPF_H

#include "filter.bpf.h"
#include "object.bpf.h"

enum se_name {
	SE_AT_FDCWD = -100,
	SE_AT_SYMLINK_NOFOLLOW = 0x100,
	SE_AT_REMOVEDIR = 0x200,
	SE_AT_EMPTY_PATH = 0x1000,
	/* Where in the buffer a name lies while it is looked at; a record is built over it. */
	SE_NAME_AT = 2 * SE_PATH_MAX,
	SE_NAME_ROOM = 256,
};

/* At most `most` bytes of the string with its NUL; their number, or negative. */
static __always_inline long se_name_read(void *dst, __u32 most, const struct se_start *at)
{
	if (at->user)
		return bpf_probe_read_user_str(dst, most, (void *)at->name);
	return bpf_probe_read_kernel_str(dst, most, (void *)at->name);
}

static __always_inline void se_start_object(struct se_start *at, struct vfsmount *mnt,
					    struct dentry *dentry)
{
	__builtin_memset(at, 0, sizeof(*at));
	at->mnt = mnt;
	at->dentry = dentry;
	at->object = 1;
}

/* Starts from the file, if there is one. */
static __always_inline void se_start_file(struct se_start *at, struct file *file)
{
	if (!file)
		return;
	at->mnt = SE_LOAD(file, f_path.mnt);
	at->dentry = SE_LOAD(file, f_path.dentry);
}

/* The file behind a descriptor itself. */
static __always_inline void se_start_fd(struct se_start *at, struct task_struct *task, __s32 fd)
{
	__builtin_memset(at, 0, sizeof(*at));
	at->object = 1;
	se_start_file(at, se_file_of(task, fd));
}

/* Finds where the string `name` starts from, as the call that returns was given it. */
static __always_inline void se_start(struct se_start *at, struct task_struct *task, __s32 dirfd,
				     __u64 name, const bool user)
{
	__builtin_memset(at, 0, sizeof(*at));
	at->name = name;
	at->user = user;
	if (user)
		at->absent = !!bpf_probe_read_user(&at->first, 1, (void *)name);
	else
		at->absent = !!bpf_probe_read_kernel(&at->first, 1, (void *)name);
	if (at->first == '/') {
		at->mnt = SE_LOAD(task, fs, root.mnt);
		at->dentry = SE_LOAD(task, fs, root.dentry);
	} else if (dirfd == SE_AT_FDCWD) {
		at->mnt = SE_LOAD(task, fs, pwd.mnt);
		at->dentry = SE_LOAD(task, fs, pwd.dentry);
	} else {
		se_start_file(at, se_file_of(task, dirfd));
	}
}

/* The same for a call that takes no string, or an empty one with AT_EMPTY_PATH, for the descriptor's own file. */
static __always_inline void se_start_or_file(struct se_start *at, struct task_struct *task,
					     __s32 dirfd, __u64 name, bool empty_path)
{
	se_start(at, task, dirfd, name, true);
	if (!name || (empty_path && !at->absent && !at->first))
		at->object = 1;
}

/* Of a word, the bit 7 of its lowest byte that is zero, and perhaps bits above; 0 if no byte is. */
static __always_inline __u64 se_zero_byte(__u64 word)
{
	return (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;
}

/*
 * The string has but one component. Only its head is looked at: a longer name is not found. By words, as the verifier
 * follows every turn of the loop; the lowest byte is the first on all that the agent runs on.
 */
static __always_inline bool se_name_is_single(struct se_buf *buf, const struct se_start *at)
{
	__u64 *words = (void *)(buf->tail + SE_NAME_AT);

	if (at->first == '/' || at->absent || se_name_read(words, SE_NAME_ROOM, at) >= SE_NAME_ROOM)
		return false;
#pragma clang loop unroll(disable)
	for (int i = 0; i < SE_NAME_ROOM / sizeof(__u64); i++) {
		__u64 word = *(volatile __u64 *)&words[i];
		__u64 end = se_zero_byte(word), slash = se_zero_byte(word ^ 0x2f2f2f2f2f2f2f2fULL);

		if (!(end | slash))
			continue;
		/* The lower of the lowest bits; of neither, the one below is all ones. */
		return slash == 0 || (end != 0 && ((end - 1) & ~end) < ((slash - 1) & ~slash));
	}
	return false;
}

/*
 * Nothing of it is to be reported: it is left out by the configuration, or of a pseudo file system. Of a string
 * that is so only if the directory is and the entry is in it: a name with a slash may lead anywhere, and so may
 * any if the call `follows` links. `watch` becomes what the configuration has on it.
 */
static __always_inline bool se_start_is_noise(struct se_buf *buf, struct task_struct *task,
					      const struct se_start *at, __u32 *watch,
					      const bool follows, const enum se_walker walker)
{
	struct vfsmount *mnt = at->mnt;
	struct dentry *dentry = at->dentry, *directory = dentry;
	struct se_verdict verdict;

	*watch = 0;
	if (!mnt)
		return false;
	if (at->object)
		directory = SE_LOAD(dentry, d_parent);
	verdict = se_judge_directory(buf, task, mnt, directory, walker);
	*watch = verdict.watch & (SE_WATCH_READ | SE_WATCH_SKIP);
	if (at->object)
		*watch = se_judge_entry(verdict, mnt, dentry);
	else if (follows)
		return false;
	if (!(*watch & SE_WATCH_SKIP)) {
		if (!se_skip_pseudo || *watch & SE_WATCH_READ)
			return false;
		if (!se_is_pseudo(SE_LOAD(dentry, d_inode), SE_LOAD(mnt, mnt_sb)))
			return false;
	}
	return at->object || se_name_is_single(buf, at);
}

/* What a record calls the faults of a path. */
struct se_path_flags {
	__u32 cut, detached, joined, fault;
};

/* Appends the string alone, at most `most` bytes with its NUL; false if it was not readable. */
static __always_inline bool se_append_name(struct se_header *header, struct se_str *str,
					   const struct se_start *at, const __u32 most)
{
	void *to = se_room(header, SE_ROOM);
	long n = to ? se_name_read(to, most, at) : -1;

	if (n <= 0)
		return false;
	if (!str->len)
		str->off = header->len;
	str->len += n - 1;
	se_grow(header, n - 1);
	return true;
}

/* Appends the object's path, or the directory's and the string behind it. */
static __always_inline void se_append_joined(struct se_buf *buf, struct se_str *str, __u32 *flags,
					     const struct se_path_flags names,
					     struct task_struct *task, const struct se_start *at,
					     const enum se_walker walker)
{
	struct se_header *header = &buf->header;
	__u8 *end;

	if (at->mnt)
		se_append_path(header, SE_ROOM, str, flags, names.cut, names.detached, &buf->walk,
			       task, at->mnt, at->dentry, walker);
	else
		*flags |= names.fault;
	if (at->object)
		return;
	*flags |= names.joined;
	if (at->user)
		buf->file.actor.flags |= SE_ACTOR_GRADE_USER;
	if (at->absent) {
		*flags |= names.fault;
		return;
	}
	if (str->len == 1 && at->first == '/') {
		/* The root's own slash: the string brings one. */
		str->len = 0;
		se_grow(header, -1);
	} else if (str->len > 1 && at->first != '/' && at->first) {
		end = se_room(header, SE_ROOM);
		if (!end)
			return;
		*end = '/';
		str->len++;
		se_grow(header, 1);
	}
	if (!se_append_name(header, str, at, SE_PATH_MAX))
		*flags |= names.fault;
}

#endif
