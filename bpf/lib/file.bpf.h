/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Records of files, whatever hook they come from. Each function judges, admits and fills; it returns NULL if
 * nobody wants the event, else the record, to which the caller adds what only its hook knows and which it hands
 * out with se_output().
 *
 *   se_file__opened()  a file was opened, by its struct file
 *   se_file__closed()  a descriptor was closed that a file was opened for writing with, see written.bpf.h
 *   se_file__of_object()  anything else, done to a file that the hook has at hand; se_file__add_object() for
 *                      the other end of a rename or a link
 *   se_file__done()    the same, to one or two files, each the kernel's object (se_start_object(),
 *                      se_start_fd(): grade kernel) or what a string names (se_start(): grade user), which
 *                      the caller has put into the buffer: see name.bpf.h
 */
#ifndef SE_FILE_BPF_H
#define SE_FILE_BPF_H

#include "name.bpf.h"
#include "written.bpf.h"

enum se_open {
	SE_O_ACCMODE = 3,
	SE_O_CREAT = 0100,
	SE_O_EXCL = 0200,
	SE_O_TRUNC = 01000,
	SE_O_TMPFILE = 020000000, /* __O_TMPFILE */
#if defined(__TARGET_ARCH_arm64)
	SE_O_NOFOLLOW = 0100000,
#else
	SE_O_NOFOLLOW = 0400000,
#endif
	SE_FMODE_WRITE = 2,
	SE_FMODE_PATH = 0x4000,
	SE_FMODE_CREATED = 0x100000, /* since 4.19 */
};

/* What was done, and by whom it was seen. All of it is constant in most callers. */
struct se_deed {
	__u32 lane;
	__u32 hook;
	__u32 call;
	__u32 kind;
	__u32 op;
};

/* The record with its actor, for what se_admit() let through. */
static __always_inline struct se_buf *se_file__open_record(const struct se_deed *deed, __u32 watch,
							   __u64 now_ns)
{
	struct se_buf *buf = se_open(deed->lane, deed->kind, sizeof(struct se_file), now_ns);

	if (!buf)
		return NULL;
	se_actor__fill(&buf->file.actor, deed->hook, deed->call);
	if (watch & SE_WATCH_READ)
		buf->file.actor.flags |= SE_ACTOR_WATCHED;
	buf->file.op = deed->op;
	return buf;
}

static __always_inline void se_file__fill_object(struct se_buf *buf, struct task_struct *task,
						 struct vfsmount *mnt, struct dentry *dentry,
						 struct inode *inode, const enum se_walker walker)
{
	se_object__fill(&buf->file.object, inode, dentry);
	se_append_path(&buf->header, SE_ROOM, &buf->file.path, &buf->file.object.flags,
		       SE_OBJECT_PATH_CUT, SE_OBJECT_PATH_DETACHED, &buf->walk, task, mnt, dentry,
		       walker);
}

/* The buffer that records of this lane are built in, to judge before there is a record. */
static __always_inline struct se_buf *se_file__buf(__u32 lane)
{
	__u32 at = bpf_get_smp_processor_id() * se_lanes + lane;

	return bpf_map_lookup_elem(&se_bufs, &at);
}

/* Nothing of the file is to be reported. `watch` becomes what the configuration has on it. */
static __always_inline bool se_file__is_noise(struct se_buf *buf, struct task_struct *task,
					      struct vfsmount *mnt, struct dentry *dentry,
					      struct inode *inode, __u32 *watch,
					      const enum se_walker walker)
{
	*watch = se_judge(buf, task, mnt, dentry, walker);
	if (*watch & SE_WATCH_SKIP)
		return true;
	return se_skip_pseudo && !(*watch & SE_WATCH_READ) &&
	       se_is_pseudo(inode, SE_LOAD(inode, i_sb));
}

static __always_inline void se_file__key(struct se_merge_key *key, struct inode *inode,
					 __u64 detail)
{
	key->inode = SE_LOAD(inode, i_ino);
	key->dev = SE_LOAD(inode, i_sb, s_dev);
	key->detail = detail;
}

/*
 * A file was opened that is to be told of, and `watch` is what the configuration has on it. Most are not, and
 * know it from here. What a close will be recognised by, `descriptor`, is remembered on the way; NULL if there
 * is none.
 */
