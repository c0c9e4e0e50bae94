// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Packets of sockets: DNS messages, and how much went over a socket of datagrams.
 *
 * Every packet passes here, so what is of no interest is gone after a look at its protocol and ports. DNS is
 * what goes to port 53 of another side and what comes back from there: a question on its way out, an answer on
 * its way in. What this host answers as a server is the server's traffic and not told here. Over TCP a message
 * is looked for at the beginning of a segment, behind its two bytes of length; one that is spread over several
 * segments is told as far as the first one goes.
 *
 * Limits: IPv6 with extension headers is not looked into.
 */
#include "lib/net.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum {
	SE_ALLOW = 1,
	SE_DNS_PORT = 53,
	SE_DNS_HEADER = 12,
	SE_DNS_MAX = 512, /* bytes of a message that are kept */
	SE_ETH_P_IP = 0x0800,
	SE_ETH_P_IPV6 = 0x86dd,
	SE_QUESTION_ROOM = 128, /* what most questions fit into */
};

/* Where the parts of a packet are. */
struct packet {
	__u32 transport; /* offset of the header */
	__u32 payload;
	__u32 end;
	__u8 protocol;
	__be16 source, destination;
};

/* False for what is neither TCP nor UDP. */
static __always_inline bool read_packet(struct __sk_buff *skb, struct packet *packet)
{
	__u8 *data = (__u8 *)(long)skb->data, *end = (__u8 *)(long)skb->data_end;
	__u32 header;

	if (skb->protocol == __builtin_bswap16(SE_ETH_P_IP)) {
		if (data + 20 > end)
			return false;
		packet->protocol = data[9];
		header = (data[0] & 15) * 4;
		packet->end = data[2] << 8 | data[3];
	} else if (skb->protocol == __builtin_bswap16(SE_ETH_P_IPV6)) {
		if (data + 40 > end)
			return false;
		packet->protocol = data[6];
		header = 40;
		packet->end = 40 + (data[4] << 8 | data[5]);
	} else {
		return false;
	}
	if (packet->protocol != SE_IPPROTO_TCP && packet->protocol != SE_IPPROTO_UDP)
		return false;
	packet->transport = header;
	data += header;
	if (data + 8 > end)
		return false;
	packet->source = *(__be16 *)data;
	packet->destination = *(__be16 *)(data + 2);
	if (packet->protocol == SE_IPPROTO_UDP) {
		packet->payload = header + 8;
	} else {
		if (data + 20 > end)
			return false;
		packet->payload = header + (data[12] >> 4) * 4;
	}
	if (packet->end > skb->len)
		packet->end = skb->len;
	return packet->payload <= packet->end;
}

/* Both ends as the packet has them: a socket that is not connected has many others. */
static __always_inline void packet_ends(struct se_net *net, struct __sk_buff *skb,
					const struct packet *packet, const bool out)
{
	__u8 *source = out ? net->local : net->remote,
	     *destination = out ? net->remote : net->local;

	if (skb->protocol == __builtin_bswap16(SE_ETH_P_IP)) {
		net->family = SE_AF_INET;
		bpf_skb_load_bytes(skb, 12, source, 4);
		bpf_skb_load_bytes(skb, 16, destination, 4);
	} else {
		net->family = SE_AF_INET6;
		bpf_skb_load_bytes(skb, 8, source, 16);
		bpf_skb_load_bytes(skb, 24, destination, 16);
	}
	net->local_port = se_port(out ? packet->source : packet->destination);
	net->remote_port = se_port(out ? packet->destination : packet->source);
}

