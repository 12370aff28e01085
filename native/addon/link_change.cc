// SPDX-License-Identifier: Apache-2.0
#include "link_change.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <exception>
#include <thread>

#include "netns.h"
#include "tap.h"

namespace pw {

namespace {

constexpr uint8_t kAddrGenModeNone = 1;  // IN6_ADDR_GEN_MODE_NONE; if_link.h has it with glibc's net/if.h clashes

void PutFlag(ifinfomsg* info, unsigned flag, const std::optional<bool>& on) {
  if (!on) return;
  info->ifi_change |= flag;
  if (*on) info->ifi_flags |= flag;
}

// What the create message and the change message have in common.
void PutCommon(Message& message, const LinkSettings& s) {
  if (s.mtu) message.Put32(IFLA_MTU, *s.mtu);
  if (s.mac) message.Put(IFLA_ADDRESS, s.mac->data(), s.mac->size());
  if (s.tx_queue_length) message.Put32(IFLA_TXQLEN, *s.tx_queue_length);
  if (s.master) message.Put32(IFLA_MASTER, *s.master);
  if (s.netns) message.Put32(IFLA_NET_NS_FD, static_cast<uint32_t>(s.netns->get()));
}

void PutInfo(Message& message, const std::string& kind, const LinkData& data, const std::optional<PeerSettings>& peer) {
  nlattr* info = message.Nest(IFLA_LINKINFO);
  message.PutString(IFLA_INFO_KIND, kind);
  if (!data.empty() || peer) {
    nlattr* nest = message.Nest(IFLA_INFO_DATA);
    EncodeLinkData(message, kind, data);
    if (peer) {
      nlattr* end = message.Nest(VETH_INFO_PEER);
      message.Raw(sizeof(ifinfomsg));  // zero: IFF_UP here is ENOTCONN
      message.PutString(IFLA_IFNAME, peer->name);
      if (peer->mac) message.Put(IFLA_ADDRESS, peer->mac->data(), peer->mac->size());
      if (peer->mtu) message.Put32(IFLA_MTU, *peer->mtu);
      if (peer->netns) message.Put32(IFLA_NET_NS_FD, static_cast<uint32_t>(peer->netns->get()));
      message.End(end);
    }
    message.End(nest);
  }
  message.End(info);
}

void PutMemberInfo(Message& message, const std::string& master_kind, const LinkData& data) {
  nlattr* info = message.Nest(IFLA_LINKINFO);
  message.PutString(IFLA_INFO_SLAVE_KIND, master_kind);
  nlattr* nest = message.Nest(IFLA_INFO_SLAVE_DATA);
  EncodeLinkData(message, MemberOf(master_kind), data);
  message.End(nest);
  message.End(info);
}

void PutNoIpv6LinkLocal(Message& message) {
  nlattr* families = message.Nest(IFLA_AF_SPEC);
  nlattr* ipv6 = message.Nest(AF_INET6);
  message.Put8(IFLA_INET6_ADDR_GEN_MODE, kAddrGenModeNone);
  message.End(ipv6);
  message.End(families);
}

// IFLA_INFO_KIND of the link and of its master: data is encoded by the table of one, member data by that of the other.
struct Kinds {
  std::string own, master;
};

// One message of settings for an existing link. RTM_NEWLINK without NLM_F_CREATE: unlike RTM_SETLINK it also takes
// IFLA_LINKINFO (rtnl_newlink, rtnl_changelink).
void SendSettings(NetlinkSocket& socket, uint32_t ifindex, const std::string& object, const Kinds& kind,
                  const LinkSettings& s) {
  bool ipv6 = s.no_ipv6_link_local.value_or(false);
  for (;;) {
    Message message(RTM_NEWLINK, 0, object);
    auto* info = message.Header<ifinfomsg>();
    info->ifi_index = static_cast<int>(ifindex);
    PutFlag(info, IFF_UP, s.up);
    PutFlag(info, IFF_PROMISC, s.promiscuous);
    PutFlag(info, IFF_NOARP, s.no_arp);
    size_t bare = message.header()->nlmsg_len;
    PutCommon(message, s);
    if (s.name) message.PutString(IFLA_IFNAME, *s.name);
    if (s.alias) message.Put(IFLA_IFALIAS, s.alias->data(), s.alias->size());  // empty removes it
    if (!s.data.empty()) PutInfo(message, kind.own, s.data, std::nullopt);
    if (!s.member_data.empty()) PutMemberInfo(message, kind.master, s.member_data);
    if (ipv6) PutNoIpv6LinkLocal(message);
    if (message.header()->nlmsg_len == bare && info->ifi_change == 0) return;  // nothing asked: nothing sent
    try {
      socket.Request(message);
      return;
    } catch (const KernelError& e) {
      // The device has no IPv6 at all (MTU below 1280, or the kernel without it), so no link-local address either.
      if (!ipv6 || e.err != EAFNOSUPPORT) throw;
      ipv6 = false;
    }
  }
}

// do_setlink() raises the flags before it looks at IFLA_AF_SPEC, so a link that must come up without a link-local
// address takes two messages.
void Settle(NetlinkSocket& socket, uint32_t ifindex, const std::string& object, const Kinds& kind,
            const LinkSettings& settings) {
  LinkSettings first = settings;
  if (!settings.up.value_or(false) || !settings.no_ipv6_link_local.value_or(false)) {
    return SendSettings(socket, ifindex, object, kind, first);
  }
  first.up.reset();
  SendSettings(socket, ifindex, object, kind, first);
  LinkSettings second;
  second.up = true;
  SendSettings(socket, ifindex, object, kind, second);
}

void Remove(NetlinkSocket& socket, uint32_t ifindex, const std::string& name) {
  try {
    Message message(RTM_DELLINK, 0, name);
    message.Header<ifinfomsg>()->ifi_index = static_cast<int>(ifindex);
    if (ifindex == 0) message.PutString(IFLA_IFNAME, name);
    socket.Request(message);
  } catch (const KernelError&) {
    // The error that led here is the one to report.
  }
}

// After creation, in the namespace where the link was born: what the kernel ignores in the create message. The alias is
// passed over by rtnl_newlink_create() without a word, IFLA_AF_SPEC is refused there.
Created Finish(NetlinkSocket& socket, const LinkCreate& create, std::optional<Link> link) {
  const std::string& name = *create.settings.name;
  uint32_t ifindex = 0;
  try {
    if (!link) link = GetLink(socket, {0, name});
    if (!link) throw KernelError(ENODEV, "RTM_GETLINK", name, "gone right after its creation");
    ifindex = link->ifindex;
    LinkSettings rest;
    rest.alias = create.settings.alias;
    rest.no_ipv6_link_local = create.settings.no_ipv6_link_local;
    rest.up = create.settings.up;
    Settle(socket, ifindex, name, {create.kind, {}}, rest);
  } catch (...) {
    Remove(socket, ifindex, name);
    throw;
  }
  return {ifindex, create.peer ? link->link : 0, link->mac};
}

// Runs `work` on a short-lived thread in another namespace: this thread never leaves its own.
template <class Work>
void InNamespace(int netns, Work work) {
  std::exception_ptr error;
  std::thread([&] {
    try {
      EnterNetns(netns);
      work();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
}

}  // namespace

Created CreateLink(NetlinkSocket& socket, std::atomic<uint64_t>* writes, const LinkCreate& create) {
  if (create.tap) return CreateTap(socket, writes, create);
  const LinkSettings& s = create.settings;
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, *s.name);
  auto* info = message.Header<ifinfomsg>();
  PutFlag(info, IFF_PROMISC, s.promiscuous);
  PutFlag(info, IFF_NOARP, s.no_arp);
  message.PutString(IFLA_IFNAME, *s.name);
  if (s.alias && s.alias->rfind(kOwnAlias, 0) == 0) message.Put32(IFLA_GROUP, kOwnGroup);
  PutCommon(message, s);
  if (create.link) message.Put32(IFLA_LINK, *create.link);
  PutInfo(message, create.kind, s.data, create.peer);

  // Since 6.2 the kernel echoes the new link to its creator; before, it is asked for by name.
  std::optional<Link> echo;
  socket.Request(message, [&](const nlmsghdr* nlh) {
    if (nlh->nlmsg_type != RTM_NEWLINK || !IsLinkMessage(nlh)) return;
    Link link = ParseLink(nlh);
    if (link.name == *s.name) echo = std::move(link);
  });
  if (!s.netns) return Finish(socket, create, std::move(echo));
  Created created;
  InNamespace(s.netns->get(), [&] {
    NetlinkSocket there(writes);
    created = Finish(there, create, std::nullopt);
  });
  return created;
}

void ChangeLink(NetlinkSocket& socket, const LinkRef& ref, const LinkSettings& settings) {
  Kinds kind;
  uint32_t ifindex = ref.ifindex;
  std::string object = ref.Text();
  if (ifindex == 0 || !settings.data.empty() || !settings.member_data.empty()) {
    std::optional<Link> link = GetLink(socket, ref);
    if (!link) throw KernelError(ENODEV, "RTM_GETLINK", object);
    ifindex = link->ifindex;
    kind = {link->kind, link->master_kind};
    object = link->name;
  }
  if (settings.netns && settings.up.value_or(false) && settings.no_ipv6_link_local.value_or(false)) {
    throw KernelError(EINVAL, "RTM_NEWLINK", object, "moved without a link-local address, it must come up over there");
  }
  Settle(socket, ifindex, object, kind, settings);
}

}  // namespace pw
