// SPDX-License-Identifier: Apache-2.0
// Deleting a link. The kernel unlists the device and announces RTM_DELLINK under the RTNL lock, then blocks the caller
// about 20 ms in netdev_run_todo() (rcu_barrier) before it acks. So the request runs on another thread, a reaper, and
// the promise resolves at the announcement, which the namespace's thread hears on a socket of its own. Both ends of a
// veth are unlisted before the first announcement (unregister_netdevice_many_notify, net/core/dev.c). Callers of
// rcu_barrier() share one wait, so eight reapers delete eight times as fast as one; they are started when needed.
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

// Namespace's thread. A lost announcement costs only time: the ack resolves the promise as well.
void ReadAnnouncements(NamespaceContext& context) {
  RouteState& state = *context.route;
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
      for (Job& job : it->second) ResolveBy(*context.executor, std::move(job), true);
      state.being_deleted.erase(it);
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
  context->executor->Watch(fd.get(), EPOLLIN, [raw = context.get()](uint32_t) { ReadAnnouncements(*raw); });
  state.gone_socket = std::move(fd);
}

// Reaper's thread.
void Reap(const std::shared_ptr<NamespaceContext>& context, const std::shared_ptr<Reaper>& reaper, uint32_t ifindex,
          const LinkRef& ref, const Job& job) {
  Executor& executor = *reaper->executor;
  try {
    if (!reaper->socket) {
      EnterNetns(context->netns.get());
      reaper->socket = std::make_unique<NetlinkSocket>(&context->netlink_writes);
      executor.AtEnd([reaper] { reaper->socket.reset(); });
    }
    Message message(RTM_DELLINK, 0, ref.Text());
    message.Header<ifinfomsg>()->ifi_index = static_cast<int>(ifindex);
    if (ref.netnsid)
      message.Put32(IFLA_TARGET_NETNSID, static_cast<uint32_t>(*ref.netnsid));  // rtnl_dellink, since 4.16
    reaper->socket->Request(message);
    ResolveBy(executor, job, true);
  } catch (const KernelError& e) {
    if (e.err == ENODEV) {
      ResolveBy(executor, job, false);
    } else {
      RejectBy(executor, job, e);
    }
  } catch (const std::exception& e) {
    RejectBy(executor, job, KernelError(EIO, "internal", "", e.what()));
  }
  // Whatever came of it, nobody waits for the announcement any more.
  context->executor->Submit([context, ifindex, job] {
    auto& waiting = context->route->being_deleted;
    auto it = waiting.find(ifindex);
    if (it == waiting.end()) return;
    auto& jobs = it->second;
    jobs.erase(std::remove(jobs.begin(), jobs.end(), job), jobs.end());
    if (jobs.empty()) waiting.erase(it);
  });
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
  auto finished = [reaper](Napi::Env) { reaper->jobs--; };
  try {
    OpenAnnouncements(context);
    uint32_t ifindex = ref.ifindex;
    if (ifindex == 0) {
      std::optional<Link> link = GetLink(*context->route->socket, ref);
      if (!link) {
        ResolveBy(*context->executor, job, false);
        return context->executor->Post(finished);
      }
      ifindex = link->ifindex;
    }
    // What goes in another namespace is announced there: only the ack tells of it here.
    if (!ref.netnsid) context->route->being_deleted[ifindex].push_back(job);
    reaper->executor->Submit([context, reaper, ifindex, ref, job, finished] {
      Reap(context, reaper, ifindex, ref, job);
      reaper->executor->Post(finished);
    });
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
