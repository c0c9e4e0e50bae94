// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The returns of the socket calls: what no hook knows, and everything where there are no hooks.
 *
 * Who accepts a connection and which error a call came back with is known only here. The socket comes from the
 * descriptor and its addresses from the kernel; where the kernel never took one over, as when a call is refused,
 * the address is the one in the caller's memory, and the record says so (SE_ACTOR_GRADE_USER).
 */
#include "lib/net.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum se_errno {
	SE_EPIPE = 32,
	SE_ENETUNREACH = 101,
	SE_ECONNABORTED = 103,
	SE_ECONNRESET = 104,
	SE_EISCONN = 106,
	SE_ETIMEDOUT = 110,
	SE_ECONNREFUSED = 111,
	SE_EHOSTUNREACH = 113,
	SE_EALREADY = 114,
	SE_ENETDOWN = 100,
	SE_EHOSTDOWN = 112,
};

/* Between eighty zero bits and an address of IPv4, as it lies in memory on either architecture. */
#define SE_V4_MAPPED 0xffff0000U

/* An address as it lies in user memory, and what is left of it for a record. */
struct given {
	union {
		struct {
			__u16 family;
			__be16 port;
			union {
				__u32 ip4;
				struct {
					__u32 flow;
					__u32 ip6[4];
				};
			};
		};
		__u8 bytes[28];
	};
};

/* What socketcall(2) does, in the order of its numbers. */
enum se_socketcall {
	SE_SYS_SOCKET = 1,
	SE_SYS_BIND = 2,
	SE_SYS_CONNECT = 3,
	SE_SYS_LISTEN = 4,
	SE_SYS_ACCEPT = 5,
	SE_SYS_SENDTO = 11,
	SE_SYS_SENDMSG = 16,
	SE_SYS_ACCEPT4 = 18,
	SE_SYS_SENDMMSG = 20,
};

/*
 * The arguments, also those that socketcall(2) gets in memory: true then, as the caller may have changed them
 * meanwhile.
 */
static __always_inline bool socket_args(struct pt_regs *regs, struct se_args *args, __u32 *call)
{
	__u32 narrow[6] = {};

	se_syscall_args(regs, args);
	*call = se_syscall_call(regs);
	if (*call != SE_CALL_SOCKETCALL)
		return false;
	bpf_probe_read_user(narrow, sizeof(narrow), (void *)args->arg[1]);
	args->arg[0] = narrow[0];
	args->arg[1] = narrow[1];
	args->arg[2] = narrow[2];
	args->arg[3] = narrow[3];
	args->arg[4] = narrow[4];
	args->arg[5] = narrow[5];
	return true;
}

/* A field of what sock_of() gave. */
#define READ(pointer, ...) SE_READ(se_can_cast(), pointer, __VA_ARGS__)

/* The socket behind a descriptor of the current task, NULL if it is none. */
static __always_inline struct sock *sock_of(__u32 fd)
{
	struct file *file = NULL, **slots;
	struct fdtable *table;
	struct socket *socket;

	if (!se_can_cast()) {
		file = se_file_of((void *)bpf_get_current_task(), fd);
		if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & SE_S_IFMT) != SE_S_IFSOCK)
			return NULL;
		socket = BPF_CORE_READ(file, private_data);
		return BPF_CORE_READ(socket, sk);
	}
	table = se_current_typed()->files->fdt;
	slots = table->fd;
	if (fd >= table->max_fds)
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), &slots[fd]);
	if (!file)
		return NULL;
	file = SE_CAST(struct file, file);
	if ((file->f_inode->i_mode & SE_S_IFMT) != SE_S_IFSOCK)
		return NULL;
	socket = SE_CAST(struct socket, file->private_data);
	return socket->sk;
}

static __always_inline bool read_given(struct given *given, __u64 address, __u64 length)
{
	if (length < 16)
		return false;
	if (length >= sizeof(*given))
		return !bpf_probe_read_user(given->bytes, sizeof(given->bytes), (void *)address);
	return !bpf_probe_read_user(given->bytes, 16, (void *)address);
}

