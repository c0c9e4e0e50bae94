#!/bin/sh
# What was set up on the host of the recording long before: accounts, keys, scripts and their cron jobs. It is no part of
# what is recorded, since to set up accounts and keys is what an intruder does too, and is told as such.
set -eu

export DEBIAN_FRONTEND=noninteractive
printf 'deb http://deb.debian.org/debian%s main\n' ' bookworm' ' bookworm-updates' '-security bookworm-security' \
	>/etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
echo 'APT::Periodic::RandomSleep "0";' >/etc/apt/apt.conf.d/99soon
# Services are started by hand, as no init runs.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get update -q
# An upgrade of everything would be most of the recording; a few packages show what one does.
apt list --upgradable 2>/dev/null | sed -n 's|/.*||p' | grep -Evx 'Listing...|libssl3|openssl|libgnutls30|tar|gzip|sed|login' |
	xargs -r apt-mark hold

adduser --quiet --disabled-password --gecos Ada --shell /bin/bash ada
mkdir -p /root/.ssh /home/ada/.ssh
chmod 700 /root/.ssh /home/ada/.ssh
ssh-keygen -q -t ed25519 -N '' -C root@build-1 -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519 /home/ada/.ssh/
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
cp /root/.ssh/id_ed25519.pub /home/ada/.ssh/authorized_keys
printf 'Host *\n  Port 2222\n  StrictHostKeyChecking accept-new\n' >/root/.ssh/config
cp /root/.ssh/config /home/ada/.ssh/config
printf '[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n' >/home/ada/.gitconfig
echo "PATH=/usr/local/rust/bin:\$PATH" >>/home/ada/.bashrc
chown -R ada: /home/ada
mkdir -p /etc/ssh/sshd_config.d
printf 'Port 2222\nListenAddress 127.0.0.1\n' >/etc/ssh/sshd_config.d/port.conf
echo 'ada ALL=(root) NOPASSWD: /usr/bin/apt-get update, /usr/bin/ss' >/etc/sudoers.d/ada
chmod 440 /etc/sudoers.d/ada

cat >/usr/local/bin/check <<'SCRIPT'
#!/bin/bash
# A check as a monitoring system runs it.
load=$(cut -d' ' -f1 /proc/loadavg)
disk=$(df -P / | awk 'NR==2 { print $5 }' | tr -d '%')
free=$(free -m | awk '/^Mem/ { print $7 }')
procs=$(ps -eo pid= | wc -l)
zombies=$(ps -eo stat= | grep -c '^Z')
users=$(who | wc -l)
ports=$(ss -Htln | wc -l)
top -b -n 1 | head -n 5 >/dev/null
[ "$disk" -lt 99 ] && echo "OK load=$load disk=$disk free=$free procs=$procs zombies=$zombies users=$users ports=$ports"
SCRIPT
cat >/usr/local/sbin/nightly-backup <<'SCRIPT'
#!/bin/sh
# A backup as administrators write them.
set -e
mkdir -p /srv/backup/day0
tar -czf /srv/backup/etc.tar.gz --exclude=ssl /etc 2>/dev/null
tar -cf - -C /home ada/hello | gzip -6 >/srv/backup/home.tar.gz
rsync -a --delete --link-dest=/srv/backup/day0 /var/lib/dpkg/triggers/ /srv/backup/day1/
rsync -aH --numeric-ids --exclude=/ssl --exclude=/alternatives /etc/ /srv/backup/etc/
sqlite3 /var/lib/app.db .dump | gzip >/srv/backup/app.sql.gz
dpkg --get-selections >/srv/backup/packages
find /srv/backup -name '*.gz' -mtime +30 -delete
cd /srv/backup
sha256sum -- *.gz >SHA256SUMS
sha256sum -c SHA256SUMS
openssl enc -aes-256-cbc -pbkdf2 -pass file:/etc/machine-id -in home.tar.gz -out home.tar.gz.enc
mkdir -p /srv/restore
tar -xzf home.tar.gz -C /srv/restore
rm -rf /srv/restore
SCRIPT
chmod 755 /usr/local/bin/check /usr/local/sbin/nightly-backup
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
mkdir -p /etc/cron.d
printf '* * * * * root /usr/local/bin/check >/var/log/check.log 2>&1\n* * * * * ada /usr/local/bin/check >>/home/ada/checks 2>&1\n* * * * * root /usr/local/sbin/nightly-backup >/var/log/backup.log 2>&1\n* * * * * root cd / && run-parts --report /etc/cron.daily\n' >/etc/cron.d/jobs
printf '/var/log/app.log {\n  daily\n  rotate 3\n  compress\n  missingok\n  create 640 root adm\n  postrotate\n    true rotated\n  endscript\n}\n' >/etc/logrotate.app
mkdir -p /etc/logrotate.d && mv /etc/logrotate.app /etc/logrotate.d/app