/* Hands out a message, in a record with room for so much of it, a constant. */
static __always_inline void submit_message(struct __sk_buff *skb, const struct packet *packet,
					   struct se_flow *flow, const bool out, __u32 offset,
					   __u32 length, __u64 now_ns, const __u32 room)
{
	struct se_net *net = bpf_ringbuf_reserve(&se_bulk, sizeof(*net) + room, 0);
	__u32 flags = packet->protocol == SE_IPPROTO_TCP ? SE_NET_TCP : 0;

	if (!net) {
		se_count(SE_KIND_NET_DNS, SE_RING_FULL);
		return;
	}
	__builtin_memset(net, 0, sizeof(*net) + room);
	if (flow) {
		net->actor = flow->net.actor;
		net->cookie = flow->net.cookie;
		flags |= flow->net.flags & SE_NET_UNOWNED;
	} else {
		flags |= SE_NET_UNOWNED;
		net->actor.loginuid = -1;
		net->cookie = bpf_get_socket_cookie(skb);
	}
	se_stamp_at(&net->header, SE_KIND_NET_DNS, sizeof(*net) + room, now_ns);
	net->actor.hook = SE_HOOK_CGROUP_SKB;
	net->actor.call = SE_CALL_NONE;
	net->op = out ? SE_NET_DNS_QUERY : SE_NET_DNS_ANSWER;
	net->protocol = packet->protocol;
	net->socket_type = flags & SE_NET_TCP ? SE_SOCK_STREAM : SE_SOCK_DGRAM;
	packet_ends(net, skb, packet, out);
	if (length > room) {
		length = room;
		flags |= SE_NET_PAYLOAD_CUT;
	}
	/* Bounded as what is one less: older verifiers do not see that a tested copy bounds the length above zero. */
	length--;
	barrier_var(length);
	if (length < room && !bpf_skb_load_bytes(skb, offset, net + 1, length + 1)) {
		net->payload.off = sizeof(*net);
		net->payload.len = length + 1;
	} else {
		flags |= SE_NET_PAYLOAD_CUT;
	}
	net->flags = flags;
	se_submit(SE_KIND_NET_DNS, net);
}

/* The header of a message that goes that way: a question out, an answer in. */
static __always_inline bool is_message(const __u8 *header, const bool out)
{
	return (header[2] & 0x80) == (out ? 0 : 0x80);
}

/* Where in the packet a message begins, 0 if there is none. */
static __always_inline __u32 find_message(struct __sk_buff *skb, const struct packet *packet,
					  const bool out)
{
	__u8 head[SE_DNS_HEADER + 2] = {};
	__u32 length = packet->end - packet->payload;

	if (packet->protocol == SE_IPPROTO_UDP) {
		if (length < SE_DNS_HEADER ||
		    bpf_skb_load_bytes(skb, packet->payload, head, SE_DNS_HEADER))
			return 0;
		return is_message(head, out) ? packet->payload : 0;
	}
	if (length < SE_DNS_HEADER + 2 ||
	    bpf_skb_load_bytes(skb, packet->payload, head, sizeof(head)))
		return 0;
	/*
	 * One question, as in all that resolvers send: the rest of a long answer hardly looks like it. Some send
	 * the length in a segment of its own.
	 */
	if ((head[0] << 8 | head[1]) >= SE_DNS_HEADER && is_message(head + 2, out) && !head[6] &&
	    head[7] == 1)
		return packet->payload + 2;
	if (is_message(head, out) && !head[4] && head[5] == 1)
		return packet->payload;
	return 0;
}

static __always_inline void on_message(struct __sk_buff *skb, const struct packet *packet,
				       struct se_flow *flow, const bool out)
{
	__u32 offset = find_message(skb, packet, out), length;
	__u64 now_ns;

	if (!offset)
		return;
	length = packet->end - offset;
	now_ns = se_net__admit(SE_KIND_NET_DNS, flow && flow->flags & SE_FLOW_SKIPPED,
			       se_port(out ? packet->source : packet->destination), SE_DNS_PORT);
	if (!now_ns)
		return;
	if (length <= SE_QUESTION_ROOM)
		submit_message(skb, packet, flow, out, offset, length, now_ns, SE_QUESTION_ROOM);
	else
		submit_message(skb, packet, flow, out, offset, length, now_ns, SE_DNS_MAX);
}

