/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Fills struct se_image: the program that a task runs, and its working directory. */
#ifndef SE_IMAGE_BPF_H
#define SE_IMAGE_BPF_H

#include "flavors.bpf.h"
#include "path.bpf.h"

/*
 * The file lives in the upper layer of an overlay. struct ovl_inode belongs to a module and has no
 * BTF of its own in most kernels; in all of them the dentry of the upper file is the first field
 * after the inode that it embeds. A file whose attributes alone were copied up counts too.
 */
static __always_inline bool se_overlay_upper(struct inode *inode)
{
	void *upper = NULL;

	bpf_probe_read_kernel(&upper, sizeof(upper),
			      (void *)inode + bpf_core_type_size(struct inode));
	return upper;
}

static __always_inline bool se_is_memfd(struct super_block *sb, __u64 magic, struct dentry *dentry)
{
	const unsigned char *name;
	char head[6] = {};

	if (magic != SE_TMPFS_MAGIC && magic != SE_HUGETLBFS_MAGIC)
		return false;
	if (!(SE_LOAD(sb, s_flags) & SE_SB_KERNMOUNT))
		return false;
	name = SE_LOAD(dentry, d_name.name);
	bpf_probe_read_kernel(head, sizeof(head), name);
	return head[0] == 'm' && head[1] == 'e' && head[2] == 'm' && head[3] == 'f' &&
	       head[4] == 'd' && head[5] == ':';
}

static __always_inline void se_image__fill_inode(struct se_image *dst, struct inode *inode,
						 struct dentry *dentry)
{
	struct super_block *sb = SE_LOAD(inode, i_sb);
	__u32 dev = SE_LOAD(sb, s_dev);

	dst->inode = SE_LOAD(inode, i_ino);
	dst->mtime_ns = se_mtime_ns(inode);
	dst->ctime_ns = se_ctime_ns(inode);
	dst->size_bytes = SE_LOAD(inode, i_size);
	dst->fs_magic = SE_LOAD(sb, s_magic);
	dst->dev_major = dev >> SE_MINOR_BITS;
	dst->dev_minor = dev & ((1U << SE_MINOR_BITS) - 1);
	dst->mode = SE_LOAD(inode, i_mode);
	dst->owner_uid = SE_LOAD(inode, i_uid.val);
	dst->owner_gid = SE_LOAD(inode, i_gid.val);
	dst->nlink = SE_LOAD(inode, i_nlink);
	if (se_is_memfd(sb, dst->fs_magic, dentry))
		dst->flags |= SE_IMAGE_MEMFD;
	if (dst->fs_magic == SE_OVERLAYFS_MAGIC) {
		dst->flags |= SE_IMAGE_OVERLAY;
		if (se_overlay_upper(inode))
			dst->flags |= SE_IMAGE_OVERLAY_UPPER;
	}
}

/* dst lies in the record that header begins; it is zeroed. */
static __always_inline void se_image__fill(struct se_image *dst, struct se_header *header,
					   __u32 room, struct se_walk *walk,
					   struct task_struct *task, const enum se_walker walker)
{
	struct file *file = SE_LOAD(task, mm, exe_file);
	struct fs_struct *fs = SE_LOAD(task, fs);
	struct dentry *dentry;

	if (file) {
		dentry = SE_LOAD(file, f_path.dentry);
		se_image__fill_inode(dst, SE_LOAD(file, f_inode), dentry);
		se_append_path(header, room, &dst->exe, &dst->flags, SE_IMAGE_EXE_CUT,
			       SE_IMAGE_EXE_DETACHED, walk, task, SE_LOAD(file, f_path.mnt), dentry,
			       walker);
	} else {
		dst->flags |= SE_IMAGE_NONE;
	}
	if (fs) {
		dentry = SE_LOAD(fs, pwd.dentry);
		se_append_path(header, room, &dst->cwd, &dst->flags, SE_IMAGE_CWD_CUT,
			       SE_IMAGE_CWD_DETACHED, walk, task, SE_LOAD(fs, pwd.mnt), dentry,
			       walker);
		if (se_is_deleted(dentry))
			dst->flags |= SE_IMAGE_CWD_DELETED;
	}
}

#endif