static __always_inline bool se_file__is_opened(struct se_buf *buf, struct task_struct *task,
					       struct file *file,
					       const struct se_descriptor *descriptor, __u32 *watch,
					       const enum se_walker walker)
{
	__u32 f_mode = SE_LOAD(file, f_mode);
	struct vfsmount *mnt = SE_LOAD(file, f_path.mnt);
	struct dentry *dentry = SE_LOAD(file, f_path.dentry);
	struct inode *inode = SE_LOAD(file, f_inode);
	bool is_noise;

	if (!inode || f_mode & SE_FMODE_PATH)
		return false;
	if (!(f_mode & (SE_FMODE_WRITE | SE_FMODE_CREATED))) {
		if (descriptor)
			se_written__forget(descriptor);
		if (!se_is_wanted(SE_KIND_FILE_READ))
			return false;
		*watch = se_judge(buf, task, mnt, dentry, walker);
		return *watch == SE_WATCH_READ;
	}
	is_noise = se_file__is_noise(buf, task, mnt, dentry, inode, watch, walker);
	if (descriptor) {
		if (is_noise || !(f_mode & SE_FMODE_WRITE))
			se_written__forget(descriptor);
		else
			se_written__remember(descriptor, file, mnt, dentry, inode);
	}
	return !is_noise && se_is_wanted(SE_KIND_FILE_OPEN);
}

/* The record of it. `asked` are the flags that the call was given, of which the kernel does not keep all. */
static __always_inline struct se_buf *se_file__opened_as(__u32 lane, __u32 hook, __u32 call,
							 struct task_struct *task,
							 struct file *file, __u32 asked,
							 __u32 watch, const enum se_walker walker)
{
	struct se_deed deed = {lane, hook, call, SE_KIND_FILE_OPEN, SE_FILE_OPEN};
	__u32 f_mode = SE_LOAD(file, f_mode), open_flags;
	struct inode *inode = SE_LOAD(file, f_inode);
	struct se_merge_key key = {};
	struct se_buf *buf;
	__u64 now_ns;

	open_flags = SE_LOAD(file, f_flags) | (asked & (SE_O_CREAT | SE_O_EXCL | SE_O_TRUNC));
	if (!(f_mode & (SE_FMODE_WRITE | SE_FMODE_CREATED)))
		deed.kind = SE_KIND_FILE_READ;
	else if (f_mode & SE_FMODE_CREATED || open_flags & SE_O_TMPFILE)
		deed.op = SE_FILE_CREATE;
	se_file__key(&key, inode, open_flags);
	now_ns = se_admit(deed.kind, task, &key);
	if (!now_ns)
		return NULL;
	buf = se_file__open_record(&deed, watch, now_ns);
	if (!buf)
		return NULL;
	buf->file.open_flags = open_flags;
	se_file__fill_object(buf, task, SE_LOAD(file, f_path.mnt), SE_LOAD(file, f_path.dentry),
			     inode, walker);
	return buf;
}

/* Both at once. */
static __always_inline struct se_buf *
se_file__opened(__u32 lane, __u32 hook, __u32 call, struct task_struct *task, struct file *file,
		__u32 asked, const struct se_descriptor *descriptor, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(lane);
	__u32 watch = 0;

	if (!buf || !se_file__is_opened(buf, task, file, descriptor, &watch, walker))
		return NULL;
	return se_file__opened_as(lane, hook, call, task, file, asked, watch, walker);
}

