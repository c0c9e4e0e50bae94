// SPDX-License-Identifier: Apache-2.0
// Spawns a program again and again and waits for each: spawner PROGRAM COUNT MARK RATE
//
// Every process gets "MARK-<number>" as its argument, so that each can be found in what an observer wrote. RATE is
// processes a second; 0 is as fast as it goes.

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct timespec due;
	char *none[] = { NULL };
	char mark[256];

	if (argc != 5) {
		fprintf(stderr, "usage: spawner PROGRAM COUNT MARK RATE\n");
		return 2;
	}
	long count = atol(argv[2]);
	long rate = atol(argv[4]);
	char *args[] = { argv[1], mark, NULL };

	clock_gettime(CLOCK_MONOTONIC, &due);
	for (long i = 0; i < count; i++) {
		pid_t child;

		snprintf(mark, sizeof(mark), "%s-%ld", argv[3], i);
		if (posix_spawn(&child, argv[1], NULL, NULL, args, none) != 0) {
			perror("posix_spawn");
			return 1;
		}
		if (waitpid(child, NULL, 0) != child) {
			perror("waitpid");
			return 1;
		}
		if (rate > 0) {
			due.tv_nsec += 1000000000L / rate;
			if (due.tv_nsec >= 1000000000L) {
				due.tv_nsec -= 1000000000L;
				due.tv_sec++;
			}
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
		}
	}
	return 0;
}
