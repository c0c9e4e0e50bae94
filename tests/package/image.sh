#!/usr/bin/env bash
# Makes the disk of a small Debian with systemd: image.sh IMAGE SUITE [PACKAGE]...
#
# The unit guest.service runs /run/payload/command once the system is up, with what it prints on the second serial port
# and its status on the third, and then turns the machine off. With selinux-policy-default among the packages the disk is
# labelled, and SELinux enforces where the kernel is told to use it.
set -euo pipefail
image=$1 suite=$2
shift 2
packages=$(printf ',%s' systemd systemd-sysv dbus curl kmod procps "$@")
# shellcheck disable=SC2016 # apt and mmdebstrap expand it
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | sort -u | head -n 1)
root=$(mktemp -d)
trap 'rm -rf "$root" "$image.tmp"' EXIT

# shellcheck disable=SC2016
mmdebstrap --quiet --mode=root --variant=apt --include="${packages#,}" \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/lib/udev/hwdb.bin' \
	"$suite" "$root" "$mirror" 2>/dev/null

echo guest >"$root/etc/hostname"
echo '/dev/vda / ext4 noatime 0 0' >"$root/etc/fstab"
printf '%s\n' '127.0.0.1 localhost guest' '::1 localhost' >"$root/etc/hosts"
# Without one, the first boot would apply presets to every unit and ask questions.
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
cat >"$root/etc/systemd/system/guest.target" <<'EOF'
[Unit]
Requires=multi-user.target
After=multi-user.target
Wants=guest.service
AllowIsolate=yes
EOF
cat >"$root/etc/systemd/system/guest.service" <<'EOF'
[Unit]
After=multi-user.target
[Service]
Type=exec
Environment=HOME=/root DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
WorkingDirectory=/run/payload
# Who logs in has this one. Without effect where SELinux is off.
SELinuxContext=unconfined_u:unconfined_r:unconfined_t:s0
ExecStart=/bin/sh -c 'stty -F /dev/ttyS1 -opost; sh ./command </dev/null >/dev/ttyS1 2>&1; echo $? >/dev/ttyS2; sync; reboot -ff'
EOF
# Nothing of this is needed for a service to run, and in emulation each second counts.
for unit in systemd-{udevd,udev-trigger,random-seed,update-utmp,update-utmp-runlevel,logind,user-sessions}.service \
	systemd-{remount-fs,pcrphase,pcrphase-sysinit,binfmt,machine-id-commit,modules-load,firstboot}.service \
	systemd-{networkd,network-generator,sysusers,sysext,pstore,repart,boot-system-token}.service \
	systemd-{udevd-control,udevd-kernel,initctl,networkd}.socket systemd-ask-password-{wall,console}.path getty.target \
	modprobe@.service e2scrub_reap.service proc-sys-fs-binfmt_misc.automount \
	{apt-daily,apt-daily-upgrade,dpkg-db-backup,e2scrub_all,fstrim,systemd-tmpfiles-clean}.timer \
	{dev-hugepages,dev-mqueue,sys-fs-fuse-connections,sys-kernel-config,proc-sys-fs-binfmt_misc}.mount; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

# Policy of programs that are not there makes each compilation of the whole take five times as long. These modules need no
# other, and hold systemd, RPM's scripts and the tools of SELinux.
modules='base getty unconfined xdg xserver'
if [ -e "$root/etc/selinux/config" ]; then
	sed -i 's/^SELINUX=.*/SELINUX=enforcing/' "$root/etc/selinux/config"
	mapfile -t superfluous < <(chroot "$root" semodule --list-modules=full |
		awk -v kept=" $modules " '$4 != "disabled" && !index(kept, " " $2 " ") { print "--disable=" $2 }')
	chroot "$root" semodule --noreload "${superfluous[@]}" 2>/dev/null
	# Here rather than at the first boot, which would take minutes for it.
	chroot "$root" setfiles -F /etc/selinux/default/contexts/files/file_contexts /
fi

size=$(($(du -sm "$root" | cut -f1) + 300))
/sbin/mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$root" "$image.tmp" "${size}M"
mv "$image.tmp" "$image"