/* A descriptor was closed. Nothing comes of it unless a file was opened for writing with it. */
static __always_inline struct se_buf *se_file__closed(__u32 lane, __u32 hook, __u32 call,
						      struct task_struct *task,
						      const struct se_descriptor *descriptor,
						      const enum se_walker walker)
{
	struct se_deed deed = {lane, hook, call, SE_KIND_FILE_CLOSE, SE_FILE_CLOSE};
	struct se_written *found = se_written_of(descriptor), written;
	struct se_object now = {};
	struct se_merge_key key = {};
	struct se_buf *buf;
	__u32 flags;
	__u64 now_ns;

	if (!found || !found->file)
		return NULL;
	written = *found;
	found->file = NULL;
	if (se_written_has_inode(&written))
		se_object__fill(&now, written.inode, written.dentry);
	flags = se_written_flags(&written, &now);
	key.inode = written.object.inode;
	key.dev = written.object.dev_major << SE_MINOR_BITS | written.object.dev_minor;
	key.detail = flags;
	now_ns = se_admit(deed.kind, task, &key);
	if (!now_ns)
		return NULL;
	buf = se_file__open_record(&deed, 0, now_ns);
	if (!buf)
		return NULL;
	buf->file.arg[0] = written.opened_ns;
	buf->file.before = written.object;
	buf->file.object = now.inode ? now : written.object;
	buf->file.flags = flags | SE_FILE_BEFORE;
	if (now.inode && se_written_has_path(&written))
		se_append_path(&buf->header, SE_ROOM, &buf->file.path, &buf->file.object.flags,
			       SE_OBJECT_PATH_CUT, SE_OBJECT_PATH_DETACHED, &buf->walk, task,
			       written.mnt, written.dentry, walker);
	return buf;
}

/* Appends what buf->other says. */
static __always_inline void se_file__add_other(struct se_buf *buf, struct task_struct *task,
					       const enum se_walker walker)
{
	struct se_path_flags names = {SE_FILE_OTHER_CUT, 0, SE_FILE_OTHER_JOINED,
				      SE_FILE_OTHER_FAULT};

	se_append_joined(buf, &buf->file.other, &buf->file.flags, names, task, &buf->other, walker);
}

/*
 * Something was done to what buf->at says; with `two` also to what buf->other says, which is appended too. With
 * `follows` a link at the end of a string is followed. `detail` is what equal events have in common beside the
 * file, NULL if nothing is to be merged; what goes by a string never is, it would take a comparison of all of it.
 */
static __always_inline struct se_buf *
se_file__done(const struct se_deed *deed, struct task_struct *task, struct se_buf *buf,
	      const bool two, const bool follows, const __u64 *detail, const enum se_walker walker)
{
	struct se_path_flags names = {SE_OBJECT_PATH_CUT, SE_OBJECT_PATH_DETACHED,
				      SE_OBJECT_PATH_JOINED, SE_OBJECT_PATH_FAULT};
	struct se_merge_key key = {};
	struct inode *inode = NULL;
	__u32 watch = 0, other = 0;
	__u64 now_ns;

	if (!se_is_wanted(deed->kind))
		return NULL;
	/* What is mounted and where is never noise. */
	if (deed->kind != SE_KIND_MOUNT &&
	    se_start_is_noise(buf, task, &buf->at, &watch, follows, walker) &&
	    (!two || se_start_is_noise(buf, task, &buf->other, &other, follows, walker)))
		return NULL;
	if (buf->at.object)
		inode = SE_LOAD(buf->at.dentry, d_inode);
	if (detail && inode) {
		se_file__key(&key, inode, *detail);
		now_ns = se_admit(deed->kind, task, &key);
	} else {
		now_ns = se_admit(deed->kind, task, NULL);
	}
	if (!now_ns)
		return NULL;
	buf = se_file__open_record(deed, watch, now_ns);
	if (!buf)
		return NULL;
	if (inode)
		se_object__fill(&buf->file.object, inode, buf->at.dentry);
	se_append_joined(buf, &buf->file.path, &buf->file.object.flags, names, task, &buf->at,
			 walker);
	if (two)
		se_file__add_other(buf, task, walker);
	return buf;
}

/* Appends a string of the caller's memory as it is, at most `most` bytes with its NUL; `fault` if it cannot. */
static __always_inline void se_file__add_string(struct se_buf *buf, struct se_str *str,
						__u64 address, const __u32 most, __u32 fault)
{
	struct se_start at = {.name = address, .user = 1};

	buf->file.actor.flags |= SE_ACTOR_GRADE_USER;
	if (!se_append_name(&buf->header, str, &at, most))
		buf->file.flags |= fault;
}

/* Something was done to a file that the hook has at hand. */
static __always_inline struct se_buf *
se_file__of_object(const struct se_deed *deed, struct task_struct *task, struct vfsmount *mnt,
		   struct dentry *dentry, const __u64 *detail, const enum se_walker walker)
{
	struct se_buf *buf = se_file__buf(deed->lane);

