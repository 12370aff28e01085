#!/bin/busybox sh
# Process 1 of a test VM: loads the modules, makes the host's root its own with everything that is written kept in memory,
# runs the job there and ends. What the job prints goes through a virtio port, what it complains of to the console.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/modules/$module" || echo "init: $module is not loaded"; done </modules/order

mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 host /host &&
  mount -t tmpfs tmpfs /overlay &&
  mkdir /overlay/upper /overlay/work &&
  mount -t overlay -o lowerdir=/host,upperdir=/overlay/upper,workdir=/overlay/work overlay /root &&
  mount -t proc proc /root/proc &&
  mount -t sysfs sysfs /root/sys &&
  mount -t devtmpfs devtmpfs /root/dev &&
  mount -t tmpfs tmpfs /root/run &&
  ifconfig lo up || { echo "init: no root"; poweroff -f; }
mkdir -p /root/dev/pts && mount -t devpts devpts /root/dev/pts

echo "init: Linux $(uname -r), running the job"
exec 3>/dev/vport0p1
echo "# up $(cut -d' ' -f1 /proc/uptime)" >&3
sh /job >&3
echo "# end $? $(cut -d' ' -f1 /proc/uptime)" >&3
exec 3>&-
poweroff -f