/* Remembers who sent first, so that the answer is not taken for a question. */
static __always_inline void on_peer(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 came = SE_PEER_CAME;
	struct se_peer peer = {};

	peer.cookie = bpf_get_socket_cookie(skb);
	peer.port = se_port(packet->source);
	if (skb->protocol == __builtin_bswap16(SE_ETH_P_IP))
		bpf_skb_load_bytes(skb, 12, peer.address, 4);
	else
		bpf_skb_load_bytes(skb, 8, peer.address, 16);
	if (!bpf_map_lookup_elem(&se_peers, &peer))
		bpf_map_update_elem(&se_peers, &peer, &came, BPF_NOEXIST);
}

/* The first datagram of a socket came in: whose it is will be known when the owner answers, or closes it. */
static __always_inline struct se_flow *begin_flow(struct __sk_buff *skb, __u64 sk,
						  const struct packet *packet)
{
	struct se_flow *flow = se_flow__add(sk);

	if (!flow)
		return NULL;
	packet_ends(&flow->net, skb, packet, false);
	flow->net.cookie = bpf_get_socket_cookie(skb);
	flow->net.socket_type = SE_SOCK_DGRAM;
	flow->net.protocol = packet->protocol;
	flow->net.actor.loginuid = -1;
	flow->net.flags = SE_NET_INCOMING | SE_NET_UNOWNED;
	flow->since_ns = bpf_ktime_get_boot_ns();
	flow->state = SE_FLOW_OPEN;
	flow->flags = SE_FLOW_REPORTED;
	return flow;
}

static __always_inline int on_packet(struct __sk_buff *skb, const bool out)
{
	struct bpf_sock *socket = skb->sk;
	struct packet packet = {};
	struct se_flow *flow = NULL;
	__u64 key = skb->sk_bits;
	bool is_dns, is_datagram;

	/* What is left of one that waits for its last segments to die out has none. */
	socket = socket ? bpf_sk_fullsock(socket) : NULL;
	if (!socket)
		return SE_ALLOW;
	/* Most packets by far: connections that carry no names are none of this program's business. */
	if (socket->protocol == SE_IPPROTO_TCP && socket->src_port != SE_DNS_PORT &&
	    socket->dst_port != __builtin_bswap16(SE_DNS_PORT))
		return SE_ALLOW;
	if (!read_packet(skb, &packet))
		return SE_ALLOW;
	is_dns = (out ? packet.destination : packet.source) == __builtin_bswap16(SE_DNS_PORT) &&
		 se_is_wanted(SE_KIND_NET_DNS);
	is_datagram = packet.protocol == SE_IPPROTO_UDP;
	if (!is_dns && !is_datagram)
		return SE_ALLOW;
	flow = se_flow_of(key);
	if (is_datagram) {
		if (!flow && !out && se_is_wanted(SE_KIND_NET_FLOW))
			flow = begin_flow(skb, key, &packet);
		if (flow && out) {
			__sync_fetch_and_add(&flow->net.bytes_sent, packet.end - packet.payload);
			__sync_fetch_and_add(&flow->net.packets_sent, 1);
		} else if (flow) {
			__sync_fetch_and_add(&flow->net.bytes_received,
					     packet.end - packet.payload);
			__sync_fetch_and_add(&flow->net.packets_received, 1);
		}
		if (!out && !socket->dst_port)
			on_peer(skb, &packet);
	}
	if (is_dns)
		on_message(skb, &packet, flow, out);
	return SE_ALLOW;
}

SEC("cgroup_skb/egress")
int se_packet_out(struct __sk_buff *skb)
{
	return on_packet(skb, true);
}

SEC("cgroup_skb/ingress")
int se_packet_in(struct __sk_buff *skb)
{
	return on_packet(skb, false);
}
