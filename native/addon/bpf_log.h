// SPDX-License-Identifier: Apache-2.0
// Catches what libbpf prints on this thread while a scope is open. libbpf has one print function a process; threads of
// several namespaces load at the same time, so the text goes to the calling thread's own scope.
#pragma once

#include <string>

namespace pw::bpf {

class LogScope {
 public:
  LogScope();
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  const std::string& text() const { return text_; }
  // The last lines of the verifier's log if there is one, else of everything.
  std::string Tail() const;
  // The program whose load failed, empty if it was not a program.
  std::string FailedProgram() const;

 private:
  std::string text_;
  LogScope* outer_;
  friend struct LogSink;
};

// Called once a process, before the first call of libbpf.
void InstallLog();

}  // namespace pw::bpf
