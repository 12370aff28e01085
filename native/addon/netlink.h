// SPDX-License-Identifier: Apache-2.0
// Requests to rtnetlink and nfnetlink over libmnl: building messages without overflow, waiting for the answer, reading
// the extended ack, repeating dumps that the kernel says were torn. One socket belongs to one thread.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace pw {

// One request under construction. An attribute that does not fit is EMSGSIZE, not an overrun.
class Message {
 public:
  // `object` is what the error will name: an interface, an address.
  Message(uint16_t type, uint16_t flags, std::string object);

  template <class T>
  T* Header() {
    return static_cast<T*>(mnl_nlmsg_put_extra_header(header(), sizeof(T)));
  }
  void Put(uint16_t type, const void* data, size_t length);
  void Put8(uint16_t type, uint8_t v) { Put(type, &v, sizeof v); }
  void Put16(uint16_t type, uint16_t v) { Put(type, &v, sizeof v); }
  void Put32(uint16_t type, uint32_t v) { Put(type, &v, sizeof v); }
  void Put64(uint16_t type, uint64_t v) { Put(type, &v, sizeof v); }
  void PutString(uint16_t type, std::string_view v);  // with the terminating NUL
  // Nest() ... End(): the bytes put in between become the attribute's payload.
  nlattr* Nest(uint16_t type);
  void End(nlattr* nest);
  // A header inside an attribute, as VETH_INFO_PEER has.
  void* Raw(size_t length);

  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }
  const std::string& object() const { return object_; }

 private:
  std::vector<char> buffer_;
  std::string object_;
};

class NetlinkSocket {
 public:
  using OnMessage = std::function<void(const nlmsghdr*)>;

  // Opened in the network namespace of the calling thread. `writes` counts requests that are not RTM_GET*.
  explicit NetlinkSocket(std::atomic<uint64_t>* writes, int protocol = NETLINK_ROUTE);
  ~NetlinkSocket();
  NetlinkSocket(const NetlinkSocket&) = delete;
  NetlinkSocket& operator=(const NetlinkSocket&) = delete;

  // Sends, hands every answer to `on`, and returns after the kernel's ack. Throws KernelError with the extended ack.
  void Request(Message& message, const OnMessage& on = {});
  // Sends as a dump, again while the kernel calls it torn (NLM_F_DUMP_INTR), and hands a whole one to `on`.
  void Dump(Message& message, const OnMessage& on);
  // nfnetlink: messages between NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END, all of which are done or none. The error
  // is that of the first message that has one.
  void Transaction(std::vector<char>& messages, const std::string& object);

 private:
  bool Exchange(Message& message, const OnMessage& on);  // false: the dump was interrupted
  void Send(const void* data, size_t length, const std::string& op, const std::string& object);
  size_t Receive(const std::string& op, const std::string& object);

  mnl_socket* socket_;
  std::atomic<uint64_t>* writes_;
  uint32_t sequence_ = 0;
  std::unique_ptr<char[]> buffer_;  // not initialised: only the pages that answers need become real
};

// The attributes of a message after its fixed header, or inside another attribute, for a range-based for. (libmnl's
// macros for this are C only.) Ends at the first attribute that does not fit.
class Attributes {
 public:
  class Iterator {
   public:
    Iterator(const nlattr* attr, const char* end) : attr_(attr), end_(end) { Check(); }
    const nlattr* operator*() const { return attr_; }
    Iterator& operator++() {
      attr_ = mnl_attr_next(attr_);
      Check();
      return *this;
    }
    bool operator!=(const Iterator& other) const { return attr_ != other.attr_; }

   private:
    void Check() {
      if (attr_ && !mnl_attr_ok(attr_, static_cast<int>(end_ - reinterpret_cast<const char*>(attr_)))) attr_ = nullptr;
    }
    const nlattr* attr_;
    const char* end_;
  };

  Attributes(const void* begin, size_t length)
      : begin_(static_cast<const nlattr*>(begin)), end_(static_cast<const char*>(begin) + length) {}
  Attributes(const nlmsghdr* nlh, size_t fixed)
      : begin_(static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(nlh, fixed))),
        end_(static_cast<const char*>(mnl_nlmsg_get_payload_tail(nlh))) {}
  explicit Attributes(const nlattr* nest) : Attributes(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest)) {}

  Iterator begin() const { return {begin_, end_}; }
  Iterator end() const { return {nullptr, end_}; }

 private:
  const nlattr* begin_;
  const char* end_;
};

// "RTM_NEWLINK" and friends; "nftables"
std::string OpName(uint16_t type);

}  // namespace pw
