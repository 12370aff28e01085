// SPDX-License-Identifier: Apache-2.0
// Deleting a link. The kernel unlists the device and announces RTM_DELLINK under the RTNL lock, then blocks the caller
// about 20 ms in netdev_run_todo() (rcu_barrier) before it acks. So the request runs on another thread, a reaper, and
// the promise resolves at the announcement, which the namespace's thread hears on a socket of its own. Both ends of a
// veth are unlisted before the first announcement (unregister_netdevice_many_notify, net/core/dev.c). Callers of
// rcu_barrier() share one wait, so eight reapers delete eight times as fast as one; they are started when needed.
//
// Up to the announcement the lock is held over several RCU grace periods, and others wait for it. So links of ours that
// are to go while another deletion has the lock wait until it lets go, and then go together, by one request and one set
// of grace periods: RTM_DELLINK by group (rtnl_group_dellink).
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "link.h"
#include "link_js.h"
#include "netns.h"
#include "route_state.h"

namespace pw {

// Settled once, on the JavaScript thread, by whichever thread is first.
struct Deletion {
  explicit Deletion(Napi::Env env) : deferred(env) {}
  Napi::Promise::Deferred deferred;
  bool settled = false;  // JavaScript thread

  void Resolve(Napi::Env env, bool was_there) {
    if (std::exchange(settled, true)) return;
    deferred.Resolve(Napi::Boolean::New(env, was_there));
  }
  void Reject(Napi::Env env, const KernelError& e) {
    if (std::exchange(settled, true)) return;
    deferred.Reject(Executor::ToJs(env, e));
  }
};

namespace {

constexpr size_t kMaxReapers = 8;
constexpr size_t kMaxTogether = 64;

using Job = std::shared_ptr<Deletion>;

void ResolveBy(Executor& executor, Job job, bool was_there) {
  executor.Post([job = std::move(job), was_there](Napi::Env env) { job->Resolve(env, was_there); });
}
void RejectBy(Executor& executor, Job job, KernelError error) {
  executor.Post([job = std::move(job), error = std::move(error)](Napi::Env env) { job->Reject(env, error); });
}

// A link that moves to another namespace is announced as gone too, with the id of that namespace.
bool HasMoved(const nlmsghdr* nlh) {
  for (const nlattr* attr : Attributes(nlh, sizeof(ifinfomsg))) {
    if (mnl_attr_get_type(attr) == IFLA_NEW_NETNSID) return true;
  }
  return false;
}

void Unlisted(const std::shared_ptr<NamespaceContext>& context, uint32_t ifindex);

// Namespace's thread. A lost announcement costs only time: the ack resolves the promise as well.
void ReadAnnouncements(const std::shared_ptr<NamespaceContext>& context) {
  RouteState& state = *context->route;
  std::vector<char> buffer(64 * 1024);
  for (;;) {
    ssize_t received = recv(state.gone_socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (received < 0) {
      if (errno == EINTR || errno == ENOBUFS) continue;
      return;
    }
    int left = static_cast<int>(received);
    for (auto* nlh = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(nlh, left);
         nlh = mnl_nlmsg_next(nlh, &left)) {
      if (nlh->nlmsg_type != RTM_DELLINK || !IsLinkMessage(nlh) || HasMoved(nlh)) continue;
      auto* link = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(nlh));
      auto it = state.being_deleted.find(static_cast<uint32_t>(link->ifi_index));
      if (it == state.being_deleted.end()) continue;
      for (Job& job : it->second) ResolveBy(*context->executor, std::move(job), true);
      state.being_deleted.erase(it);
      Unlisted(context, link->ifi_index);
    }
  }
}

// Namespace's thread, on first use. Only RTNLGRP_LINK, so that nothing else can fill it.
void OpenAnnouncements(const std::shared_ptr<NamespaceContext>& context) {
  RouteState& state = *context->route;
  if (state.gone_socket) return;
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd) throw KernelError(errno, "socket", "NETLINK_ROUTE");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    throw KernelError(errno, "bind", "RTNLGRP_LINK");
  }
  std::weak_ptr<NamespaceContext> weak = context;  // the context holds its executor
  context->executor->Watch(fd.get(), EPOLLIN, [weak](uint32_t) {
    if (auto context = weak.lock()) ReadAnnouncements(context);
  });
  state.gone_socket = std::move(fd);
}