static __always_inline void take_address(__u8 *address, __u32 *port, const struct given *given)
{
	__u32 *words = (__u32 *)address;

	*port = se_port(given->port);
	if (given->family == SE_AF_INET6) {
		words[0] = given->ip6[0];
		words[1] = given->ip6[1];
		words[2] = given->ip6[2];
		words[3] = given->ip6[3];
	} else {
		words[0] = given->ip4;
	}
}

/*
 * Keeps the address in user memory if it is not the one that the kernel used. An address of none is that of the
 * host itself, which the kernel puts in its place. A socket of IPv6 may be given an address of IPv4, which it holds
 * mapped: so do programs that order addresses before they connect.
 */
static __always_inline void compare_given(struct se_net *net, const struct given *given)
{
	const __u32 *remote = (const __u32 *)net->remote;
	__u32 *words = (__u32 *)net->given;
	bool same, is_mapped = net->family == SE_AF_INET6 && given->family == SE_AF_INET;

	if (is_mapped)
		same = !(remote[0] | remote[1]) && remote[2] == SE_V4_MAPPED &&
		       (given->ip4 == remote[3] || !given->ip4);
	else if (net->family == SE_AF_INET6)
		same = given->family == SE_AF_INET6 &&
		       ((given->ip6[0] == remote[0] && given->ip6[1] == remote[1] &&
			 given->ip6[2] == remote[2] && given->ip6[3] == remote[3]) ||
			!(given->ip6[0] | given->ip6[1] | given->ip6[2] | given->ip6[3]));
	else
		same = given->family != SE_AF_INET6 && (given->ip4 == remote[0] || !given->ip4);
	if (same && se_port(given->port) == net->remote_port)
		return;
	take_address(net->given, &net->given_port, given);
	if (is_mapped) {
		words[3] = words[0];
		words[2] = SE_V4_MAPPED;
		words[0] = 0;
	}
	net->actor.flags |= SE_ACTOR_ARGUMENT_SWAP;
}

static __always_inline void submit_connect(struct se_net *net, struct pt_regs *regs,
					   bool from_memory)
{
	net->actor.call = se_syscall_call(regs);
	if (from_memory)
		net->actor.flags |= SE_ACTOR_GRADE_USER;
	se_submit(SE_KIND_NET_CONNECT, net);
}

/* How a connect(2) that somebody waits to be told of came out. */
static __always_inline void flow_connected(struct se_flow *flow, struct sock *sk,
					   struct pt_regs *regs, const struct se_args *args,
					   bool from_memory, long ret)
{
	__u64 key = (__u64)sk;
	struct given given = {};
	struct se_net *net;
	__u32 state = flow->state, flags = 0;
	__s32 error = 0;
	bool is_over = false, is_datagram = flow->net.protocol == SE_IPPROTO_UDP;

	if (flow->flags & SE_FLOW_REPORTED || !(flow->flags & SE_FLOW_BY_CALL))
		return;
	if (state == SE_FLOW_CONNECTING || (state == SE_FLOW_ASKED && ret >= 0 && !is_datagram)) {
		flags = SE_NET_PENDING;
	} else if (state != SE_FLOW_OPEN) {
		/* What the socket says tells more than that the call would not wait for it. */
		error = flow->net.error ? flow->net.error : ret < 0 ? ret : 0;
		is_over = error;
	}
	if (!is_over && !flow->net.local_port)
		se_net__ends(&flow->net, sk, se_can_cast());
	if (!is_over && is_datagram)
		flow->state = SE_FLOW_OPEN;
	net = se_net__connected(flow, SE_HOOK_SYS_EXIT, error, flags);
	if (net) {
		if (read_given(&given, args->arg[1], args->arg[2]))
			compare_given(net, &given);
		submit_connect(net, regs, from_memory);
	}
	if (is_over)
		bpf_map_delete_elem(&se_flows, &key);
}

/*
 * Errors of a connection that nobody remembers any more: it was reported when it failed, and this is a later call
 * that asks how it went. Where hooks see every attempt, those of the route are among them.
 */
static __always_inline bool is_told(long ret)
{
	switch (-ret) {
	case SE_EPIPE:
	case SE_ECONNABORTED:
	case SE_ECONNRESET:
	case SE_EISCONN:
	case SE_ETIMEDOUT:
	case SE_ECONNREFUSED:
	case SE_EALREADY:
		return true;
	case SE_ENETUNREACH:
	case SE_EHOSTUNREACH:
	case SE_ENETDOWN:
	case SE_EHOSTDOWN:
		return se_net_parts & SE_NET_PART_CONNECT;
	}
	return false;
}

