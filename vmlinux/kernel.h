/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel types that bpf/ reads, the same on every architecture; see README.md.
 *
 * Fields stand in no particular order and most are left out: libbpf looks each one up by name in the
 * running kernel's BTF. Only names and types matter.
 */
#ifndef SE_VMLINUX_KERNEL_H
#define SE_VMLINUX_KERNEL_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u16 __sum16;
typedef int pid_t;
typedef unsigned short umode_t;
typedef long long loff_t;
typedef unsigned long size_t;
typedef _Bool bool;
enum {
	false = 0,
	true = 1,
};

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
};

enum {
	BPF_F_NO_PREALLOC = 1,
};

enum {
	BPF_RB_AVAIL_DATA = 0,
};

/* Only asked whether it exists: the running kernel has that helper. */
enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158,
	BPF_FUNC_task_pt_regs = 175,
};

/* Only read and handed on. */
enum bpf_prog_type {
	BPF_PROG_TYPE_UNSPEC = 0,
};

enum bpf_link_type {
	BPF_LINK_TYPE_UNSPEC = 0,
};

/* Contexts of the programs on sockets and packets. They are the kernel's ABI, so nothing is looked up. */
struct bpf_sock {
	__u32 bound_dev_if;
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 mark;
	__u32 priority;
	__u32 src_ip4;
	__u32 src_ip6[4];
	__u32 src_port;
	__be16 dst_port;
	__u32 dst_ip4;
	__u32 dst_ip6[4];
	__u32 state;
	__s32 rx_queue_mapping;
};

struct bpf_sock_addr {
	__u32 user_family;
	__u32 user_ip4;
	__u32 user_ip6[4];
	__u32 user_port;
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 msg_src_ip4;
	__u32 msg_src_ip6[4];
	union {
		struct bpf_sock *sk;
		__u64 sk_bits;
	};
};

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	__u64 flow_keys;
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	union {
		struct bpf_sock *sk;
		__u64 sk_bits;
	};
};

/* The numbers depend on the kernel's configuration and are looked up; these only fill the type. */
enum cgroup_subsys_id {
	cpu_cgrp_id = 1,
	memory_cgrp_id = 4,
	devices_cgrp_id = 5,
	pids_cgrp_id = 11,
};

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
	PIDTYPE_PGID,
	PIDTYPE_SID,
	PIDTYPE_MAX,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct ns_common {
	unsigned int inum;
};

struct user_namespace {
	struct ns_common ns;
};

struct uts_namespace {
	struct ns_common ns;
};

struct ipc_namespace {
	struct ns_common ns;
};

struct net {
	struct ns_common ns;
};

struct cgroup_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
	struct mount *root;
	__u64 event;
};

struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
	struct cgroup_namespace *cgroup_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[PIDTYPE_MAX];
	struct upid numbers[1];
};

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t suid;
	kgid_t sgid;
	kuid_t euid;
	kgid_t egid;
	kuid_t fsuid;
	kgid_t fsgid;
	struct user_namespace *user_ns;
};

struct qstr {
	u64 hash_len;
	const unsigned char *name;
};

struct file_system_type {
	const char *name;
};

struct super_block {
	u32 s_dev;
	struct file_system_type *s_type;
	unsigned long s_flags;
	unsigned long s_magic;
};

struct inode {
	umode_t i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	u32 i_rdev;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	loff_t i_size;
	u32 i_generation;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	unsigned int f_mode;
	void *private_data;
};

/* The one argument of vfs_rename(), since 5.12 and in the later builds of 5.10. */
struct renamedata {
	struct dentry *old_dentry;
	struct dentry *new_dentry;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	int umask;
	struct path root, pwd;
};

struct mm_struct {
	unsigned long task_size;
	unsigned long arg_start, arg_end;
	unsigned long env_start, env_end;
	struct file *exe_file;
};

struct tty_driver {
	int major;
	int minor_start;
};

struct tty_struct {
	struct tty_driver *driver;
	int index;
	char name[64];
};

struct signal_struct {
	atomic_t live;
	unsigned int flags;
	int group_exit_code;
	struct pid *pids[PIDTYPE_MAX];
	struct tty_struct *tty;
	u64 utime, stime;
	unsigned long long sum_sched_runtime;
	unsigned long maxrss;
};