// Reaper's thread.
NetlinkSocket& SocketOf(const std::shared_ptr<NamespaceContext>& context, const std::shared_ptr<Reaper>& reaper) {
  if (!reaper->socket) {
    EnterNetns(context->netns.get());
    reaper->socket = std::make_unique<NetlinkSocket>(&context->netlink_writes);
    reaper->executor->AtEnd([reaper] { reaper->socket.reset(); });
  }
  return *reaper->socket;
}

// Reaper's thread: settles the promise whatever comes of it.
void DeleteOne(const std::shared_ptr<NamespaceContext>& context, const std::shared_ptr<Reaper>& reaper,
               const Leaving& leaving) {
  Executor& executor = *reaper->executor;
  try {
    Message message(RTM_DELLINK, 0, leaving.ref.Text());
    message.Header<ifinfomsg>()->ifi_index = static_cast<int>(leaving.ifindex);
    if (leaving.ref.netnsid)
      message.Put32(IFLA_TARGET_NETNSID, static_cast<uint32_t>(*leaving.ref.netnsid));  // rtnl_dellink, since 4.16
    SocketOf(context, reaper).Request(message);
    ResolveBy(executor, leaving.job, true);
  } catch (const KernelError& e) {
    if (e.err == ENODEV) {
      ResolveBy(executor, leaving.job, false);
    } else {
      RejectBy(executor, leaving.job, e);
    }
  } catch (const std::exception& e) {
    RejectBy(executor, leaving.job, KernelError(EIO, "internal", "", e.what()));
  }
}

// Reaper's thread. False: not by this way; they are there still, or some of them.
bool DeleteGroup(const std::shared_ptr<NamespaceContext>& context, const std::shared_ptr<Reaper>& reaper,
                 const std::vector<Leaving>& together) {
  try {
    NetlinkSocket& socket = SocketOf(context, reaper);
    for (const Leaving& leaving : together) {
      Message message(RTM_SETLINK, 0, leaving.ref.Text());
      message.Header<ifinfomsg>()->ifi_index = static_cast<int>(leaving.ifindex);
      message.Put32(IFLA_GROUP, kLeavingGroup);
      socket.Request(message);
    }
    Message message(RTM_DELLINK, 0, std::to_string(together.size()) + " links");
    message.Header<ifinfomsg>();
    message.Put32(IFLA_GROUP, kLeavingGroup);
    socket.Request(message);
    return true;
  } catch (const std::exception&) {
    return false;  // one went by itself meanwhile, or cannot be deleted: each by itself tells which
  }
}

// Thread of the first one's reaper.
void Reap(const std::shared_ptr<NamespaceContext>& context, const std::vector<Leaving>& together) {
  const std::shared_ptr<Reaper>& reaper = together.front().reaper;
  if (together.size() > 1 && DeleteGroup(context, reaper, together)) {
    for (const Leaving& leaving : together) ResolveBy(*reaper->executor, leaving.job, true);
  } else {
    for (const Leaving& leaving : together) DeleteOne(context, reaper, leaving);
  }
  reaper->executor->Post([together](Napi::Env) {
    for (const Leaving& leaving : together) leaving.reaper->jobs--;
  });
  // Whatever came of it, nobody waits for the announcement any more.
  context->executor->Submit([context, together] {
    auto& waiting = context->route->being_deleted;
    for (const Leaving& leaving : together) {
      auto it = waiting.find(leaving.ifindex);
      if (it != waiting.end()) {
        auto& jobs = it->second;
        jobs.erase(std::remove(jobs.begin(), jobs.end(), leaving.job), jobs.end());
        if (jobs.empty()) waiting.erase(it);
      }
      Unlisted(context, leaving.ifindex);
    }
  });
}

// Namespace's thread.
void Start(const std::shared_ptr<NamespaceContext>& context, std::vector<Leaving> together) {
  auto executor = together.front().reaper->executor;
  executor->Submit([context, together = std::move(together)] { Reap(context, together); });
}