/* A connect(2) that no hook saw: refused before, or of a protocol that has none. */
static __always_inline void other_connected(struct sock *sk, struct pt_regs *regs,
					    const struct se_args *args, bool from_memory, long ret)
{
	__u32 protocol = READ(sk, sk_protocol);
	struct given given = {};
	struct se_net *net;

	if (!se_is_wanted(SE_KIND_NET_CONNECT))
		return;
	if (ret < 0 && is_told(ret))
		return;
	if (ret >= 0 && (protocol == SE_IPPROTO_TCP ||
			 (protocol == SE_IPPROTO_UDP && se_net_parts & SE_NET_PART_CONNECT)))
		return;
	if (!read_given(&given, args->arg[1], args->arg[2]) ||
	    (ret >= 0 && given.family == SE_AF_UNSPEC))
		return;
	net = se_net__fresh(SE_KIND_NET_CONNECT, SE_NET_CONNECT, SE_HOOK_SYS_EXIT, SE_CALL_NONE,
			    READ(sk, __sk_common.skc_num), se_port(given.port));
	if (!net)
		return;
	se_net__ends(net, sk, se_can_cast());
	if (ret < 0) {
		net->error = ret;
		__builtin_memset(net->remote, 0, sizeof(net->remote));
		take_address(net->remote, &net->remote_port, &given);
		net->actor.flags |= SE_ACTOR_GRADE_USER;
	} else {
		compare_given(net, &given);
	}
	submit_connect(net, regs, from_memory);
}

/* The name of a Unix socket, from the kernel's copy. */
static __always_inline void unix_connected(struct sock *sk, struct pt_regs *regs, bool from_memory)
{
	struct {
		struct se_net net;
		__u8 path[SE_UNIX_PATH_MAX + 4];
	} * record;
	struct unix_sock *peer = (void *)BPF_CORE_READ((struct unix_sock *)sk, peer);
	struct unix_address *address = BPF_CORE_READ(peer, addr);
	__s32 length = BPF_CORE_READ(address, len) - 2;
	__u64 now_ns;

	now_ns = se_admit(SE_KIND_NET_CONNECT, (void *)bpf_get_current_task(), NULL);
	if (!now_ns)
		return;
	record = bpf_ringbuf_reserve(&se_bulk, sizeof(*record), 0);
	if (!record) {
		se_count(SE_KIND_NET_CONNECT, SE_RING_FULL);
		return;
	}
	__builtin_memset(record, 0, sizeof(*record));
	se_stamp_at(&record->net.header, SE_KIND_NET_CONNECT, sizeof(*record), now_ns);
	se_actor__fill(&record->net.actor, SE_HOOK_SYS_EXIT, SE_CALL_NONE);
	record->net.op = SE_NET_CONNECT;
	record->net.family = SE_AF_UNIX;
	record->net.socket_type = READ(sk, sk_type);
	record->net.cookie = READ(sk, __sk_common.skc_cookie.counter);
	if (length > SE_UNIX_PATH_MAX)
		length = SE_UNIX_PATH_MAX;
	if (length > 0) {
		__u32 room = length;

		barrier_var(room);
		if (room <= SE_UNIX_PATH_MAX &&
		    !bpf_probe_read_kernel(
			    record->path, room,
			    (void *)address + bpf_core_field_offset(struct unix_address, name) +
				    2)) {
			/* A path ends in a NUL that counts; a name without one begins with it. */
			if (record->path[0] && !record->path[(room - 1) & 127])
				room--;
			record->net.path.off = sizeof(record->net);
			record->net.path.len = room;
		}
	}
	submit_connect(&record->net, regs, from_memory);
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_connect, struct pt_regs *regs, long ret)
{
	struct se_args args = {};
	struct se_flow *flow;
	struct sock *sk;
	bool from_memory;
	__u32 family, call;

	if (se_is_restart(ret))
		return 0;
	from_memory = socket_args(regs, &args, &call);
	sk = sock_of(args.arg[0]);
	if (!sk)
		return 0;
	family = READ(sk, __sk_common.skc_family);
	if (family == SE_AF_UNIX) {
		if (se_unix && !ret && READ(sk, sk_type) == SE_SOCK_STREAM)
			unix_connected(sk, regs, from_memory);
		return 0;
	}
	if (!se_is_inet(family))
		return 0;
	flow = se_flow_of((__u64)sk);
	if (flow)
		flow_connected(flow, sk, regs, &args, from_memory, ret);
	else
		other_connected(sk, regs, &args, from_memory, ret);
	return 0;
}

SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_accept, struct pt_regs *regs, long ret)
{
	struct sock *sk = ret < 0 ? NULL : sock_of(ret);

	if (sk)
		se_net__accepted(sk, SE_HOOK_SYS_EXIT, se_syscall_call(regs));
	return 0;
}

/* A bind that was refused, or any where there is no hook. */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_bind, struct pt_regs *regs, long ret)
{
	struct se_args args = {};
	struct given given = {};
	struct se_net *net;
	struct sock *sk;
	bool from_memory;
	__u32 call;

	if (ret >= 0 && se_net_parts & SE_NET_PART_BIND)
		return 0;
	from_memory = socket_args(regs, &args, &call);
	sk = sock_of(args.arg[0]);
	if (!sk || !se_is_inet(READ(sk, __sk_common.skc_family)) ||
	    !read_given(&given, args.arg[1], args.arg[2]))
		return 0;
	net = se_net__fresh(SE_KIND_NET_BIND, SE_NET_BIND, SE_HOOK_SYS_EXIT, call,
			    se_port(given.port), 0);
	if (!net)
		return 0;
	se_net__ends(net, sk, se_can_cast());
	if (ret < 0) {
		net->error = ret;
		take_address(net->local, &net->local_port, &given);
		from_memory = true;
	}
	if (from_memory)
		net->actor.flags |= SE_ACTOR_GRADE_USER;
	se_submit(SE_KIND_NET_BIND, net);
	return 0;
}

/* A listen that was refused, or one whose port the kernel has chosen meanwhile. */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_listen, struct pt_regs *regs, long ret)
{
	struct se_args args = {};
	struct se_flow *flow;
	struct se_net *net;
	struct sock *sk;
	bool from_memory;
	__u32 call;
	__u64 key;

	from_memory = socket_args(regs, &args, &call);
	sk = sock_of(args.arg[0]);
	if (!sk || !se_is_inet(READ(sk, __sk_common.skc_family)))
		return 0;
	key = (__u64)sk;
	flow = se_flow_of(key);
	if (flow && flow->state == SE_FLOW_LISTENING)
		bpf_map_delete_elem(&se_flows, &key);
	else if (ret >= 0)
		return 0;
	net = se_net__fresh(SE_KIND_NET_LISTEN, SE_NET_LISTEN, SE_HOOK_SYS_EXIT, call,
			    READ(sk, __sk_common.skc_num), 0);
	if (!net)
		return 0;
	se_net__ends(net, sk, se_can_cast());
	net->error = ret < 0 ? ret : 0;
	net->backlog = READ(sk, sk_max_ack_backlog);
	if (from_memory)
		net->actor.flags |= SE_ACTOR_GRADE_USER;
	se_submit(SE_KIND_NET_LISTEN, net);
	return 0;
}

/* Sockets of packets, and raw ones that were refused; all raw ones where there is no hook. */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_socket, struct pt_regs *regs, long ret)
{
	struct se_args args = {};
	struct se_net *net;
	struct sock *sk;
	bool from_memory, is_raw;
	__u32 call, family, type;

	from_memory = socket_args(regs, &args, &call);
	family = args.arg[0];
	type = args.arg[1] & SE_SOCK_TYPE;
	is_raw = se_is_inet(family) && type == SE_SOCK_RAW &&
		 (ret < 0 || !(se_net_parts & SE_NET_PART_CREATE));
	if (family != SE_AF_PACKET && !is_raw)
		return 0;
	net = se_net__fresh(SE_KIND_NET_SOCKET, SE_NET_SOCKET, SE_HOOK_SYS_EXIT, call, 0, 0);
	if (!net)
		return 0;
	net->family = family;
	net->socket_type = type;
	net->protocol = args.arg[2];
	if (family == SE_AF_PACKET)
		net->protocol = se_port(args.arg[2]);
	if (ret < 0)
		net->error = ret;
	sk = ret < 0 ? NULL : sock_of(ret);
	if (sk)
		net->cookie = READ(sk, __sk_common.skc_cookie.counter);
	if (from_memory)
		net->actor.flags |= SE_ACTOR_GRADE_USER;
	se_submit(SE_KIND_NET_SOCKET, net);
	return 0;
}

