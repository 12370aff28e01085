// SPDX-License-Identifier: Apache-2.0
#include "netlink.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace pw {

namespace {

constexpr size_t kMessageSize = 16 * 1024;
// The kernel fills at most 32 KiB a datagram of a dump (netlink_recvmsg, max_recvmsg_len); one answer may be larger.
constexpr size_t kReceiveSize = 128 * 1024;
constexpr int kDumpAttempts = 20;
// Types of rtnetlink are below: their second byte is nfnetlink's number of a subsystem.
constexpr uint16_t kFirstNfnetlinkType = 1 << 8;

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

// The words of an error or of the end of a dump: attributes after the error code and, without NLM_F_CAPPED, after the
// copy of the request.
std::string ExtendedAck(const nlmsghdr* nlh, size_t fixed) {
  if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS)) return {};
  if (nlh->nlmsg_type == NLMSG_ERROR && !(nlh->nlmsg_flags & NLM_F_CAPPED)) {
    auto* err = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(nlh));
    if (err->msg.nlmsg_len < NLMSG_HDRLEN) return {};
    fixed += err->msg.nlmsg_len - NLMSG_HDRLEN;
  }
  if (mnl_nlmsg_get_payload_len(nlh) < fixed) return {};
  std::string text;
  std::string missing;
  for (const nlattr* attr : Attributes(nlh, fixed)) {
    size_t length = mnl_attr_get_payload_len(attr);
    auto* data = static_cast<const char*>(mnl_attr_get_payload(attr));
    switch (mnl_attr_get_type(attr)) {
      case NLMSGERR_ATTR_MSG:
        text.assign(data, strnlen(data, length));
        break;
      case NLMSGERR_ATTR_MISS_TYPE:  // since 6.1
        if (length >= sizeof(uint32_t)) missing = "attribute " + std::to_string(mnl_attr_get_u32(attr)) + " is missing";
        break;
    }
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (missing.empty()) return text;
  return text.empty() ? missing : text + " (" + missing + ")";
}

void SetOption(mnl_socket* socket, int option, bool must) {
  int on = 1;
  if (mnl_socket_setsockopt(socket, option, &on, sizeof on) < 0 && must) {
    throw KernelError(errno, "setsockopt", "netlink option " + std::to_string(option));
  }
}

}  // namespace

Message::Message(uint16_t type, uint16_t flags, std::string object)
    : buffer_(kMessageSize), object_(std::move(object)) {
  nlmsghdr* nlh = mnl_nlmsg_put_header(buffer_.data());
  nlh->nlmsg_type = type;
  nlh->nlmsg_flags = flags | NLM_F_REQUEST;
}

void Message::Put(uint16_t type, const void* data, size_t length) {
  if (!mnl_attr_put_check(header(), buffer_.size(), type, length, data)) {
    throw KernelError(EMSGSIZE, OpName(header()->nlmsg_type), object_, "the request is too large");
  }
}

void Message::PutString(uint16_t type, std::string_view v) {
  std::string terminated(v);
  Put(type, terminated.c_str(), terminated.size() + 1);
}

nlattr* Message::Nest(uint16_t type) {
  nlattr* nest = mnl_attr_nest_start_check(header(), buffer_.size(), type);
  if (!nest) throw KernelError(EMSGSIZE, OpName(header()->nlmsg_type), object_, "the request is too large");
  return nest;
}

void Message::End(nlattr* nest) {
  mnl_attr_nest_end(header(), nest);
}

void* Message::Raw(size_t length) {
  size_t end = header()->nlmsg_len;
  if (end + MNL_ALIGN(length) > buffer_.size()) {
    throw KernelError(EMSGSIZE, OpName(header()->nlmsg_type), object_, "the request is too large");
  }
  header()->nlmsg_len += MNL_ALIGN(length);
  return buffer_.data() + end;
}