// Namespace's thread: what waits for the lock goes now.
void StartWaiting(const std::shared_ptr<NamespaceContext>& context) {
  RouteState& state = *context->route;
  const size_t count = std::min(state.leaving.size(), kMaxTogether);
  if (count == 0) return;
  const auto end = state.leaving.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Leaving> together(state.leaving.begin(), end);
  state.leaving.erase(state.leaving.begin(), end);
  for (const Leaving& one : together) state.unlisting.insert(one.ifindex);
  Start(context, std::move(together));
}

// Namespace's thread: a deletion has the lock no longer because of this link.
void Unlisted(const std::shared_ptr<NamespaceContext>& context, uint32_t ifindex) {
  RouteState& state = *context->route;
  if (state.unlisting.erase(ifindex) > 0 && state.unlisting.empty()) StartWaiting(context);
}

// JavaScript thread: an idle reaper, else a new one, else the one with the least to do.
std::shared_ptr<Reaper> ChooseReaper(Napi::Env env, RouteState& state) {
  auto& reapers = state.reapers;
  auto least = std::min_element(reapers.begin(), reapers.end(), [](auto& a, auto& b) { return a->jobs < b->jobs; });
  if (least != reapers.end() && ((*least)->jobs == 0 || reapers.size() >= kMaxReapers)) return *least;
  auto reaper = std::make_shared<Reaper>();
  reaper->executor = Executor::Start(env, "pw-reaper");
  return reapers.emplace_back(std::move(reaper));
}

// Namespace's thread: what was queued there before is done, so a name means what the caller thinks.
void StartDeletion(const std::shared_ptr<NamespaceContext>& context, const std::shared_ptr<Reaper>& reaper,
                   const LinkRef& ref, const Job& job) {
  RouteState& state = *context->route;
  auto finished = [reaper](Napi::Env) { reaper->jobs--; };
  try {
    OpenAnnouncements(context);
    const bool must_wait = !state.unlisting.empty() && !ref.netnsid;
    uint32_t ifindex = ref.ifindex;
    bool is_own = false;
    if (ifindex == 0 || must_wait) {
      std::optional<Link> link = GetLink(*state.socket, ref);
      if (!link) {
        ResolveBy(*context->executor, job, false);
        return context->executor->Post(finished);
      }
      ifindex = link->ifindex;
      is_own = link->group == kOwnGroup;
    }
    Leaving leaving{ifindex, ref, job, reaper};
    // What goes in another namespace is announced there: only the ack tells of it here.
    if (ref.netnsid) return Start(context, {std::move(leaving)});
    state.being_deleted[ifindex].push_back(job);
    if (must_wait && is_own) return state.leaving.push_back(std::move(leaving));
    state.unlisting.insert(ifindex);
    Start(context, {std::move(leaving)});
  } catch (const KernelError& e) {
    RejectBy(*context->executor, job, e);
    context->executor->Post(finished);
  }
}

// deleteLink(ns, ref): Promise<boolean>
Napi::Value Delete(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  LinkRef ref = PeerRefFromJs(info[1]);
  auto job = std::make_shared<Deletion>(info.Env());
  Napi::Promise promise = job->deferred.Promise();
  if (context->executor->closing()) {
    job->Reject(info.Env(), Executor::Closed());
    return promise;
  }
  auto reaper = ChooseReaper(info.Env(), *context->route);
  reaper->jobs++;
  context->executor->Submit([context, reaper, ref, job] { StartDeletion(context, reaper, ref, job); });
  return promise;
}

}  // namespace

void StartDeletions(const std::shared_ptr<NamespaceContext>& context) {
  while (!context->route->leaving.empty()) StartWaiting(context);
}

void CloseReapers(Napi::Env env, const std::shared_ptr<NamespaceContext>& context, Executor::JsCall done) {
  auto left = std::make_shared<size_t>(context->route->reapers.size());
  if (*left == 0) return done(env);
  for (auto& reaper : context->route->reapers) {
    reaper->executor->Close(env, [left, done](Napi::Env e) {
      if (--*left == 0) done(e);
    });
  }
}

void InitLinkDelete(Napi::Env, Napi::Object exports) {
  Export<Delete>(exports, "deleteLink");
}

}  // namespace pw