struct kernfs_node {
	u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct seccomp {
	int mode;
};

struct thread_info {
	unsigned long flags;
	u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	void *stack;
	unsigned int flags;
	struct sched_entity se;
	struct mm_struct *mm;
	int exit_code;
	unsigned long atomic_flags;
	pid_t pid;
	pid_t tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct hlist_node pid_links[PIDTYPE_MAX];
	u64 utime, stime;
	u64 start_boottime;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	kuid_t loginuid;
	unsigned int sessionid;
	struct seccomp seccomp;
	struct css_set *cgroups;
};

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		u32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_type;
	u16 sk_protocol;
	int sk_err;
	u32 sk_max_ack_backlog;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u64 bytes_received;
	u64 bytes_sent;
	u64 bytes_retrans;
	u32 segs_in;
	u32 segs_out;
};

struct sockaddr_un {
	u16 sun_family;
};

struct unix_address {
	int len;
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct socket {
	struct sock *sk;
};

struct linux_binprm {
	unsigned int secureexec : 1;
	int argc, envc;
	const char *filename;
	const char *interp;
	const char *fdpath;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

/* Privileges and evasion. Types that other subjects read too are flavours here, with just what these need. */
struct file___private {
	void *private_data;
};

struct inode___private {
	void *i_private;
};

struct task_struct___privilege {
	unsigned int personality;
	unsigned int in_execve : 1;
	void *stack;
};

struct pid_namespace___ids {
	struct {
		struct {
			void *xa_head;
		} idr_rt;
	} idr;
	unsigned int level;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct proc_ns_operations {
	const char *name;
};

struct ns_common___ops {
	const struct proc_ns_operations *ops;
};

struct time_namespace {
	struct ns_common ns;
};

struct nsproxy___more {
	struct pid_namespace *pid_ns_for_children;
	struct time_namespace *time_ns;
};

struct new_utsname {
	char nodename[65];
	char domainname[65];
};

struct uts_namespace___name {
	struct new_utsname name;
};

struct module {
	char name[56];
	unsigned long taints;
	bool sig_ok;
};

struct kernel_siginfo {
	int si_code;
};

struct perf_event___attr {
	struct {
		u32 type;
		u64 config;
	} attr;
};

struct bpf_prog_aux {
	u32 id;
	char name[16];
};

struct bpf_prog {
	enum bpf_prog_type type;
	u8 tag[8];
	struct bpf_prog_aux *aux;
};

struct bpf_map {
	enum bpf_map_type map_type;
	u32 id;
	char name[16];
};

struct bpf_link {
	u32 id;
	enum bpf_link_type type;
	struct bpf_prog *prog;
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	unsigned long vm_flags;
	void *anon_vma;
	struct file *vm_file;
};

/* Until 6.0 the areas of an address space are in a tree of their own. */
struct rb_node {
	struct rb_node *rb_left, *rb_right;
};

struct vm_area_struct___tree {
	struct rb_node vm_rb;
};

struct mm_struct___tree {
	struct {
		struct rb_node *rb_node;
	} mm_rb;
};

/* io_uring: a request begins with a struct of its operation's own, and `flags` are 32 bits wide before 6.8. */
struct io_cqe {
	u64 user_data;
	s32 res;
};

struct io_uring_cqe {
	u64 user_data;
	s32 res;
	u32 flags;
};

struct io_wq_work_node {
	struct io_wq_work_node *next;
};

struct io_wq_work_list {
	struct io_wq_work_node *first, *last;
};

struct io_wq_work;

struct io_worker {
	struct io_wq_work *cur_work;
};

struct io_submit_state {
	struct io_wq_work_list compl_reqs;
};

struct io_ring_ctx {
	struct io_submit_state submit_state;
};

struct io_wq_work {
	struct io_wq_work_node list;
};

struct io_kiocb {
	struct file *file;
	u8 opcode;
	u64 flags;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	struct io_wq_work_node comp_list;
	struct io_wq_work work;
	const struct cred *creds;
};

struct filename {
	const char *name;
};

struct open_how {
	u64 flags, mode, resolve;
};

struct io_open {
	int dfd;
	u32 file_slot;
	struct filename *filename;
	struct open_how how;
};

struct io_close {
	int fd;
	u32 file_slot;
};

struct io_unlink {
	int dfd;
	int flags;
	struct filename *filename;
};

struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_link {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_mkdir {
	int dfd;
	umode_t mode;
	struct filename *filename;
};

struct xattr_name {
	char name[256];
};

struct xattr_ctx {
	size_t size;
	struct xattr_name *kname;
};

struct io_accept {
	int iou_flags;
	u32 file_slot;
};

struct io_socket {
	u32 file_slot;
};

struct packet_sock {
	__be16 num;
};

struct io_ftrunc {
	loff_t len;
};

struct io_xattr {
	struct xattr_ctx ctx;
	struct filename *filename;
};

#pragma clang attribute pop

#endif
