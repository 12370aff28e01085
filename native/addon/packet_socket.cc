// SPDX-License-Identifier: Apache-2.0
#include "packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <cstring>

namespace pw {

namespace {

constexpr unsigned kBatch = 32;
// The largest GSO frame is 64 KiB of IP (GSO_LEGACY_MAX_SIZE) and its headers. BIG TCP frames are larger: those are
// dropped and counted.
constexpr size_t kFrameBytes = 65536 + 256;
constexpr int kReceiveBuffer = 4 << 20;

// All sockets of a namespace are read by its one thread, one at a time, so they share one set of buffers.
struct Buffers {
  std::vector<uint8_t> data = std::vector<uint8_t>(kBatch * kFrameBytes);
  alignas(cmsghdr) char control[kBatch][CMSG_SPACE(sizeof(tpacket_auxdata)) + CMSG_SPACE(sizeof(timespec)) +
                                        CMSG_SPACE(sizeof(uint32_t))];
  iovec vectors[kBatch];
  sockaddr_ll addresses[kBatch];
  mmsghdr messages[kBatch];

  void Prepare() {
    for (unsigned i = 0; i < kBatch; i++) {
      vectors[i] = {data.data() + i * kFrameBytes, kFrameBytes};
      messages[i] = {};
      msghdr& header = messages[i].msg_hdr;
      header.msg_name = &addresses[i];
      header.msg_namelen = sizeof addresses[i];
      header.msg_iov = &vectors[i];
      header.msg_iovlen = 1;
      header.msg_control = control[i];
      header.msg_controllen = sizeof control[i];
    }
  }
};

std::string Device(uint32_t ifindex) {
  return "ifindex " + std::to_string(ifindex);
}

template <class T>
T Payload(const cmsghdr* control) {
  T value;
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return value;
}

// The control messages of one frame. Returns the drop counter, 0 if it was not there.
uint32_t ReadControl(msghdr* header, Frame* frame) {
  uint32_t drops = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
      auto aux = Payload<tpacket_auxdata>(c);
      if (aux.tp_status & TP_STATUS_VLAN_VALID) {
        frame->tagged = true;
        frame->tci = aux.tp_vlan_tci;
        frame->tpid = (aux.tp_status & TP_STATUS_VLAN_TPID_VALID) ? aux.tp_vlan_tpid : 0x8100;
      }
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
      auto time = Payload<timespec>(c);
      frame->timestamp_ns = int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      drops = Payload<uint32_t>(c);
    }
  }
  return drops;
}

}  // namespace

Fd PacketSocket::Open() const {
  // Protocol 0: nothing is received before bind() names the device and the protocol.
  Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const std::string device = Device(options_.ifindex);
  if (!fd) throw KernelError(errno, "socket AF_PACKET", device);
  auto set = [&](int level, int option, int value, const char* op) {
    if (setsockopt(fd.get(), level, option, &value, sizeof value) < 0) throw KernelError(errno, op, device);
  };
  set(SOL_PACKET, PACKET_AUXDATA, 1, "PACKET_AUXDATA");
  set(SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
  set(SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
  set(SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer, "SO_RCVBUFFORCE");
  if (!options_.outgoing) set(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");  // Linux 4.20

  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(options_.protocol);
  address.sll_ifindex = static_cast<int>(options_.ifindex);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    throw KernelError(errno, "bind AF_PACKET", device);
  }
  if (options_.promiscuous) {
    packet_mreq request{};
    request.mr_ifindex = address.sll_ifindex;
    request.mr_type = PACKET_MR_PROMISC;
    if (setsockopt(fd.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) < 0) {
      throw KernelError(errno, "PACKET_ADD_MEMBERSHIP", device);
    }
  }
  return fd;
}

void PacketSocket::Begin(Executor& executor) {
  // An index of 0 would be every device of the namespace.
  if (options_.ifindex == 0) throw KernelError(ENODEV, "bind AF_PACKET", Device(0));
  Fd fd = Open();
  executor.Watch(fd.get(), EPOLLIN, [this, &executor](uint32_t) { Read(executor); });
  fd_ = std::move(fd);
}

void PacketSocket::Halt(Executor& executor) {
  if (!fd_) return;
  executor.Unwatch(fd_.get());
  fd_.Reset();
  executor.Post([listener = listener_](Napi::Env) { listener->Forget(); });
}

void PacketSocket::Send(Executor& executor, const std::vector<uint8_t>& frame) {
  CheckThread(executor);
  if (!fd_) throw KernelError(EBADF, "send AF_PACKET", Device(options_.ifindex), "the socket is closed");
  if (send(fd_.get(), frame.data(), frame.size(), MSG_DONTWAIT) < 0) {
    throw KernelError(errno, "send AF_PACKET", Device(options_.ifindex), std::to_string(frame.size()) + " bytes");
  }
}

// One batch; epoll calls again while there is more, so other work of the thread has its turn.
void PacketSocket::Read(Executor& executor) {
  thread_local auto buffers = std::make_unique<Buffers>();
  buffers->Prepare();
  int n = recvmmsg(fd_.get(), buffers->messages, kBatch, MSG_DONTWAIT, nullptr);
  if (n <= 0) return;  // ENETDOWN is said once when the device goes down; frames come again when it is up
  std::vector<Frame> batch;
  for (int i = 0; i < n; i++) {
    mmsghdr& message = buffers->messages[i];
    Frame frame;
    if (uint32_t drops = ReadControl(&message.msg_hdr, &frame); drops != 0) {
      listener_->CountDropped(drops - kernel_drops_);
      kernel_drops_ = drops;
    }
    if ((message.msg_hdr.msg_flags & MSG_TRUNC) || !listener_->HasRoom(batch.size())) {
      listener_->CountDropped(1);
      continue;
    }
    frame.packet_type = buffers->addresses[i].sll_pkttype;
    auto* data = static_cast<const uint8_t*>(buffers->vectors[i].iov_base);
    frame.data.assign(data, data + message.msg_len);
    batch.push_back(std::move(frame));
  }
  listener_->Deliver(executor, std::move(batch));
}

}  // namespace pw
