#!/bin/sh
# A machine with a real systemd as its first process: systemd-nspawn on a root with this machine's /usr under an overlay, and
# portwright installed there. Run it in a mount namespace of its own; it says "leader PID" at each boot. On SIGTERM the machine
# is gone, with its cgroups. What is masked would reach beyond the container: kernel settings, modules, devices.
# usage: systemd-machine.sh CHECKOUT NODE
set -eu
checkout=$1 node=$2

# A cgroup of its own below the caller's, and cgroup2 alone in sight: systemd then uses nothing but it, also on a machine that
# has version 1 as well.
unified=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
cgroup=${unified%/}${own%/}/portwright-test-$$
# Of runs that were killed before they could clean up.
for left in "${cgroup%-*}"-*; do
  [ -d "$left" ] && ! kill -0 "${left##*-}" 2> /dev/null || continue
  echo 1 > "$left/cgroup.kill"
  find "$left" -depth -type d -exec rmdir {} + 2> /dev/null || true
done
mkdir "$cgroup"
cleanup() {
  trap '' TERM INT
  echo "$$" > "$unified${own%/}/cgroup.procs"
  echo 1 > "$cgroup/cgroup.kill"
  until find "$cgroup" -depth -type d -exec rmdir {} + 2> /dev/null; do sleep 0.05; done
}
trap cleanup EXIT
trap 'exit 143' TERM INT
echo "$$" > "$cgroup/cgroup.procs"

mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/cgroup /run/machine
mount --bind "$unified" /run/cgroup
unified=/run/cgroup
cgroup=/run/cgroup${own%/}/portwright-test-$$

root=/run/machine
mkdir "$root/usr" /run/upper /run/work
mount -t overlay -o lowerdir=/usr,upperdir=/run/upper,workdir=/run/work overlay "$root/usr"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
mkdir -p "$root/etc/systemd/system" "$root/etc/systemd/system-preset" "$root/proc" "$root/sys" "$root/dev" "$root/run" \
  "$root/tmp" "$root/var" "$root/root"
cp -a /etc/ld.so.cache /etc/alternatives "$root/etc"
echo 'root:x:0:0::/root:/bin/sh' > "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"
echo 'passwd: files' > "$root/etc/nsswitch.conf"
echo host0 > "$root/etc/hostname"
tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
echo 'disable *' > "$root/etc/systemd/system-preset/00-nothing.preset"
ln -s /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
for unit in systemd-sysctl systemd-udevd systemd-udev-trigger systemd-modules-load modprobe@ systemd-binfmt dbus \
  systemd-logind systemd-random-seed systemd-user-sessions systemd-update-utmp systemd-remount-fs console-getty \
  systemd-network-generator systemd-hwdb-update ldconfig systemd-journal-catalog-update; do
  ln -s /dev/null "$root/etc/systemd/system/$unit.service"
done
for unit in sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount dbus.socket systemd-udevd-control.socket \
  systemd-udevd-kernel.socket getty.target remote-fs.target; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done

# What firmware and udev do on other hosts: a NIC with somebody on its wire, and the BPF file system.
cat > "$root/etc/systemd/system/hardware.service" << 'UNIT'
[Unit]
DefaultDependencies=no
Before=systemd-tmpfiles-setup.service sysinit.target network-pre.target
After=local-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount -o remount,rw /sys
ExecStart=mkdir -p /sys/fs/bpf
ExecStart=mount -t bpf -o mode=700 bpf /sys/fs/bpf
ExecStart=ip netns add wire
ExecStart=ip link add nic0 type veth peer name nic0 netns wire
ExecStart=ip -n wire link set nic0 up
[Install]
WantedBy=sysinit.target
UNIT
mkdir "$root/etc/systemd/system/sysinit.target.wants"
ln -s ../hardware.service "$root/etc/systemd/system/sysinit.target.wants/hardware.service"
[ -x /usr/bin/node ] || cp "$node" "$root/usr/bin/node"
"$node" "$checkout/scripts/install.mjs" "$root"

umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
while :; do
  # Its own death signal: if this shell is killed, the machine ends with it.
  setpriv --pdeathsig KILL systemd-nspawn --quiet --register=no --keep-unit --private-network --boot \
    --capability=CAP_BPF,CAP_PERFMON --system-call-filter="bpf perf_event_open @keyring" --directory="$root" \
    --resolv-conf=off --timezone=off --link-journal=no --console=pipe < /dev/null &
  nspawn=$!
  leader=
  while [ -z "$leader" ] && kill -0 "$nspawn" 2> /dev/null; do
    sleep 0.05
    for child in $(cat "/proc/$nspawn/task/$nspawn/children" 2> /dev/null); do
      [ "$(cat "/proc/$child/comm" 2> /dev/null)" = systemd ] && leader=$child
    done
  done
  echo "leader $leader"
  code=0
  wait "$nspawn" || code=$?
  # With --keep-unit a machine that wants to be booted again ends so.
  [ "$code" -eq 133 ] || exit "$code"
  echo "$$" > "$cgroup/cgroup.procs"
done
