// SPDX-License-Identifier: Apache-2.0
// The kernel makes no tap by RTM_NEWLINK (tun_validate, drivers/net/tun.c): it goes by /dev/net/tun, and the device is
// born in the namespace of the thread that opens it. It becomes persistent last: until then it goes with its
// descriptor, so that a death in between leaves nothing without a name of ours.
#include "tap.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cstring>

#include "fd.h"

namespace pw {

namespace {

constexpr char kTunDevice[] = "/dev/net/tun";

void Control(const Fd& fd, unsigned long request, unsigned long value, const char* op, const std::string& name) {
  if (ioctl(fd.get(), request, value) < 0) throw KernelError(errno, op, name);
}

// Who opens the tap later says by itself whether its queue has a vnet header; the number of queues is fixed to one or
// to MAX_TAP_QUEUES here.
Fd Open(const std::string& name, const TapSettings& tap) {
  Fd fd(open(kTunDevice, O_RDWR | O_CLOEXEC));
  if (!fd) throw KernelError(errno, "open", kTunDevice);
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  const int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL | (tap.multi_queue ? IFF_MULTI_QUEUE : 0);
  request.ifr_flags = static_cast<short>(flags);
  if (ioctl(fd.get(), TUNSETIFF, &request) < 0) {
    // A name that is taken, by whatever kind of link: RTM_NEWLINK says EEXIST of that.
    throw KernelError(errno == EBUSY ? EEXIST : errno, "TUNSETIFF", name);
  }
  return fd;
}

}  // namespace

Created CreateTap(NetlinkSocket& socket, std::atomic<uint64_t>* writes, const LinkCreate& create) {
  const std::string& name = *create.settings.name;
  Fd fd = Open(name, *create.tap);
  ++*writes;
  if (create.tap->owner) Control(fd, TUNSETOWNER, *create.tap->owner, "TUNSETOWNER", name);
  if (create.tap->group) Control(fd, TUNSETGROUP, *create.tap->group, "TUNSETGROUP", name);
  const uint32_t ifindex = ResolveLink(socket, {0, name});
  LinkSettings settings = create.settings;
  settings.name.reset();
  ChangeLink(socket, {ifindex, {}}, settings);
  std::optional<Link> link = GetLink(socket, {ifindex, {}});
  if (!link) throw KernelError(ENODEV, "RTM_GETLINK", name, "gone right after its creation");
  Control(fd, TUNSETPERSIST, 1, "TUNSETPERSIST", name);
  return {ifindex, 0, link->mac};
}

}  // namespace pw
