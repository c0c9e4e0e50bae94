// SPDX-License-Identifier: Apache-2.0
// Connects to itself over loopback, accepts and closes both ends, again and again: tcp COUNT
//
// One thread does all of it: a connect over loopback is complete before anybody accepts. The accepting end closes
// first, as many servers do, so that the port which is kept for a minute is the listener's. If the connecting end did,
// the kernel would soon hunt for free ports, for several times the CPU time of the connection itself, until the host has
// as many closed ports as it remembers (net.ipv4.tcp_max_tw_buckets): no two runs would cost the same.

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	if (argc != 2) {
		fprintf(stderr, "usage: tcp COUNT\n");
		return 2;
	}
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 16) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) != 0)
		return fail("listen");
	for (long left = atol(argv[1]); left > 0; left--) {
		int client = socket(AF_INET, SOCK_STREAM, 0);

		if (client < 0 || connect(client, (struct sockaddr *)&address, sizeof(address)) != 0)
			return fail("connect");
		int server = accept(listener, NULL, NULL);

		if (server < 0)
			return fail("accept");
		close(server);
		close(client);
	}
	return 0;
}
