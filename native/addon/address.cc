// SPDX-License-Identifier: Apache-2.0
#include "address.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "convert.h"
#include "route_state.h"

namespace pw {

namespace {

struct AddressSpec {
  uint32_t ifindex;
  IpAddress ip;
  uint8_t prefix_length;
  bool no_dad;
  uint8_t protocol;
  std::string text;
};

AddressSpec SpecFromJs(const Napi::Value& value) {
  Napi::Object o = ToObject(value, "address");
  AddressSpec spec;
  spec.ifindex = NeedU32(o, "ifindex", INT32_MAX);
  spec.text = NeedString(o, "address");
  spec.ip = ParseIp(spec.text, "address");
  uint32_t length = NeedU32(o, "prefixLength");
  spec.prefix_length = CheckPrefixLength(spec.ip, length, spec.text);
  spec.no_dad = OptBool(o, "noDad").value_or(false);
  spec.protocol = static_cast<uint8_t>(OptU32(o, "protocol", UINT8_MAX).value_or(0));
  spec.text += "/" + std::to_string(length);
  return spec;
}

void Send(NetlinkSocket& socket, uint16_t type, uint16_t flags, const AddressSpec& spec) {
  Message message(type, flags, spec.text);
  auto* header = message.Header<ifaddrmsg>();
  header->ifa_family = static_cast<uint8_t>(spec.ip.family);
  header->ifa_prefixlen = spec.prefix_length;
  header->ifa_index = spec.ifindex;
  header->ifa_scope = RT_SCOPE_UNIVERSE;
  message.Put(IFA_LOCAL, spec.ip.bytes.data(), spec.ip.length);
  message.Put(IFA_ADDRESS, spec.ip.bytes.data(), spec.ip.length);
  if (spec.no_dad && spec.ip.family == AF_INET6) message.Put32(IFA_FLAGS, IFA_F_NODAD);
  if (spec.protocol != 0) message.Put(IFA_PROTO, &spec.protocol, sizeof spec.protocol);
  socket.Request(message);
}

Napi::Value Addresses(const Napi::CallbackInfo& info) {
  uint32_t ifindex = info[1].IsUndefined() ? 0 : ToU32(info[1], "ifindex", INT32_MAX);
  return ListOnSocket<Address>(
      info,
      [ifindex](NetlinkSocket& socket) {
        Message message(RTM_GETADDR, 0, "addresses");
        message.Header<ifaddrmsg>();
        std::vector<Address> list;
        socket.Dump(message, [&](const nlmsghdr* nlh) {
          auto address = ParseAddress(nlh);
          if (address && (ifindex == 0 || address->ifindex == ifindex)) list.push_back(std::move(*address));
        });
        return list;
      },
      AddressToJs);
}

Napi::Value Add(const Napi::CallbackInfo& info) {
  AddressSpec spec = SpecFromJs(info[1]);
  return OnSocket(info, [spec](NetlinkSocket& socket) { Send(socket, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, spec); });
}

Napi::Value Remove(const Napi::CallbackInfo& info) {
  AddressSpec spec = SpecFromJs(info[1]);
  return OnSocket(info, [spec](NetlinkSocket& socket) { Send(socket, RTM_DELADDR, 0, spec); });
}

}  // namespace

std::optional<Address> ParseAddress(const nlmsghdr* nlh) {
  if (mnl_nlmsg_get_payload_len(nlh) < sizeof(ifaddrmsg)) return std::nullopt;
  auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(nlh));
  if (header->ifa_family != AF_INET && header->ifa_family != AF_INET6) return std::nullopt;
  Address address;
  address.ifindex = header->ifa_index;
  address.family = header->ifa_family == AF_INET ? 4 : 6;
  address.prefix_length = header->ifa_prefixlen;
  address.scope = header->ifa_scope;
  address.flags = header->ifa_flags;
  std::string local, other;
  for (const nlattr* attr : Attributes(nlh, sizeof *header)) {
    switch (mnl_attr_get_type(attr)) {
      case IFA_LOCAL:  // ours; on a point-to-point link IFA_ADDRESS is the other end's
        local = FormatIp(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
        break;
      case IFA_ADDRESS:
        other = FormatIp(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
        break;
      case IFA_FLAGS:  // all 32 bits; the header holds 8
        if (mnl_attr_get_payload_len(attr) >= 4) address.flags = mnl_attr_get_u32(attr);
        break;
      case IFA_PROTO:
        if (mnl_attr_get_payload_len(attr) >= 1) address.protocol = mnl_attr_get_u8(attr);
        break;
    }
  }
  address.text = local.empty() ? other : local;
  return address;
}

Napi::Value AddressToJs(Napi::Env env, const Address& address) {
  Napi::Object o = Napi::Object::New(env);
  o.Set("ifindex", Napi::Number::New(env, address.ifindex));
  o.Set("family", Napi::Number::New(env, address.family));
  o.Set("address", Napi::String::New(env, address.text));
  o.Set("prefixLength", Napi::Number::New(env, address.prefix_length));
  o.Set("scope", Napi::Number::New(env, address.scope));
  o.Set("flags", Napi::Number::New(env, address.flags));
  o.Set("protocol", Napi::Number::New(env, address.protocol));
  return o;
}

void InitAddresses(Napi::Env, Napi::Object exports) {
  Export<Addresses>(exports, "addresses");
  Export<Add>(exports, "addAddress");
  Export<Remove>(exports, "removeAddress");
}

}  // namespace pw
