/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Requests of an io_uring: which operation, and what it names.
 *
 * A request begins with a struct of its operation's own, which the kernel fills from user memory once, before it
 * announces the submission. Names are in kernel memory from then on, and no program can change them any more.
 * They are freed before the completion is announced, so they are taken down at the submission.
 */
#ifndef SE_REQUEST_BPF_H
#define SE_REQUEST_BPF_H

#include "actor.bpf.h"
#include "maps.bpf.h"

enum se_opcode {
	SE_OP_ACCEPT = 13,
	SE_OP_OPENAT = 18,
	SE_OP_CLOSE = 19,
	SE_OP_OPENAT2 = 28,
	SE_OP_RENAMEAT = 35,
	SE_OP_UNLINKAT = 36,
	SE_OP_MKDIRAT = 37,
	SE_OP_SYMLINKAT = 38,
	SE_OP_LINKAT = 39,
	SE_OP_FSETXATTR = 41,
	SE_OP_SETXATTR = 42,
	SE_OP_SOCKET = 45,
	SE_OP_FTRUNCATE = 55,
	SE_OP_LISTEN = 57,
};

enum se_request_flag {
	SE_ACCEPT_MULTISHOT = 1,
	SE_REQUEST_CQE_SKIP = 1 << 6, /* success makes no completion */
};

#define SE_REQUEST_ANY_SLOT ~0U
/* Set in the number of a direct descriptor, which is counted within its ring. */
#define SE_DIRECT (1ULL << 63)
/* The pointer to its file has flags in the last bits. */
#define SE_DIRECT_FILE ~7UL

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Direct descriptors: nodes since 6.13. */
struct io_rsrc_node {
	unsigned long file_ptr;
};

struct io_ring_ctx___nodes {
	struct {
		struct {
			unsigned int nr;
			struct io_rsrc_node **nodes;
		} data;
	} file_table;
};

struct io_fixed_file {
	unsigned long file_ptr;
};

struct io_ring_ctx___files {
	struct {
		struct io_fixed_file *files;
	} file_table;
	unsigned int nr_user_files;
};

#pragma clang attribute pop

/* What a completion says of its request. */
struct se_completion {
	struct io_ring_ctx *ring;
	__u64 user_data;
};

/* Where a name starts from, as a directory; `inode` tells whether the dentry still is that directory's. */
struct se_from {
	struct vfsmount *mnt;
	struct dentry *dentry;
	__u64 inode;
};

