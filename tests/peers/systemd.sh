# Boots systemd in namespaces of its own, on this machine's files as a copy that is thrown away.
#
#   unshare --mount --pid --ipc --uts --net --cgroup --fork --kill-child sh systemd.sh FOLDER INSTALL
#
# FOLDER has `site` (the installed packages), `files` (what INSTALL works on) and `out`; INSTALL is
# a shell script, which is run before the boot. What it enables must end the run.
set -eu
folder=$1
install=$2

mount --make-rprivate /
work=$folder/guest
mkdir "$work"
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/dev"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666
ln -s pts/ptmx "$root/dev/ptmx"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
# What systemd logs is read when a unit fails.
: >"$folder/out/systemd.log"
: >"$root/dev/kmsg"
mount --bind "$folder/out/systemd.log" "$root/dev/kmsg"
: >"$root/dev/console"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/srv/files" "$root/srv/out" "$root/srv/site"
for name in files out site; do
    mount --bind "$folder/$name" "$root/srv/$name"
done
mount -t tmpfs tmpfs "$root/tmp"
ip link set lo up

# None of this machine's own services.
rm -rf "$root"/lib/systemd/system/*.wants "$root"/etc/systemd/system/*
: >"$root/etc/machine-id"
chroot "$root" /bin/sh -euc "cd /srv/files; $install"

# Services get namespaces of their own: for that, the root must be one of a mount.
cd "$root"
mkdir old
pivot_root . old
umount --lazy /old
mount --make-rshared / # as a container manager does: credentials come to services that way
export container=holdfast
exec /lib/systemd/systemd --system --unit=multi-user.target --log-target=kmsg \
    --show-status=0 </dev/null