/*
 * A datagram with an address of its own, where no hook sees it. Of many in one call the first counts. The
 * address is what user memory holds when the call returns.
 */
SEC("tp_btf/sys_exit")
int SE_PROG(se_sc_send, struct pt_regs *regs, long ret)
{
	__u32 reported = SE_PEER_REPORTED, call;
	struct se_args args = {};
	struct given given = {};
	struct se_peer peer = {};
	__u64 name = 0, length = 0;
	struct se_net *net;
	struct sock *sk;

	if (ret < 0 && se_is_restart(ret))
		return 0;
	socket_args(regs, &args, &call);
	if (call == SE_CALL_SOCKETCALL) {
		struct se_args outer = {};

		se_syscall_args(regs, &outer);
		call = outer.arg[0] == SE_SYS_SENDTO ? SE_CALL_SENDTO : SE_CALL_SENDMSG;
	}
	if (call == SE_CALL_SENDTO) {
		name = args.arg[4];
		length = args.arg[5];
	} else if (se_user_long(&name, args.arg[1], args.compat)) {
		__u32 bytes = 0;

		bpf_probe_read_user(&bytes, sizeof(bytes),
				    (void *)args.arg[1] + (args.compat ? 4 : 8));
		length = bytes;
	}
	if (!name)
		return 0;
	sk = sock_of(args.arg[0]);
	if (!sk || READ(sk, sk_protocol) != SE_IPPROTO_UDP ||
	    !se_is_inet(READ(sk, __sk_common.skc_family)) || !read_given(&given, name, length))
		return 0;
	/* The cookie is only made when somebody asks for it; the address of the socket stands in for it. */
	peer.cookie = (__u64)sk;
	take_address(peer.address, &peer.port, &given);
	if (bpf_map_lookup_elem(&se_peers, &peer))
		return 0;
	bpf_map_update_elem(&se_peers, &peer, &reported, BPF_ANY);
	net = se_net__fresh(SE_KIND_NET_CONNECT, SE_NET_DATAGRAM, SE_HOOK_SYS_EXIT, call,
			    READ(sk, __sk_common.skc_num), peer.port);
	if (!net)
		return 0;
	se_net__ends(net, sk, se_can_cast());
	__builtin_memcpy(net->remote, peer.address, sizeof(net->remote));
	net->remote_port = peer.port;
	net->error = ret < 0 ? ret : 0;
	net->actor.flags |= SE_ACTOR_GRADE_USER;
	se_submit(SE_KIND_NET_CONNECT, net);
	return 0;
}

/* Goes on to the program of the call that is meant, if there is one. */
SEC("tp_btf/sys_exit")
int BPF_PROG(se_sc_sockcall, struct pt_regs *regs, long ret)
{
	struct se_args args = {};
	__u32 call = SE_CALL_NONE;

	se_syscall_args(regs, &args);
	switch (args.arg[0]) {
	case SE_SYS_SOCKET:
		call = SE_CALL_SOCKET;
		break;
	case SE_SYS_BIND:
		call = SE_CALL_BIND;
		break;
	case SE_SYS_CONNECT:
		call = SE_CALL_CONNECT;
		break;
	case SE_SYS_LISTEN:
		call = SE_CALL_LISTEN;
		break;
	case SE_SYS_ACCEPT:
		call = SE_CALL_ACCEPT;
		break;
	case SE_SYS_ACCEPT4:
		call = SE_CALL_ACCEPT4;
		break;
	case SE_SYS_SENDTO:
		call = SE_CALL_SENDTO;
		break;
	case SE_SYS_SENDMSG:
	case SE_SYS_SENDMMSG:
		call = SE_CALL_SENDMSG;
		break;
	}
	if (call)
		bpf_tail_call(ctx, &se_handlers, call);
	return 0;
}