NetlinkSocket::NetlinkSocket(std::atomic<uint64_t>* writes, int protocol)
    : writes_(writes), buffer_(new char[kReceiveSize]) {
  const char* name = protocol == NETLINK_ROUTE ? "NETLINK_ROUTE" : "NETLINK_NETFILTER";
  socket_ = mnl_socket_open2(protocol, SOCK_CLOEXEC);
  if (!socket_) throw KernelError(errno, "socket", name);
  try {
    if (mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0) throw KernelError(errno, "bind", name);
    SetOption(socket_, NETLINK_EXT_ACK, true);
    SetOption(socket_, NETLINK_CAP_ACK, true);
    SetOption(socket_, NETLINK_GET_STRICT_CHK, false);  // since 4.20
    // rtnetlink answers before sendto returns; waiting longer than this means an answer was lost.
    timeval limit = {30, 0};
    setsockopt(mnl_socket_get_fd(socket_), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  } catch (...) {
    mnl_socket_close(socket_);
    throw;
  }
}

NetlinkSocket::~NetlinkSocket() {
  mnl_socket_close(socket_);
}

void NetlinkSocket::Request(Message& message, const OnMessage& on) {
  message.header()->nlmsg_flags |= NLM_F_ACK;
  Exchange(message, on);
}

void NetlinkSocket::Dump(Message& message, const OnMessage& on) {
  message.header()->nlmsg_flags |= NLM_F_DUMP;
  // The kernel makes the next part of a dump when the last one is read. So all parts are read first and looked at
  // later: the shorter a dump takes, the less a change of the table can tear it.
  std::vector<char> parts;
  auto keep = [&parts](const nlmsghdr* nlh) {
    auto* bytes = reinterpret_cast<const char*>(nlh);
    parts.insert(parts.end(), bytes, bytes + nlh->nlmsg_len);
    parts.resize(MNL_ALIGN(parts.size()));
  };
  for (int i = 0; i < kDumpAttempts; i++) {
    parts.clear();
    if (!Exchange(message, keep)) continue;
    int left = static_cast<int>(parts.size());
    for (auto* nlh = reinterpret_cast<const nlmsghdr*>(parts.data()); mnl_nlmsg_ok(nlh, left);
         nlh = mnl_nlmsg_next(nlh, &left)) {
      on(nlh);
    }
    return;
  }
  throw KernelError(EINTR, OpName(message.header()->nlmsg_type), message.object(),
                    "the table changed during each dump");
}

bool NetlinkSocket::Exchange(Message& message, const OnMessage& on) {
  nlmsghdr* request = message.header();
  const std::string op = OpName(request->nlmsg_type);
  request->nlmsg_seq = ++sequence_;
  // rtnetlink message types come in fours: NEW, DEL, GET, SET. What changes nfnetlink goes by Transaction().
  bool reads = request->nlmsg_type >= kFirstNfnetlinkType || (request->nlmsg_type & 3) == (RTM_GETLINK & 3);
  if (!reads) writes_->fetch_add(1, std::memory_order_relaxed);
  Send(request, request->nlmsg_len, op, message.object());

  bool torn = false;
  for (;;) {
    int left = static_cast<int>(Receive(op, message.object()));
    for (auto* nlh = reinterpret_cast<const nlmsghdr*>(buffer_.get()); mnl_nlmsg_ok(nlh, left);
         nlh = mnl_nlmsg_next(nlh, &left)) {
      if (nlh->nlmsg_seq != sequence_) continue;  // what an earlier, failed request left behind
      if (nlh->nlmsg_flags & NLM_F_DUMP_INTR) torn = true;
      if (nlh->nlmsg_type == NLMSG_ERROR) {
        if (mnl_nlmsg_get_payload_len(nlh) < sizeof(nlmsgerr)) throw KernelError(EBADMSG, op, message.object());
        int error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(nlh))->error;
        if (error != 0) throw KernelError(error, op, message.object(), ExtendedAck(nlh, sizeof(nlmsgerr)));
        return !torn;
      }
      if (nlh->nlmsg_type == NLMSG_DONE) {
        int error = 0;
        if (mnl_nlmsg_get_payload_len(nlh) >= sizeof error) {
          std::memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof error);
        }
        if (error < 0) throw KernelError(error, op, message.object(), ExtendedAck(nlh, sizeof error));
        return !torn;
      }
      if (nlh->nlmsg_type >= NLMSG_MIN_TYPE && on) on(nlh);
    }
  }
}

