// SPDX-License-Identifier: Apache-2.0
// Node's child_process forks: it copies the page tables of the whole daemon on its main thread, and after that each
// page that is written is copied. posix_spawn shares them until the exec (CLONE_VM | CLONE_VFORK).
#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "error.h"
#include "fd.h"

namespace pw {

namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  Fd read, write;
};

Pipe MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) throw KernelError(errno, "pipe2", "");
  Pipe pipe;
  pipe.read.Reset(ends[0]);
  pipe.write.Reset(ends[1]);
  return pipe;
}

void Unblock(const Fd& fd) {
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) < 0) throw KernelError(errno, "fcntl", "");
}

struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnSettings(int input, int output, int errors) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    // Signals as a fresh process has them, and a process group of its own, so that what it starts is killed with it.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
};

// A child that is waited for, whatever happens.
class Child {
 public:
  Child(const ProgramCall& call, const SpawnSettings& settings) {
    std::vector<char*> environment;
    for (const std::string& variable : call.environment) environment.push_back(const_cast<char*>(variable.c_str()));
    environment.push_back(nullptr);
    char* arguments[] = {const_cast<char*>(call.file.c_str()), nullptr};
    int error =
        posix_spawn(&pid_, call.file.c_str(), &settings.actions, &settings.attributes, arguments, environment.data());
    if (error != 0) throw KernelError(error, "execve", call.file);
    end_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));  // Linux 5.3
    if (!end_) {
      error = errno;
      Kill();
      Wait();
      throw KernelError(error, "pidfd_open", call.file);
    }
  }
  Child(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) {
      Kill();
      Wait();
    }
  }

  pid_t pid() const { return pid_; }
  const Fd& end() const { return end_; }  // readable when the process has ended
  void Kill() { kill(-pid_, SIGKILL); }
  int Wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_ = 0;
  Fd end_;
};

// Takes what is there; closes the pipe at its end. False: it is more than may be.
bool Drain(Fd& fd, std::string& text, size_t limit) {
  char buffer[16384];
  while (fd) {
    ssize_t n = read(fd.get(), buffer, sizeof(buffer));
    if (n > 0) {
      text.append(buffer, static_cast<size_t>(n));
      if (text.size() > limit) return false;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN) {
      break;
    } else {
      fd.Reset();
    }
  }
  return true;
}

// Whoever does not read what it is given has no need of it: no error (SIGPIPE is ignored, as Node has it).
void Feed(Fd& fd, const std::string& text, size_t& written) {
  while (written < text.size()) {
    ssize_t n = write(fd.get(), text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) break;
    written += static_cast<size_t>(n);
  }
  fd.Reset();
}

// For the program's life, and that of what it starts. Woken threads are put where they ran before, also while another
// CPU idles (select_idle_cpu looks for one only at low load, SIS_UTIL). Where that is the CPU of the thread that starts
// the program, both wait for one another.
void KeepOff(pid_t pid, int cpu) {
  cpu_set_t others;
  if (cpu < 0 || sched_getaffinity(0, sizeof(others), &others) < 0) return;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) > 0) sched_setaffinity(pid, sizeof(others), &others);
}

class Running : public Program {
 public:
  explicit Running(ProgramCall call)
      : call_(std::move(call)), input_(MakePipe()), output_(MakePipe()), errors_(MakePipe()) {
    for (const Fd* fd : {&input_.write, &output_.read, &errors_.read}) Unblock(*fd);
    Feed(input_.write, call_.input, written_);
    const int cpu = sched_getcpu();
    child_.emplace(call_, SpawnSettings(input_.read.get(), output_.write.get(), errors_.write.get()));
    KeepOff(child_->pid(), cpu);
    input_.read.Reset();
    output_.write.Reset();
    errors_.write.Reset();
  }

  ProgramEnd Attend(const std::function<void(const std::string&)>& on_output) override {
    ProgramEnd end;
    const auto deadline = Clock::now() + std::chrono::milliseconds(call_.timeout_ms);
    for (bool ended = false; !ended;) {
      // What has been closed is -1, which poll passes over.
      pollfd fds[] = {{input_.write.get(), POLLOUT, 0},
                      {output_.read.get(), POLLIN, 0},
                      {errors_.read.get(), POLLIN, 0},
                      {child_->end().get(), POLLIN, 0}};
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      int n = poll(fds, 4, static_cast<int>(std::max<int64_t>(left, 0)));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw KernelError(errno, "poll", call_.file);
      if (n == 0) {
        end.cut = "timeout";
        break;
      }
      // Looked at before the rest: what it wrote last is in the pipes by then.
      ended = fds[3].revents != 0;
      if (fds[0].revents != 0) Feed(input_.write, call_.input, written_);
      const size_t before = end.output.size();
      if (!Drain(output_.read, end.output, call_.max_output) || !Drain(errors_.read, end.errors, call_.max_output)) {
        end.cut = "output";
        break;
      }
      if (on_output && end.output.size() > before) on_output(end.output);
    }
    if (*end.cut != 0) child_->Kill();
    end.status = child_->Wait();
    return end;
  }

 private:
  const ProgramCall call_;
  Pipe input_, output_, errors_;
  size_t written_ = 0;
  std::optional<Child> child_;
};

}  // namespace

std::unique_ptr<Program> Program::Start(ProgramCall call) {
  return std::make_unique<Running>(std::move(call));
}

}  // namespace pw
