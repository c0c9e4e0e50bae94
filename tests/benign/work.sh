#!/bin/sh
# What people and their machines do all day: the work that the recording in tests/data/benign is of. Runs as the first
# process of a fresh Debian system (see root.sh and prepare.sh); what it leaves behind is thrown away.
#
# Each kind of work begins with `/bin/true work-NAME`, so that the test can tell that it is there. What people type is typed
# into a shell that they reached by ssh; what machines do on their own is run by scripts. What fails is said and does
# not stop the rest.
set -u

export DEBIAN_FRONTEND=noninteractive

# job NAME: the script on standard input, as a session without a terminal.
job() {
	cat >"/srv/work/$1"
	echo "== $1"
	setsid --wait bash -c "/bin/true work-$1; . /srv/work/$1" </dev/null || echo "== $1 ended with $?"
}

# typed NAME USER: the lines on standard input, at a prompt.
typed() {
	echo "== $1"
	{
		echo "/bin/true work-$1"
		cat
		# Some programs throw away what was typed while they ran.
		sleep 3
		echo
		echo exit
	} | setsid --wait ssh -tt "$2@127.0.0.1" || echo "== $1 ended with $?"
}

job packages <<'PART'
apt-get update -q
apt-get install -qy --no-install-recommends cron openssh-server rsync logrotate bubblewrap crun nano vim-tiny ed sqlite3 \
	openssl wget psmisc lsof bsdutils
apt-get upgrade -qy
apt-get install -qy --no-install-recommends tree zip jq
apt-get install -qy --reinstall ca-certificates
apt-get purge -qy tree zip
apt-get autoremove -qy
apt-get clean
dpkg-reconfigure -f noninteractive debconf
dpkg-reconfigure -f noninteractive ca-certificates
apt-get install -qy --no-install-recommends dnsmasq-base
mkdir -p /run/sshd
service ssh start
sqlite3 /var/lib/app.db 'create table t(a); insert into t values (1), (2);'
PART

# Nobody asks five things of a host within a minute, but for an intruder or a script.
typed looking root <<'PART'
df -h; df -i; findmnt -n /; du -xsh /var/log
tail -n 5 /var/log/dpkg.log
ps auxww | sort -rnk 3 | head -n 5
sleep 25
free -m; vmstat 1 2
sleep 25
ss -tlnp
sleep 25
w
update-alternatives --list editor; ldconfig
sleep 25
top -b -n 1 | head -n 12
sleep 25
dpkg -l | wc -l
sleep 25
uname -a
sleep 25
ip -br addr
find /etc -name '*.conf' -newer /etc/hostname | head
grep -n Port /etc/ssh/sshd_config
apt-cache policy jq; dpkg -V jq
PART

typed compile-c ada <<'PART'
mkdir -p ~/hello && cd ~/hello
for unit in main list text hash tree; do printf '#include <stdio.h>\n#include <stdlib.h>\nint %s_of(int n) { return n > 0 ? n * 2 : abs(n); }\n' "$unit" >"$unit.c"; done
echo 'int main(void) { printf("%d\n", main_of(21)); return 0; }' >>main.c
printf 'objects = main.o list.o text.o hash.o tree.o\nhello: $(objects)\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O2 -g -Wall -c -o $@ $<\ncheck: hello\n\t./hello | grep -q 42\ninstall: hello\n\tinstall -D -m 755 hello $(HOME)/bin/hello\nclean:\n\trm -f hello *.o\n' >Makefile
make -j2 && make check && make install
gcc -shared -fPIC -o libtext.so text.c
ar rcs libhash.a hash.o
strip --strip-debug -o hello.small hello
nm hello | wc -l
~/bin/hello
make clean
PART

typed compile-rust ada <<'PART'
mkdir -p ~/count/src && cd ~/count
printf '[package]\nname = "count"\nversion = "0.1.0"\nedition = "2021"\n' >Cargo.toml
echo 'fn main() { println!("{}", std::env::args().skip(1).map(|a| a.len()).sum::<usize>()); }' >src/main.rs
echo '#[test] fn adds() { assert_eq!(1 + 1, 2); }' >>src/main.rs
cargo build --offline && cargo test --offline && cargo run --offline -- one two
rustc --version
cargo clean
PART

typed git ada <<'PART'
cd ~/hello && git init -q && git add Makefile main.c list.c text.c hash.c && git commit -qm "First files"
git checkout -qb trees && git add tree.c && git commit -qm "Trees" && git checkout -q main && git merge -q --no-ff -m "Merge trees" trees
echo '*.o' >.gitignore && git add .gitignore && git commit -qm "Leave objects out"
git clone -q --bare ~/hello ~/hello.git && git clone -q ~/hello.git ~/copy
cd ~/copy && sed -i s/21/22/ main.c && git commit -qam "One more" && git push -q
git log --oneline --stat | cat; git gc -q; git fsck; git stash list; git archive HEAD | tar -t
git clone -q ssh://ada@127.0.0.1/home/ada/hello.git ~/over-ssh
git ls-remote --heads ssh://ada@127.0.0.1/home/ada/hello.git
PART