void NetlinkSocket::Transaction(std::vector<char>& messages, const std::string& object) {
  writes_->fetch_add(1, std::memory_order_relaxed);
  const uint32_t first = sequence_ + 1;
  nlmsghdr* acked = nullptr;
  int left = static_cast<int>(messages.size());
  for (auto* nlh = reinterpret_cast<nlmsghdr*>(messages.data()); mnl_nlmsg_ok(nlh, left);
       nlh = mnl_nlmsg_next(nlh, &left)) {
    nlh->nlmsg_seq = ++sequence_;
    if (nlh->nlmsg_type != NFNL_MSG_BATCH_BEGIN && nlh->nlmsg_type != NFNL_MSG_BATCH_END) acked = nlh;
  }
  if (!acked) return;
  // Kernels before 6.10 answer no BATCH_END: the last message before it is the one whose answer is waited for.
  acked->nlmsg_flags |= NLM_F_ACK;
  // All of it is one datagram.
  int size = static_cast<int>(messages.size()) + 64 * 1024;
  setsockopt(mnl_socket_get_fd(socket_), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  Send(messages.data(), messages.size(), "nftables", object);

  // The kernel looks at all messages and answers when it is done with the last one, in order (nfnl_err_deliver); what
  // concerns the whole is answered to the first.
  std::optional<KernelError> error;
  for (;;) {
    left = static_cast<int>(Receive("nftables", object));
    for (auto* nlh = reinterpret_cast<const nlmsghdr*>(buffer_.get()); mnl_nlmsg_ok(nlh, left);
         nlh = mnl_nlmsg_next(nlh, &left)) {
      if (nlh->nlmsg_seq < first || nlh->nlmsg_type != NLMSG_ERROR) continue;
      if (mnl_nlmsg_get_payload_len(nlh) < sizeof(nlmsgerr)) throw KernelError(EBADMSG, "nftables", object);
      int err = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(nlh))->error;
      if (err != 0 && !error) error.emplace(err, "nftables", object, ExtendedAck(nlh, sizeof(nlmsgerr)));
      if (nlh->nlmsg_seq != acked->nlmsg_seq && nlh->nlmsg_seq != first) continue;
      if (error) throw *error;
      return;
    }
  }
}

void NetlinkSocket::Send(const void* data, size_t length, const std::string& op, const std::string& object) {
  if (mnl_socket_sendto(socket_, data, length) < 0) throw KernelError(errno, op, object);
}

size_t NetlinkSocket::Receive(const std::string& op, const std::string& object) {
  for (;;) {
    ssize_t received = mnl_socket_recvfrom(socket_, buffer_.get(), kReceiveSize);
    if (received >= 0) return static_cast<size_t>(received);
    if (errno == EINTR) continue;
    throw KernelError(errno == EAGAIN ? ETIMEDOUT : errno, op, object, "no answer from the kernel");
  }
}

std::string OpName(uint16_t type) {
  if (type >= kFirstNfnetlinkType) return "nftables";
  static constexpr const char* kVerbs[] = {"NEW", "DEL", "GET", "SET"};
  static constexpr const char* kObjects[] = {"LINK", "ADDR", "ROUTE", "NEIGH"};
  unsigned index = type - RTM_BASE;
  if (type < RTM_BASE || index / 4 >= std::size(kObjects)) return "rtnetlink " + std::to_string(type);
  return std::string("RTM_") + kVerbs[index % 4] + kObjects[index / 4];
}

}  // namespace pw
