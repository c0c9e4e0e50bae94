// SPDX-License-Identifier: Apache-2.0
// Makes a system call that does nothing and interests nobody, as fast as it goes: getppid COUNT

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: getppid COUNT\n");
		return 2;
	}
	for (long left = atol(argv[1]); left > 0; left--)
		syscall(SYS_getppid);
	return 0;
}
