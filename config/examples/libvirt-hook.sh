#!/bin/sh
# A hook of libvirt (/etc/libvirt/hooks/qemu): makes a VM's taps before it starts, and takes them away when it has ended.
# /etc/libvirt/portwright/VM has a line for each: NETWORK TAP MAC [QUEUES]
vm=$1
ports=${PORTWRIGHT_VMS:-/etc/libvirt/portwright}/$vm
[ -f "$ports" ] || exit 0

case $2 in
prepare)
  while read -r network tap mac queues; do
    # What a host that crashed has left would be in the way.
    portwright detach "$vm/$tap" < /dev/null > /dev/null 2>&1
    portwright attach --network "$network" --tap --name "$tap" --container "$vm" --mac "$mac" \
      --queues "${queues:-1}" < /dev/null >&2 || exit 1
  done < "$ports"
  ;;
release)
  while read -r _network tap _mac; do
    portwright detach "$vm/$tap" < /dev/null >&2
  done < "$ports"
  exit 0
  ;;
esac