	if (!buf)
		return NULL;
	se_start_object(&buf->at, mnt, dentry);
	return se_file__done(deed, task, buf, false, false, detail, walker);
}

/* Appends the other end, where the hook has it at hand. */
static __always_inline void se_file__add_object(struct se_buf *buf, struct task_struct *task,
						struct vfsmount *mnt, struct dentry *dentry,
						const enum se_walker walker)
{
	se_start_object(&buf->other, mnt, dentry);
	se_file__add_other(buf, task, walker);
}

/* A byte of the record. */
static __always_inline __u8 se_record_byte(struct se_buf *buf, __u32 at)
{
	barrier_var(at);
	at &= 0x7fff;
	barrier_var(at);
	return at < SE_RECORD_MAX ? ((__u8 *)&buf->header)[at] : 0;
}

/* The string between two offsets of the record has no name at its end: a slash, or dots. */
static __always_inline bool se_record_is_nameless(struct se_buf *buf, __u32 start, __u32 end)
{
	__u32 at = end;

	if (at > start && se_record_byte(buf, at - 1) == '.')
		at--;
	if (at > start && se_record_byte(buf, at - 1) == '.')
		at--;
	return at == start || se_record_byte(buf, at - 1) == '/';
}

/* One byte further to the front of two names; 1 at the end, and then walk->end says whether they are the same. */
static __always_inline long se_names_step(struct se_buf *buf)
{
	__u32 given = *(volatile __u32 *)&buf->walk.start - 1;
	__u32 path = *(volatile __u32 *)&buf->walk.end - 1;
	__u8 *bytes = (__u8 *)&buf->header, byte;

	barrier_var(given);
	barrier_var(path);
	given &= 0x7fff;
	path &= 0x7fff;
	buf->walk.start = given;
	buf->walk.end = path;
	if (given >= SE_RECORD_MAX || path >= SE_RECORD_MAX)
		return 1;
	byte = bytes[path];
	if (bytes[given] != byte) {
		buf->walk.end = false;
		return 1;
	}
	if (byte != '/')
		return 0;
	buf->walk.end = true;
	return 1;
}

static long se_names_callback(__u32 index, struct se_buf **buf)
{
	return se_names_step(*buf);
}

/*
 * The last components of the record's path and of the string that ends there are the same; a slash stands in
 * front of both. The cursors live in the buffer, as those of a walk do.
 */
static __always_inline bool se_names_equal(struct se_buf *buf, __u32 end,
					   const enum se_walker walker)
{
	buf->walk.start = end;
	buf->walk.end = buf->file.path.off + buf->file.path.len;
	if (walker == SE_WALK_LOOP) {
		bpf_loop(SE_NAME_MAX + 1, se_names_callback, &buf, 0);
	} else {
#pragma clang loop unroll(disable)
		for (int i = 0; i <= SE_NAME_MAX; i++) {
			if (se_names_step(buf))
				break;
		}
	}
	return *(volatile __u32 *)&buf->walk.end == true;
}

/*
 * Appends the path that the call was given if its last component is not the one of the file that the kernel
 * worked on. Another way to the same name is none of our business: links and dots make most paths differ. Where
 * no link was followed (`follows`) the two cannot differ, unless somebody has changed the string or the name since.
 */
static __always_inline void se_file__compare_given(struct se_buf *buf, __u64 address,
						   const bool user, bool follows,
						   const enum se_walker walker)
{
	struct se_header *header = &buf->header;
	struct se_start at = {.name = address, .user = user};
	/* One byte more than a chunk. */
	__u8 *to = se_room(header, SE_ROOM - 8);
	long n = to ? se_name_read(to + 1, SE_PATH_MAX, &at) : -1;
	__u32 start = header->len + 1;

	if (n <= 0) {
		buf->file.object.flags |= SE_OBJECT_PATH_FAULT;
		return;
	}
	n--;
	*to = '/';
	/* The path of a root has no name either. */
	if (buf->file.path.len <= 1 || se_record_is_nameless(buf, start, start + n) ||
	    se_names_equal(buf, start + n, walker))
		return;
	if (!follows)
		buf->file.actor.flags |= SE_ACTOR_ARGUMENT_SWAP;
	buf->file.given.off = start;
	buf->file.given.len = n;
	se_grow(header, n + 1);
}

#endif
