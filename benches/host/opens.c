// SPDX-License-Identifier: Apache-2.0
// Opens files to read and closes them, as fast as it goes: opens DIRECTORY FILES COUNT PROCESSES
//
// The files are DIRECTORY/0 to DIRECTORY/<FILES - 1>, taken in turn. COUNT opens are done in all, by PROCESSES
// processes one after the other: with as many opens a process as there are files, no process opens a file twice.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int work(char **paths, long files, long count)
{
	for (long i = 0, file = 0; i < count; i++) {
		int fd = openat(AT_FDCWD, paths[file], O_RDONLY);

		if (fd < 0) {
			perror(paths[file]);
			return 1;
		}
		close(fd);
		file = file + 1 < files ? file + 1 : 0;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: opens DIRECTORY FILES COUNT PROCESSES\n");
		return 2;
	}
	long files = atol(argv[2]);
	long processes = atol(argv[4]);
	long each = atol(argv[3]) / processes;
	// Formatting a path costs as much as half an open, so it is done before.
	char **paths = calloc(files, sizeof(*paths));

	for (long i = 0; i < files; i++) {
		if (paths == NULL || asprintf(&paths[i], "%s/%ld", argv[1], i) < 0) {
			fprintf(stderr, "opens: no memory\n");
			return 1;
		}
	}
	if (processes == 1)
		return work(paths, files, each);
	for (long i = 0; i < processes; i++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			_exit(work(paths, files, each));
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
			fprintf(stderr, "opens: a process failed\n");
			return 1;
		}
	}
	return 0;
}