/* What is kept of a request until it is done. */
struct se_request {
	struct se_actor actor;
	struct se_completion completion;
	struct se_descriptor
		descriptor;	  /* here, as the stack has no room for it on kernels before 6.8 */
	struct task_struct *task; /* that submitted it */
	struct file *file;	  /* that it works on */
	struct se_from from, other_from;
	__u64 value; /* O_*, or a length */
	__s32 dfd;
	__s32 other_dfd;
	__s32 fd;    /* to close, -1: the slot */
	__u32 slot;  /* of a direct descriptor, counted from 1 */
	__u32 flags; /* AT_*, RENAME_*, IORING_ACCEPT_*, of a mkdir the mode */
	__u32 opcode;
	__u32 name_bytes;	     /* without its NUL */
	__u8 kind, op, two, follows; /* what it makes, see se_request__done() */
	__u8 name[SE_PATH_MAX];
	__u8 other[SE_PATH_MAX]; /* the new name, a link's content, an attribute */
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Names that are copied but not yet shown to audit, since 7.0. */
struct delayed_filename {
	struct filename *__incomplete_filename;
};

struct io_open___delayed {
	struct delayed_filename filename;
};

struct io_unlink___delayed {
	struct delayed_filename filename;
};

struct io_rename___delayed {
	struct delayed_filename oldpath, newpath;
};

struct io_link___delayed {
	struct delayed_filename oldpath, newpath;
};

struct io_mkdir___delayed {
	struct delayed_filename filename;
};

struct io_xattr___delayed {
	struct delayed_filename filename;
};

#pragma clang attribute pop

/* A name of a request whose operation's struct is `type`. */
#define se_request_name(dst, req, type, field)                                            \
	({                                                                                \
		struct filename *__name;                                                  \
		if (bpf_core_field_exists(                                                \
			    ((struct type##___delayed *)0)->field.__incomplete_filename)) \
			__name = BPF_CORE_READ((struct type##___delayed *)(req),          \
					       field.__incomplete_filename);              \
		else                                                                      \
			__name = BPF_CORE_READ((struct type *)(req), field);              \
		bpf_probe_read_kernel_str(dst, SE_PATH_MAX, BPF_CORE_READ(__name, name)); \
	})

static __always_inline void se_request__rename(struct se_request *kept, struct io_kiocb *req)
{
	struct io_rename *rename = (void *)req;

	kept->dfd = BPF_CORE_READ(rename, old_dfd);
	kept->other_dfd = BPF_CORE_READ(rename, new_dfd);
	kept->flags = BPF_CORE_READ(rename, flags);
	se_request_name(kept->name, req, io_rename, oldpath);
	se_request_name(kept->other, req, io_rename, newpath);
}

static __always_inline void se_request__link(struct se_request *kept, struct io_kiocb *req)
{
	struct io_link *link = (void *)req;

	kept->dfd = BPF_CORE_READ(link, old_dfd);
	kept->other_dfd = BPF_CORE_READ(link, new_dfd);
	kept->flags = BPF_CORE_READ(link, flags);
	se_request_name(kept->name, req, io_link, oldpath);
	se_request_name(kept->other, req, io_link, newpath);
}

static __always_inline void se_request__xattr(struct se_request *kept, struct io_kiocb *req,
					      bool named)
{
	struct io_xattr *xattr = (void *)req;
	struct xattr_name *name = BPF_CORE_READ(xattr, ctx.kname);

	kept->dfd = -100; /* AT_FDCWD */
	kept->value = BPF_CORE_READ(xattr, ctx.size);
	if (named)
		se_request_name(kept->name, req, io_xattr, filename);
	bpf_probe_read_kernel_str(kept->other, sizeof(name->name),
				  (void *)name + bpf_core_field_offset(struct xattr_name, name));
}

/* The kinds that an operation makes, a bit each. */
static __always_inline __u64 se_request__kinds(__u32 opcode)
{
	switch (opcode) {
	case SE_OP_OPENAT:
	case SE_OP_OPENAT2:
		return 1ULL << SE_KIND_FILE_OPEN | 1ULL << SE_KIND_FILE_READ |
		       1ULL << SE_KIND_FILE_CLOSE;
	case SE_OP_CLOSE:
		return 1ULL << SE_KIND_FILE_CLOSE;
	case SE_OP_RENAMEAT:
		return 1ULL << SE_KIND_FILE_RENAME;
	case SE_OP_UNLINKAT:
		return 1ULL << SE_KIND_FILE_DELETE;
	case SE_OP_MKDIRAT:
		return 1ULL << SE_KIND_FILE_MKDIR;
	case SE_OP_SYMLINKAT:
	case SE_OP_LINKAT:
		return 1ULL << SE_KIND_FILE_LINK;
	case SE_OP_SETXATTR:
	case SE_OP_FSETXATTR:
		return 1ULL << SE_KIND_FILE_XATTR;
	case SE_OP_FTRUNCATE:
		return 1ULL << SE_KIND_FILE_TRUNCATE;
	case SE_OP_ACCEPT:
		return 1ULL << SE_KIND_NET_ACCEPT | 1ULL << SE_KIND_NET_FLOW;
	case SE_OP_LISTEN:
		return 1ULL << SE_KIND_NET_LISTEN;
	case SE_OP_SOCKET:
		return 1ULL << SE_KIND_NET_SOCKET;
	}
	return 0;
}

/* Takes down what the request names; false if nobody wants it from here. `kept` is zeroed but for the names. */
static __always_inline bool se_request__fill(struct se_request *kept, struct io_kiocb *req)
{
	long named = 0;

	kept->name[0] = 0;
	kept->other[0] = 0;
	kept->opcode = BPF_CORE_READ(req, opcode);
	if (!(se_called_kinds & se_request__kinds(kept->opcode)))
		return false;
	switch (kept->opcode) {
	case SE_OP_OPENAT:
	case SE_OP_OPENAT2: {
		struct io_open *open = (void *)req;

		kept->dfd = BPF_CORE_READ(open, dfd);
		kept->slot = BPF_CORE_READ(open, file_slot);
		kept->value = BPF_CORE_READ(open, how.flags);
		named = se_request_name(kept->name, req, io_open, filename);
		break;
	}
	case SE_OP_CLOSE: {
		struct io_close *close = (void *)req;

		kept->fd = BPF_CORE_READ(close, fd);
		kept->slot = BPF_CORE_READ(close, file_slot);
		break;
	}
	case SE_OP_RENAMEAT:
		se_request__rename(kept, req);
		break;
	case SE_OP_UNLINKAT: {
		struct io_unlink *unlink = (void *)req;

		kept->dfd = BPF_CORE_READ(unlink, dfd);
		kept->flags = BPF_CORE_READ(unlink, flags);
		se_request_name(kept->name, req, io_unlink, filename);
		break;
	}
	case SE_OP_MKDIRAT: {
		struct io_mkdir *mkdir = (void *)req;

		kept->dfd = BPF_CORE_READ(mkdir, dfd);
		kept->flags = BPF_CORE_READ(mkdir, mode);
		se_request_name(kept->name, req, io_mkdir, filename);
		break;
	}
	case SE_OP_SYMLINKAT:
	case SE_OP_LINKAT:
		se_request__link(kept, req);
		break;
	case SE_OP_SETXATTR:
	case SE_OP_FSETXATTR:
		se_request__xattr(kept, req, kept->opcode == SE_OP_SETXATTR);
		break;
	case SE_OP_ACCEPT: {
		struct io_accept *accept = (void *)req;

		kept->slot = BPF_CORE_READ(accept, file_slot);
		/* Before it has such flags a request may accept again and again without saying so here. */
		kept->flags = SE_ACCEPT_MULTISHOT;
		if (bpf_core_field_exists(accept->iou_flags))
			kept->flags = BPF_CORE_READ(accept, iou_flags);
		break;
	}
	case SE_OP_SOCKET:
		kept->slot = BPF_CORE_READ((struct io_socket *)req, file_slot);
		break;
	case SE_OP_FTRUNCATE:
		/* Since 6.9. */
		if (bpf_core_type_exists(struct io_ftrunc))
			kept->value = BPF_CORE_READ((struct io_ftrunc *)req, len);
		break;
	}
	kept->name_bytes = named > 0 ? named - 1 : 0;
	kept->completion.ring = BPF_CORE_READ(req, ctx);
	kept->completion.user_data = BPF_CORE_READ(req, cqe.user_data);
	kept->task = (void *)bpf_get_current_task();
	se_actor__fill(&kept->actor, SE_HOOK_IO_URING_COMPLETE, SE_CALL_NONE);
	kept->actor.flags |= SE_ACTOR_IO_URING;
	return true;
}

/* The file of a direct descriptor, the first of which is 0. */
static __always_inline struct file *se_request__direct(struct io_ring_ctx *ring, __u32 slot)
{
	struct io_ring_ctx___nodes *nodes = (void *)ring;
	struct io_ring_ctx___files *files = (void *)ring;
	struct io_fixed_file *file;
	struct io_rsrc_node **node, *at = NULL;

	if (bpf_core_field_exists(nodes->file_table.data)) {
		if (slot >= BPF_CORE_READ(nodes, file_table.data.nr))
			return NULL;
		node = BPF_CORE_READ(nodes, file_table.data.nodes);
		bpf_probe_read_kernel(&at, sizeof(at), node + slot);
		return (void *)(BPF_CORE_READ(at, file_ptr) & SE_DIRECT_FILE);
	}
	if (slot >= BPF_CORE_READ(files, nr_user_files))
		return NULL;
	file = BPF_CORE_READ(files, file_table.files);
	return (void *)(BPF_CORE_READ(&file[slot], file_ptr) & SE_DIRECT_FILE);
}

#endif
