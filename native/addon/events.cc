// SPDX-License-Identifier: Apache-2.0
// Link and address events. At most one batch is on its way to JavaScript; meanwhile the kernel's buffer holds what
// comes, and when that is full the listener is told so (ENOBUFS, "overrun"): memory stays bounded and no loss is
// silent.
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <optional>
#include <variant>

#include "address.h"
#include "convert.h"
#include "link_js.h"
#include "route_state.h"

namespace pw {

namespace {

constexpr int kReceiveBuffer = 8 * 1024 * 1024;
constexpr size_t kBatch = 512;

struct LinkGone {
  uint32_t ifindex;
  std::string name;
};
struct AddressChange {
  Address address;
  bool gone;
};
struct Overrun {};
using Event = std::variant<Link, LinkGone, AddressChange, Overrun>;

std::optional<Event> ParseEvent(const nlmsghdr* nlh) {
  switch (nlh->nlmsg_type) {
    case RTM_NEWLINK:
      if (IsLinkMessage(nlh)) return ParseLink(nlh);
      break;
    case RTM_DELLINK:
      if (IsLinkMessage(nlh)) {
        Link link = ParseLink(nlh);
        return LinkGone{link.ifindex, std::move(link.name)};
      }
      break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      if (auto address = ParseAddress(nlh)) return AddressChange{std::move(*address), nlh->nlmsg_type == RTM_DELADDR};
      break;
  }
  return std::nullopt;
}

// An EventRow of daemon/kernel/native-link.ts: of a link the row alone.
Napi::Value EventToJs(Napi::Env env, const Event& event) {
  if (auto* link = std::get_if<Link>(&event)) return LinkToJs(env, *link);
  Napi::Object o = Napi::Object::New(env);
  auto type = [&](const char* text) { o.Set("type", Napi::String::New(env, text)); };
  if (auto* gone = std::get_if<LinkGone>(&event)) {
    type("link-gone");
    o.Set("ifindex", Napi::Number::New(env, gone->ifindex));
    o.Set("name", Napi::String::New(env, gone->name));
  } else if (auto* change = std::get_if<AddressChange>(&event)) {
    type("address");
    o.Set("address", AddressToJs(env, change->address));
    o.Set("gone", Napi::Boolean::New(env, change->gone));
  } else {
    type("overrun");
  }
  return o;
}

void Arm(const std::shared_ptr<NamespaceContext>& context, uint32_t id);

// JavaScript thread.
void Deliver(Napi::Env env, const std::shared_ptr<NamespaceContext>& context, uint32_t id,
             const std::vector<Event>& events) {
  auto it = context->route->listeners.find(id);
  if (it == context->route->listeners.end()) return;  // unwatched meanwhile
  Napi::Array array = Napi::Array::New(env, events.size());
  for (uint32_t i = 0; i < events.size(); i++) array[i] = EventToJs(env, events[i]);
  Napi::Function listener = it->second.Value();
  context->executor->Submit([context, id] { Arm(context, id); });
  listener.Call({array});
}

// Namespace's thread.
void Read(const std::shared_ptr<NamespaceContext>& context, uint32_t id) {
  auto it = context->route->watchers.find(id);
  if (it == context->route->watchers.end()) return;
  Watcher& watcher = *it->second;
  auto events = std::make_shared<std::vector<Event>>();
  while (events->size() < kBatch) {
    ssize_t received = recv(watcher.fd.get(), watcher.buffer.data(), watcher.buffer.size(), MSG_DONTWAIT);
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno != ENOBUFS) break;
      events->push_back(Overrun{});
      continue;
    }
    int left = static_cast<int>(received);
    for (auto* nlh = reinterpret_cast<const nlmsghdr*>(watcher.buffer.data()); mnl_nlmsg_ok(nlh, left);
         nlh = mnl_nlmsg_next(nlh, &left)) {
      if (auto event = ParseEvent(nlh)) events->push_back(std::move(*event));
    }
  }
  if (events->empty()) return Arm(context, id);
  context->executor->Post([context, id, events](Napi::Env env) { Deliver(env, context, id, *events); });
}

// Namespace's thread: wake up once, until armed again.
void Arm(const std::shared_ptr<NamespaceContext>& context, uint32_t id) {
  auto it = context->route->watchers.find(id);
  if (it == context->route->watchers.end()) return;
  context->executor->Watch(it->second->fd.get(), EPOLLIN | EPOLLONESHOT, [weak = std::weak_ptr(context), id](uint32_t) {
    if (auto context = weak.lock()) Read(context, id);
  });
}

Fd OpenEventSocket(int receive_buffer) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) throw KernelError(errno, "socket", "NETLINK_ROUTE");
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) < 0 &&
      setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) < 0) {
    throw KernelError(errno, "setsockopt", "SO_RCVBUF");
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    throw KernelError(errno, "bind", "rtnetlink groups");
  }
  return fd;
}

// watch(ns, listener, receiveBuffer?): Promise<id>
Napi::Value Watch(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  if (!info[1].IsFunction()) throw KernelError(EINVAL, "argument", "listener", "a function is needed");
  int receive_buffer =
      info[2].IsUndefined() ? kReceiveBuffer : static_cast<int>(ToU32(info[2], "receiveBuffer", INT32_MAX / 2));
  uint32_t id = context->route->next_listener++;
  context->route->listeners[id] = Napi::Persistent(info[1].As<Napi::Function>());
  return context->executor->Run<bool>(
      info.Env(),
      [context, id, receive_buffer] {
        auto watcher = std::make_shared<Watcher>();
        watcher->fd = OpenEventSocket(receive_buffer);
        context->route->watchers[id] = watcher;
        Arm(context, id);
        return true;
      },
      [id](Napi::Env env, bool&) -> Napi::Value { return Napi::Number::New(env, id); },
      [context, id](Napi::Env) { context->route->listeners.erase(id); });
}

// unwatch(ns, id): the listener is not called after this returns; the promise resolves when the socket is closed.
Napi::Value Unwatch(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  uint32_t id = ToU32(info[1], "id");
  context->route->listeners.erase(id);
  return context->executor->Run(info.Env(), [context, id] {
    auto it = context->route->watchers.find(id);
    if (it == context->route->watchers.end()) return;
    context->executor->Unwatch(it->second->fd.get());
    context->route->watchers.erase(it);
  });
}

}  // namespace

void InitEvents(Napi::Env, Napi::Object exports) {
  Export<Watch>(exports, "watch");
  Export<Unwatch>(exports, "unwatch");
}

}  // namespace pw