job containers <<'PART'
mkdir -p /srv/box/bin /srv/box/proc /srv/box/old /srv/box/dev /srv/bundle
cp /usr/bin/true /usr/bin/ls /usr/bin/sleep /srv/box/bin/
cp /usr/bin/dash /srv/box/bin/sh
for file in $(ldd /srv/box/bin/* | grep -o '/lib[^ ]*' | sort -u); do
	mkdir -p "/srv/box$(dirname "$file")"
	cp "$file" "/srv/box$file"
done
bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp --unshare-all --die-with-parent bash -c 'ls /; echo hi > /tmp/x'
cd /srv/bundle && crun spec
jq '.process.terminal = false | .process.args = ["/bin/sh", "-c", "/bin/ls / >/dev/null; /bin/true in-container"] | .root.path = "/srv/box" | del(.linux.resources)' config.json >config.new && mv config.new config.json
crun --cgroup-manager=disabled run box1
crun --cgroup-manager=disabled run --detach box2
sleep 1
crun list
crun delete --force box2
printf '#!/bin/sh\nmount --bind /srv/box /srv/box && cd /srv/box && pivot_root . old && exec /bin/ls /\n' >/srv/bundle/enter
chmod 755 /srv/bundle/enter
unshare --mount --pid --fork --uts --ipc --propagation private /srv/bundle/enter
PART

typed ssh ada <<'PART'
ssh -n 127.0.0.1 uptime
ssh -n 127.0.0.1 "cd /var/log && ls -l && tail -n 3 dpkg.log"
ssh -n 127.0.0.1 /usr/local/bin/check
echo hello >hello.txt
scp -q hello.txt 127.0.0.1:letter.txt
scp -q 127.0.0.1:/etc/os-release release
rsync -az hello/ 127.0.0.1:hello-copy/
echo "get /etc/hostname name" | sftp -q -b - 127.0.0.1
ssh -f -N -o ExitOnForwardFailure=yes -L 8022:127.0.0.1:2222 127.0.0.1 && ssh -n -p 8022 127.0.0.1 true
ssh-keyscan -p 2222 127.0.0.1 | wc -l
pkill -f 8022:127
sudo -n ss -tln; exit
PART

typed upkeep root <<'PART'
for day in 1 2 3; do seq 2000 >/var/log/app.log; logrotate -f /etc/logrotate.conf; done
systemd-sysusers
systemd-tmpfiles --create --prefix=/tmp --prefix=/run --prefix=/var
systemd-tmpfiles --clean
mandb -q
man -P cat ls >/dev/null
apropos compress | wc -l
service --status-all
service cron restart
sysctl -a 2>/dev/null | wc -l
date; journalctl --version | head -n 1
PART

typed python ada <<'PART'
cat >task.py <<'END'
import json, os, subprocess, tempfile, urllib.request
with tempfile.NamedTemporaryFile("w", delete=False) as f:
    json.dump({"a": 1}, f)
print(json.load(open(f.name)), os.getpid())
print(subprocess.run(["uname", "-a"], capture_output=True).stdout)
print(subprocess.check_output("ls -l /tmp | wc -l", shell=True))
print(len(urllib.request.urlopen("http://deb.debian.org/debian/dists/bookworm/Release").read()))
os.unlink(f.name)
END
python3 task.py
mkdir -p sums/sums && echo "def add(a, b): return a + b" >sums/sums/__init__.py
printf 'from setuptools import setup\nsetup(name="sums", version="1.0", packages=["sums"])\n' >sums/setup.py
python3 -m venv --system-site-packages --without-pip env
. env/bin/activate
python3 -m pip install -q --no-index --no-build-isolation ./sums
python3 -m pip list | tail -n 2
python3 -c "import sums; print(sums.add(1, 2))"
python3 -m compileall -q sums
curl -sSfo Release http://deb.debian.org/debian/dists/bookworm/Release
wget -q http://deb.debian.org/debian/dists/bookworm/InRelease
PART

typed editors ada <<'PART'
printf 'one line\n' >notes.txt
vim.tiny -es -u NONE -c '%s/one/two/' -c wq notes.txt
printf 'a\nline\n.\nw\nq\n' | ed -s notes.txt
sed -i s/two/three/ notes.txt
(sleep 1; printf words; sleep 1; printf '\030'; sleep 1; printf y; sleep 1; printf '\r'; sleep 1) | script -qec 'timeout 9 nano plan.txt' /dev/null
cat notes.txt plan.txt
PART

job cron <<'PART'
cron -f &
sleep $((62 - $(date +%S | sed s/^0//)))
sleep 9
kill %1
cat /var/log/check.log /var/log/backup.log /home/ada/checks
PART
/bin/true work-end
